import type { UnaryKind } from "@striate/core/backend";
import { lazyTable, type Specialise } from "../specialise.js";
import type { CpuKernels, Elements } from "../storage.js";
import { erf } from "./erf.js";

type Scalar = (x: number) => number;

/** Half to even. Below 2^52, adding 2^52 leaves no bits for a fraction, and the addition rounds as IEEE 754 does. */
const round = (x: number): number => {
  const magnitude = Math.abs(x);
  return magnitude < 2 ** 52 ? Math.sign(x) * (magnitude + 2 ** 52 - 2 ** 52) : x;
};

export const sigmoid = (x: number): number => {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
};

const scalars: { readonly [K in UnaryKind]: Scalar } = {
  neg: (x) => -x,
  abs: (x) => Math.abs(x),
  sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : x === 0 ? 0 : x),
  square: (x) => x * x,
  relu: (x) => Math.max(x, 0),
  floor: (x) => Math.floor(x),
  ceil: (x) => Math.ceil(x),
  round,
  sqrt: (x) => Math.sqrt(x),
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  exp: (x) => Math.exp(x),
  expm1: (x) => Math.expm1(x),
  log: (x) => Math.log(x),
  log1p: (x) => Math.log1p(x),
  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  tanh: (x) => Math.tanh(x),
  sigmoid,
  erf,
};

/** Where a double does not hold the exact result before it wraps. */
const int32Scalars: { readonly [K in UnaryKind]?: Scalar } = {
  square: (x) => Math.imul(x, x),
};

const loop = (f: Scalar, x: Elements, y: Elements): void => {
  for (let i = 0; i < y.length; i++) y[i] = f(x[i] as number);
};

export const unaryKernels = (specialise: Specialise): Pick<CpuKernels, "unary"> => {
  const loops = lazyTable((kind: UnaryKind) => specialise(loop, `unary ${kind}`));
  return {
    unary: ({ inputs: [x], outputs: [y], attrs: { kind } }) => {
      const f = (x.dtype === "int32" && int32Scalars[kind]) || scalars[kind];
      loops(kind)(f, x.storage.elements, y.storage.elements);
    },
  };
};
