import { ArgumentError } from "@striate/core";
import { quote } from "./errors.js";

/** What carries the elements of each dtype of safetensors. */
interface Carriers {
  readonly F64: Float64Array;
  readonly F32: Float32Array;
  /** IEEE 754 binary16 as its bits: see `float16ToFloat32`. */
  readonly F16: Uint16Array;
  /** The upper half of a float32 as its bits: see `bfloat16ToFloat32`. */
  readonly BF16: Uint16Array;
  readonly I64: BigInt64Array;
  readonly U64: BigUint64Array;
  readonly I32: Int32Array;
  readonly U32: Uint32Array;
  readonly I16: Int16Array;
  readonly U16: Uint16Array;
  readonly I8: Int8Array;
  readonly U8: Uint8Array;
  /** 0 or 1 */
  readonly BOOL: Uint8Array;
}

/** The dtypes of safetensors that are read and written, by the format's names. */
export type SafetensorsDType = keyof Carriers;

/** Elements in row-major order under a shape and a dtype of safetensors; `dtype` tells which array `data` is. */
export type HostTensor = {
  [D in SafetensorsDType]: { readonly dtype: D; readonly shape: readonly number[]; readonly data: Carriers[D] };
}[SafetensorsDType];

interface CarrierConstructor<A> {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
}

/** The constructor of each dtype's array. */
export const carriers: { readonly [D in SafetensorsDType]: CarrierConstructor<Carriers[D]> } = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
  I32: Int32Array,
  U32: Uint32Array,
  I16: Int16Array,
  U16: Uint16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
};

export const isSafetensorsDType = (name: string): name is SafetensorsDType => Object.hasOwn(carriers, name);

/** PyTorch's and NumPy's own limit. Without one, a file could have shapes of millions of axes, and tensors share them. */
export const maxRank = 64;

/**
 * Bytes of a tensor, or undefined where it has more than `maxRank` axes, a dimension is no count or the product of
 * dimensions leaves the safe integers, be it for a moment: [2^52, 2^52, 0] does, as in the format's reference
 * implementation.
 */
export const byteLengthOf = (dtype: SafetensorsDType, shape: readonly number[]): number | undefined => {
  if (shape.length > maxRank) return undefined;
  let bytes = carriers[dtype].BYTES_PER_ELEMENT;
  for (const n of shape) {
    if (!Number.isSafeInteger(n) || n < 0) return undefined;
    bytes *= n;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return bytes;
};

/** `[2, 3]`, shortened: a file may claim a million axes. */
export const formatShape = (shape: readonly number[]): string =>
  `[${shape.slice(0, 8).join(", ")}${shape.length > 8 ? ", …" : ""}]`;

/** Position of the first element of a BOOL tensor that is neither 0 nor 1, or -1. */
export const findNonBool = ({ dtype, data }: HostTensor): number =>
  dtype === "BOOL" ? data.findIndex((element) => element > 1) : -1;

/** Entries as a Map in their order. @throws ArgumentError for a name that is there twice. */
export const uniqueEntries = <T>(op: string, entries: Iterable<readonly [string, T]>): Map<string, T> => {
  const map = new Map<string, T>();
  for (const [name, value] of entries) {
    if (map.has(name)) throw new ArgumentError(`${op}: the name ${quote(name)} is there twice`);
    map.set(name, value);
  }
  return map;
};
