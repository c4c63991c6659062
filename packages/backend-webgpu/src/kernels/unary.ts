import type { UnaryKind } from "@striate/core/backend";
import type { Stream } from "../stream.js";
import { pointwise } from "./pointwise.js";
import type { GpuKernels } from "./types.js";

const floats: { readonly [K in UnaryKind]: string } = {
  neg: "negate(x0)",
  abs: "absolute(x0)",
  sign: "signOf(x0)",
  square: "x0 * x0",
  relu: "relu(x0)",
  floor: "floorOf(x0)",
  ceil: "ceilOf(x0)",
  round: "roundOf(x0)",
  sqrt: "sqrtOf(x0)",
  rsqrt: "rsqrtOf(x0)",
  reciprocal: "reciprocal(x0)",
  exp: "expOf(x0)",
  expm1: "expm1Of(x0)",
  log: "logOf(x0)",
  log1p: "log1pOf(x0)",
  sin: "sinOf(x0)",
  cos: "cosOf(x0)",
  tanh: "tanhOf(x0)",
  sigmoid: "sigmoidOf(x0)",
  erf: "erfOf(x0)",
};

/** The kinds that take int32. */
const integers: { readonly [K in UnaryKind]?: string } = {
  neg: "-x0",
  abs: "abs(x0)",
  sign: "sign(x0)",
  square: "x0 * x0",
  relu: "max(x0, 0)",
};

export const unaryKernels = (stream: Stream): Pick<GpuKernels, "unary"> => ({
  unary: ({ inputs: [x], outputs: [y], attrs: { kind } }) => {
    const value = (x.dtype === "float32" ? floats : integers)[kind] as string;
    pointwise(stream, { op: "unary", variant: kind, value }, [x], y);
  },
});
