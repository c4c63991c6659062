import type { Backend, DType, HostArray, Shape } from "./backend.js";
import { encode, expectElement, hostArray } from "./dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "./errors.js";
import { fill } from "./ops/fill.js";
import { drawBits } from "./ops/random-bits.js";
import { checkedAddress, type RandomAddress } from "./random/address.js";
import { fillNormal, fillUniform } from "./random/fill.js";
import { type Leak, type MemoryUsage, type Runtime, runtimeOf } from "./runtime.js";
import { scope } from "./scope.js";
import { expectShape, formatShape, sizeOf } from "./shape.js";
import { Tensor } from "./tensor.js";

export const runtimeFor = (backend: Backend): Runtime =>
  runtimeOf(backend, (runtime, ref, spec, edge) => new Tensor(runtime, ref, spec, edge));

export interface TensorOptions {
  readonly backend: Backend;
  /** Default float32; for a typed array the dtype it carries. */
  readonly dtype?: DType | undefined;
  /** Make the tensor a leaf that gradients are computed for. Default false. */
  readonly requiresGrad?: boolean | undefined;
}

/** In a scope, so that a tensor that cannot be a leaf is freed. */
const finish = (make: () => Tensor, { requiresGrad = false }: Pick<TensorOptions, "requiresGrad">): Tensor =>
  scope(() => make().setRequiresGrad(requiresGrad));

/** Nested arrays of numbers or booleans; a single one for rank 0. */
export type NestedData = number | boolean | readonly NestedData[];

/** The shape of nested arrays, going by the first of each. */
const nestedShape = (value: NestedData): number[] => {
  if (!Array.isArray(value)) return [];
  return [value.length, ...(value.length > 0 ? nestedShape(value[0]) : [])];
};

const flattenInto = (out: number[], value: NestedData, shape: Shape, axis: number): void => {
  const isArray = Array.isArray(value);
  if (isArray !== axis < shape.length || (isArray && value.length !== shape[axis]))
    throw new ShapeError(`tensor: the nested arrays are ragged, expected ${formatShape(shape)} throughout`);
  if (isArray) for (const item of value as readonly NestedData[]) flattenInto(out, item, shape, axis + 1);
  else if (typeof value === "number" || typeof value === "boolean") out.push(Number(value));
  else throw new ArgumentError(`tensor: ${String(value)} is no number`);
};

/** `Uint8Array` for a Buffer too, and for arrays of another realm. */
const carrierOf = (data: ArrayBufferView): string | undefined =>
  (data as { readonly [Symbol.toStringTag]?: string })[Symbol.toStringTag];

const dtypeOfCarrier: ReadonlyMap<string | undefined, DType> = /* @__PURE__ */ new Map<string, DType>([
  ["Float32Array", "float32"],
  ["Float64Array", "float64"],
  ["Int32Array", "int32"],
  ["Uint8Array", "uint8"],
]);

/** @throws DTypeError unless the array is what carries the dtype, ArgumentError for a bool that is not 0 or 1. */
const dtypeOf = (data: HostArray, asked: DType | undefined): DType => {
  const carrier = carrierOf(data);
  const dtype = asked ?? dtypeOfCarrier.get(carrier);
  if (!dtype)
    throw new DTypeError(`tensor: ${carrier} carries no dtype; expected ${[...dtypeOfCarrier.keys()].join(" or ")}`);
  const expected = carrierOf(hostArray(dtype, 0));
  if (carrier !== expected) throw new DTypeError(`tensor: ${carrier} does not carry ${dtype}, expected ${expected}`);
  if (dtype === "bool") for (const value of data) expectElement("tensor", value, "bool");
  return dtype;
};

export interface FromDataOptions extends TensorOptions {
  /** Default: of the nested arrays; [length] for a typed array. */
  readonly shape?: Shape | undefined;
}

/**
 * A tensor from host data, copied: a number or boolean, nested arrays of them, or a typed array in row-major order.
 *
 * @throws ShapeError for ragged arrays or a shape of another size; DTypeError for a typed array of another dtype;
 * ArgumentError for a number that an integer dtype cannot hold.
 */
