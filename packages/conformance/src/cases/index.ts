/** Every public op and its cases. An op that core exports and that is missing here does not compile. */
import type * as core from "@striate/core";
import type { OpCases } from "../suite.js";
import * as activation from "./activation.js";
import { binaryCases, compareCases, logicalCases, where } from "./binary.js";
import * as convolution from "./convolution.js";
import * as creation from "./creation.js";
import { dropout } from "./dropout.js";
import * as linear from "./linear.js";
import * as losses from "./losses.js";
import * as movement from "./movement.js";
import * as normalization from "./normalization.js";
import { pointwise } from "./pointwise.js";
import * as pooling from "./pooling.js";
import * as reduction from "./reduction.js";
import { remapLookUp } from "./remap-look-up.js";
import * as softmax from "./softmax.js";
import { cast, logicalNot, unaryCases } from "./unary.js";

type Core = typeof core;
type FunctionName = {
  [K in keyof Core]: Core[K] extends (...args: never[]) => unknown ? K : never;
}[keyof Core];

/** What core exports beside ops; these have groups of their own (contract, random) or run in every case. */
type NotAnOp =
  | "tensor"
  | "zeros"
  | "ones"
  | "full"
  | "arange"
  | "rand"
  | "randn"
  | "randomBits"
  | "randomWords"
  | "permutation"
  | "philox4x32"
  | "keyOf"
  | "fillUniform"
  | "fillNormal"
  | "memoryUsage"
  | "reportLeaks"
  | "scope"
  | "keep"
  | "fromBackend"
  | "operandOf"
  | "noGrad"
  | "backward"
  | "valueAndGrad"
  | "customGradient"
  | "gradcheck";

export type PublicOpName = Exclude<FunctionName, NotAnOp>;

export const cases = {
  ...unaryCases,
  ...binaryCases,
  ...compareCases,
  ...logicalCases,
  logicalNot,
  cast,
  where,
  pointwise,
  ...activation,
  ...softmax,
  ...reduction,
  ...linear,
  ...movement,
  ...convolution,
  ...pooling,
  ...normalization,
  ...losses,
  ...creation,
  dropout,
  remapLookUp,
} satisfies Record<PublicOpName, OpCases>;
