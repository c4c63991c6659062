/** Element types as the suite needs them: rounding, spacing, and the way to host arrays and back. */
import type { DType, HostArray } from "@striate/core/backend";
import { hostArray, isFloat } from "@striate/core/backend";

export { isFloat };

const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);

/** IEEE 754 binary16 bits of the nearest half, ties to even. */
export const toHalf = (value: number): number => {
  float32[0] = value;
  const bits = bits32[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(value)) return sign | 0x7e00;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = magnitude < 2 ** -14 ? -14 : Math.floor(Math.log2(magnitude));
  const steps = roundHalfEven(magnitude / 2 ** (exponent - 10));
  // `steps` counts from 0 in the subnormal range, from 1024 above; a carry moves into the exponent by itself.
  return sign | (exponent === -14 ? steps : ((exponent + 14) << 10) + steps);
};

export const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
};

const roundHalfEven = (x: number): number => {
  const floor = Math.floor(x);
  const fraction = x - floor;
  return fraction > 0.5 || (fraction === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
};

interface Format {
  /** Short name in sample ids. */
  readonly tag: string;
  /** The value as an element of this type holds it. */
  round(value: number): number;
  /** Distance from 1 to the next number; 0 for integers. */
  readonly epsilon: number;
  /** Distance between the two smallest numbers. */
  readonly tiniest: number;
  /** Fraction bits, without the leading one. */
  readonly fractionBits: number;
}

export const formats: Readonly<Record<DType, Format>> = {
  float32: { tag: "f32", round: Math.fround, epsilon: 2 ** -23, tiniest: 2 ** -149, fractionBits: 23 },
  float64: { tag: "f64", round: (x) => x, epsilon: 2 ** -52, tiniest: 2 ** -1074, fractionBits: 52 },
  float16: { tag: "f16", round: (x) => fromHalf(toHalf(x)), epsilon: 2 ** -10, tiniest: 2 ** -24, fractionBits: 10 },
  int32: { tag: "i32", round: (x) => x | 0, epsilon: 0, tiniest: 1, fractionBits: 0 },
  uint8: { tag: "u8", round: (x) => x & 0xff, epsilon: 0, tiniest: 1, fractionBits: 0 },
  bool: { tag: "bool", round: (x) => (x === 0 ? 0 : 1), epsilon: 0, tiniest: 1, fractionBits: 0 },
};

/** Unit in the last place: the distance between neighbouring numbers of a format around `value`. */
export const ulp = (dtype: DType, value: number): number => {
  const { tiniest, fractionBits } = formats[dtype];
  const magnitude = Math.abs(value);
  if (!Number.isFinite(magnitude) || magnitude === 0) return tiniest;
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--;
  return Math.max(tiniest, 2 ** (exponent - fractionBits));
};

/** Numbers into the host array that carries them. */
export const encode = (dtype: DType, values: ArrayLike<number>): HostArray => {
  const host = hostArray(dtype, values.length);
  const put = dtype === "float16" ? toHalf : (value: number): number => value;
  for (let i = 0; i < values.length; i++) host[i] = put(values[i] as number);
  return host;
};

export const decode = (dtype: DType, host: ArrayLike<number>): Float64Array =>
  dtype === "float16" ? Float64Array.from(host, fromHalf) : Float64Array.from(host);
