import { map, type NdArray, zip } from "./ndarray.js";
import { erf, normalCdf } from "./special-functions.js";

/** Half to even. */
const roundHalfEven = (x: number): number => {
  const floor = Math.floor(x);
  const fraction = x - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
};

export const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

export const unary = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: (x) => (x === 0 ? 0 : Math.sign(x)),
  square: (x) => x * x,
  relu: (x) => (x > 0 || Number.isNaN(x) ? x : 0),
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  sigmoid,
  erf,
} satisfies Record<string, (x: number) => number>;

export const binary = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  maximum: Math.max,
  minimum: Math.min,
  pow: (a, b) => a ** b,
} satisfies Record<string, (a: number, b: number) => number>;

const truth = (value: boolean): number => (value ? 1 : 0);

export const compare = {
  eq: (a, b) => truth(a === b),
  ne: (a, b) => truth(a !== b),
  lt: (a, b) => truth(a < b),
  le: (a, b) => truth(a <= b),
  gt: (a, b) => truth(a > b),
  ge: (a, b) => truth(a >= b),
} satisfies Record<string, (a: number, b: number) => number>;

export const logical = {
  logicalAnd: (a, b) => truth(a !== 0 && b !== 0),
  logicalOr: (a, b) => truth(a !== 0 || b !== 0),
} satisfies Record<string, (a: number, b: number) => number>;

export const logicalNot = (x: NdArray): NdArray => map(x, (value) => truth(value === 0));

export const where = (condition: NdArray, a: NdArray, b: NdArray): NdArray =>
  zip([condition, a, b], (c, x, y) => (c !== 0 ? x : y));

export const clamp = (x: NdArray, { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }): NdArray =>
  map(x, (value) => Math.min(Math.max(value, min), max));

export const relu = (x: NdArray): NdArray => map(x, unary.relu);
export const leakyRelu = (x: NdArray, slope: number): NdArray => map(x, (value) => (value > 0 ? value : slope * value));
export const elu = (x: NdArray, alpha: number): NdArray =>
  map(x, (value) => (value > 0 ? value : alpha * Math.expm1(value)));
export const gelu = (x: NdArray): NdArray => map(x, (value) => value * normalCdf(value));
export const silu = (x: NdArray): NdArray => map(x, (value) => value * sigmoid(value));
