/** Loops in JavaScript, for backends whose data lies in the host's memory. */
import type { BinaryKind, UnaryKind } from "@striate/core/backend";
import { broadcastStrides, sizeOf } from "@striate/core/backend";
import type { Device, Info } from "./device.js";
import { erf } from "./erf.js";

/** Half to even: below 2^52, adding 2^52 leaves no bits for a fraction, and the addition rounds so. */
const round = (x: number): number => {
  const magnitude = Math.abs(x);
  return magnitude < 2 ** 52 ? Math.sign(x) * (magnitude + 2 ** 52 - 2 ** 52) : x;
};

const sigmoid = (x: number): number => {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
};

export const unaryScalars: { readonly [K in UnaryKind]: (x: number) => number } = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : x === 0 ? 0 : x),
  square: (x) => x * x,
  relu: (x) => Math.max(x, 0),
  floor: Math.floor,
  ceil: Math.ceil,
  round,
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
};

export const binaryScalars: { readonly [K in BinaryKind]: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  pow: (a, b) => a ** b,
};

const arrayFor = (info: Info, size: number): Float32Array | Int32Array =>
  info.dtype === "float32" ? new Float32Array(size) : new Int32Array(size);

export const mapOnHost =
  (device: Device, f: (x: number) => number) =>
  (x: Info): Info => {
    const values = device.valuesOf(x);
    const result = arrayFor(x, values.length);
    for (let i = 0; i < values.length; i++) result[i] = f(values[i] as number);
    return device.place(result, x.shape);
  };

/** The flat positions in an operand that the elements of a broadcast result come from. */
const sources = (shape: readonly number[], output: readonly number[]): Int32Array => {
  const strides = broadcastStrides(shape, output);
  const positions = new Int32Array(sizeOf(output));
  let block = 1;
  // From the last axis to the first: what is there is repeated, moved on by the stride of the axis.
  for (let axis = output.length - 1; axis >= 0; axis--) {
    const n = output[axis] as number;
    for (let i = 1; i < n; i++)
      for (let k = 0; k < block; k++)
        positions[i * block + k] = (positions[k] as number) + i * (strides[axis] as number);
    block *= n;
  }
  return positions;
};

const broadcastShape = (a: readonly number[], b: readonly number[]): number[] => {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], i: number): number => shape[i - rank + shape.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(at(a, i), at(b, i)));
};

export const zipOnHost =
  (device: Device, f: (a: number, b: number) => number) =>
  (a: Info, b: Info): Info => {
    const shape = broadcastShape(a.shape, b.shape);
    const padded = ({ shape: own }: Info): number[] => [
      ...new Array<number>(shape.length - own.length).fill(1),
      ...own,
    ];
    const [left, right] = [device.valuesOf(a), device.valuesOf(b)];
    const [ia, ib] = [sources(padded(a), shape), sources(padded(b), shape)];
    const result = arrayFor(a, ia.length);
    for (let i = 0; i < ia.length; i++)
      result[i] = f(left[ia[i] as number] as number, right[ib[i] as number] as number);
    return device.place(result, shape);
  };
