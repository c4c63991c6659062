/** The pointwise kinds on doubles: what a backend in JavaScript computes with, and one beside it falls back on. */
import type { BinaryKind, UnaryKind } from "./backend.js";
import { erf } from "./erf.js";

/** Half to even. Below 2^52, adding 2^52 leaves no bits for a fraction, and the addition rounds as IEEE 754 does. */
const round = (x: number): number => {
  const magnitude = Math.abs(x);
  return magnitude < 2 ** 52 ? Math.sign(x) * (magnitude + 2 ** 52 - 2 ** 52) : x;
};

/** 1 / (1 + e^-x), without overflow at either end. */
export const sigmoid = (x: number): number => {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
};

export const unaryScalars: { readonly [K in UnaryKind]: (x: number) => number } = {
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

export const binaryScalars: { readonly [K in BinaryKind]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  pow: (a, b) => a ** b,
};