export const tensor = (data: NestedData | HostArray, options: FromDataOptions): Tensor => {
  let values: HostArray;
  let natural: Shape;
  let dtype: DType;
  if (ArrayBuffer.isView(data)) {
    dtype = dtypeOf(data, options.dtype);
    values = data;
    natural = [data.length];
  } else {
    dtype = options.dtype ?? "float32";
    natural = nestedShape(data);
    const flat: number[] = [];
    flattenInto(flat, data, natural, 0);
    for (const value of flat) expectElement("tensor", value, dtype);
    values = encode(dtype, flat);
  }
  const shape = [...(options.shape ?? natural)];
  expectShape("tensor", shape);
  if (sizeOf(shape) !== values.length)
    throw new ShapeError(
      `tensor: shape ${formatShape(shape)} has ${sizeOf(shape)} elements, the data ${values.length}`,
    );
  return finish(() => runtimeFor(options.backend).fromHost("tensor", { shape, dtype }, values), options);
};

/** Every element `value`. @throws ShapeError; ArgumentError for a number that an integer dtype cannot hold. */
export const full = (shape: Shape, value: number, options: TensorOptions): Tensor => {
  expectShape("full", shape);
  const { backend, dtype = "float32" } = options;
  expectElement("full", value, dtype);
  return finish(() => fill(runtimeFor(backend), [...shape], dtype, value), options);
};

/** Zeros. */
export const zeros = (shape: Shape, options: TensorOptions): Tensor => full(shape, 0, options);

/** Ones. */
export const ones = (shape: Shape, options: TensorOptions): Tensor => full(shape, 1, options);

/** 0, 1, … count - 1, shape [count]. @throws ShapeError; ArgumentError for numbers that an integer dtype cannot hold. */
export const arange = (count: number, options: TensorOptions): Tensor => {
  expectShape("arange", [count]);
  const { backend, dtype = "float32" } = options;
  if (count > 0) expectElement("arange", count - 1, dtype);
  const values = encode(
    dtype,
    Array.from({ length: count }, (_, i) => i),
  );
  return finish(() => runtimeFor(backend).fromHost("arange", { shape: [count], dtype }, values), options);
};

export interface RandomOptions extends TensorOptions, RandomAddress {}

/** A tensor that `fill` draws; `op` names it in errors. */
const drawn = (
  op: string,
  shape: Shape,
  options: RandomOptions,
  fill: (values: Float32Array | Float64Array, address: RandomAddress) => void,
): Tensor => {
  const { backend, dtype = "float32" } = options;
  expectShape(op, shape);
  const address = checkedAddress(op, options);
  if (dtype !== "float32" && dtype !== "float64")
    throw new DTypeError(`${op}: dtype is ${dtype}, expected float32 or float64`);
  const values = hostArray(dtype, sizeOf(shape));
  fill(values, address);
  return finish(() => runtimeFor(backend).fromHost(op, { shape: [...shape], dtype }, values), options);
};

/** Uniform in [0, 1), drawn on the host: the same on every backend, a function of (seed, stream, offset) alone. */
export const rand = (shape: Shape, options: RandomOptions): Tensor => drawn("rand", shape, options, fillUniform);

/** Normal with mean 0 and variance 1, drawn on the host: see `rand`. */
export const randn = (shape: Shape, options: RandomOptions): Tensor => drawn("randn", shape, options, fillNormal);

/** int32 in [0, 2^24) from Philox4x32-10, the same bits on every backend. */
export const randomBits = (shape: Shape, options: RandomAddress & { readonly backend: Backend }): Tensor =>
  drawBits("randomBits", runtimeFor(options.backend), [...shape], options);

/** What is alive on `backend` now. */
export const memoryUsage = (backend: Backend): MemoryUsage => runtimeFor(backend).usage;

/**
 * Development aid: report tensors made from now on that the garbage collector finds undisposed, with the stack of where
 * they were made; null ends it. Costs time; nothing is freed by it.
 */
export const reportLeaks = (backend: Backend, report: ((leak: Leak) => void) | null): void =>
  runtimeFor(backend).reportLeaks(report);
