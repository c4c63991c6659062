import type { UnaryKind } from "@striate/core/backend";
import { f32x4, i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody } from "../assembler/module.js";
import {
  cosF64x2,
  erfF64x2,
  expF32x4,
  expm1F64x2,
  log1pF64x2,
  logF64x2,
  mapF64x2,
  reluF32x4,
  sigmoidF64x2,
  sinF64x2,
  tanhF64x2,
} from "../math.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { createPointwise, type Pointwise } from "./pointwise.js";

type Compute = (b: FunctionBody, x: V128) => V128;

const one = (): V128 => f32x4.const(1);
const zero = (): V128 => f32x4.const(0);

const inDoubles =
  (f: (b: FunctionBody, x: V128) => V128): Compute =>
  (b, x) =>
    mapF64x2(b, x, (x64) => f(b, x64));

const light: { readonly [K in UnaryKind]?: Compute } = {
  neg: (_, x) => f32x4.neg(x),
  abs: (_, x) => f32x4.abs(x),
  sign: (_, x) => {
    const ofOne = v128.or(v128.and(x, f32x4.const(-0)), one());
    // Adding 0 keeps NaN, and makes 0 of -0.
    return v128.bitselect(ofOne, f32x4.add(x, zero()), f32x4.gt(f32x4.abs(x), zero()));
  },
  square: (_, x) => f32x4.mul(x, x),
  relu: (_, x) => reluF32x4(x),
  floor: (_, x) => f32x4.floor(x),
  ceil: (_, x) => f32x4.ceil(x),
  round: (_, x) => f32x4.nearest(x),
  sqrt: (_, x) => f32x4.sqrt(x),
  rsqrt: (_, x) => f32x4.div(one(), f32x4.sqrt(x)),
  reciprocal: (_, x) => f32x4.div(one(), x),
};

const heavy: { readonly [K in UnaryKind]?: Compute } = {
  exp: expF32x4,
  expm1: inDoubles(expm1F64x2),
  log: inDoubles(logF64x2),
  log1p: inDoubles(log1pF64x2),
  sin: inDoubles(sinF64x2),
  cos: inDoubles(cosF64x2),
  tanh: inDoubles(tanhF64x2),
  sigmoid: inDoubles(sigmoidF64x2),
  erf: inDoubles(erfF64x2),
};

const integer: { readonly [K in UnaryKind]?: Compute } = {
  neg: (_, x) => i32x4.neg(x),
  abs: (_, x) => i32x4.abs(x),
  sign: (_, x) => v128.or(i32x4.shrS(x, 31), i32x4.shrU(i32x4.neg(x), 31)),
  square: (_, x) => i32x4.mul(x, x),
  relu: (_, x) => i32x4.maxS(x, i32x4.splat(0)),
};

const operations = (
  name: string,
  table: { readonly [K in UnaryKind]?: Compute },
  isHeavy: boolean,
): [string, Pointwise][] =>
  Object.entries(table).map(([kind, compute]) => [
    kind,
    {
      key: `unary ${kind} ${name}`,
      inputs: [4],
      output: 4,
      heavy: isHeavy,
      compute: (b, [x]) => compute(b, x as V128),
    },
  ]);

const floatOperations = Object.fromEntries([
  ...operations("float32", light, false),
  ...operations("float32", heavy, true),
]);
const integerOperations = Object.fromEntries(operations("int32", integer, false));

export const unaryKernels = (runtime: Runtime): Pick<WasmKernels, "unary"> => {
  const run = createPointwise(runtime);
  return {
    unary: ({ inputs, outputs: [y], attrs: { kind } }) =>
      run((y.dtype === "int32" ? integerOperations : floatOperations)[kind] as Pointwise, inputs, y),
  };
};
