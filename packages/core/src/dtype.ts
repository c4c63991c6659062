import { ArgumentError, DTypeError } from "./errors.js";

/** Element types. `float64` and `float16` exist only where the backend declares them in `caps.dtypes`. */
export type DType = "float32" | "float64" | "float16" | "int32" | "uint8" | "bool";

/** The typed array that carries elements of `D` on the host. `float16` travels as its bits, `bool` as 0 or 1. */
export type HostArray<D extends DType = DType> = D extends "float32"
  ? Float32Array
  : D extends "float64"
    ? Float64Array
    : D extends "int32"
      ? Int32Array
      : D extends "float16"
        ? Uint16Array
        : Uint8Array;

/** Bytes of one element on the host. */
export const bytesPerElement: Readonly<Record<DType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  int32: 4,
  uint8: 1,
  bool: 1,
};

const constructors: { readonly [D in DType]: new (length: number) => HostArray<D> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** A zero-filled host array of `length` elements. */
export const hostArray = <D extends DType>(dtype: D, length: number): HostArray<D> => new constructors[dtype](length);

/** binary16 bits of a number, rounded half to even. */
const float16Bits = (value: number): number => {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const x = Math.abs(value);
  if (Number.isNaN(x)) return 0x7e00;
  // Steps between neighbours are 2^-24 below the smallest normal number, else 2^-10 of the power of two below.
  const exponent = Math.min(16, Math.max(-14, Math.floor(Math.log2(x))));
  const steps = x / 2 ** (exponent - 10);
  const down = Math.floor(steps);
  const rest = steps - down;
  const mantissa = rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
  // Rounding up to the next power of two carries into the exponent.
  return sign | Math.min(0x7c00, ((exponent + 14) << 10) + mantissa);
};

const float16Value = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1024 + mantissa) * 2 ** (exponent - 25);
};

/** Numbers as the host array that carries `dtype`. */
export const encode = <D extends DType>(dtype: D, numbers: ArrayLike<number>): HostArray<D> => {
  const host = hostArray(dtype, numbers.length);
  host.set(dtype === "float16" ? Array.from(numbers, float16Bits) : numbers);
  return host;
};

/** The numbers that a host array of `dtype` stands for. */
export const decode = (dtype: DType, host: HostArray): ArrayLike<number> =>
  dtype === "float16" ? Float32Array.from(host, float16Value) : host;

export const isFloat = (dtype: DType): boolean => dtype === "float32" || dtype === "float64" || dtype === "float16";

/** @throws DTypeError unless `dtype` is one of `allowed`. */
export const expectDType = (op: string, argument: string, dtype: DType, allowed: readonly DType[]): void => {
  if (!allowed.includes(dtype))
    throw new DTypeError(`${op}: ${argument} is ${dtype}, expected ${allowed.join(" or ")}`);
};

const integerRanges: { readonly [D in DType]?: readonly [number, number] } = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint8: [0, 255],
  bool: [0, 1],
};

/** The numbers that `dtype` can hold, from least to greatest. */
export const rangeOf = (dtype: DType): readonly [number, number] =>
  integerRanges[dtype] ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

/** @throws ArgumentError for a number that an integer dtype cannot hold. */
export const expectElement = (op: string, value: number, dtype: DType): void => {
  if (isFloat(dtype)) return;
  const [least, greatest] = rangeOf(dtype);
  if (!Number.isInteger(value) || value < least || value > greatest)
    throw new ArgumentError(`${op}: ${value} is no ${dtype}`);
};

export const floatDTypes: readonly DType[] = ["float32", "float64", "float16"];
export const numericDTypes: readonly DType[] = [...floatDTypes, "int32", "uint8"];
