import { DTypeError } from "./errors.js";

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

export const isFloat = (dtype: DType): boolean => dtype === "float32" || dtype === "float64" || dtype === "float16";

/** @throws DTypeError unless `dtype` is one of `allowed`. */
export const expectDType = (op: string, argument: string, dtype: DType, allowed: readonly DType[]): void => {
  if (!allowed.includes(dtype))
    throw new DTypeError(`${op}: ${argument} is ${dtype}, expected ${allowed.join(" or ")}`);
};

export const floatDTypes: readonly DType[] = ["float32", "float64", "float16"];
export const numericDTypes: readonly DType[] = [...floatDTypes, "int32", "uint8"];
