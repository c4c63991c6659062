import type { Backend, DType, HostArray, Shape } from "./backend.js";
import { hostArray, isFloat } from "./dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "./errors.js";
import { fill } from "./ops/fill.js";
import { checkedAddress, drawBits, type RandomAddress } from "./ops/random-bits.js";
import { randomWords } from "./random/philox.js";
import { type Leak, type MemoryUsage, type Runtime, runtimeOf } from "./runtime.js";
import { expectShape, formatShape, sizeOf } from "./shape.js";
import { type NestedNumbers, Tensor } from "./tensor.js";

const runtimeFor = (backend: Backend): Runtime =>
  runtimeOf(backend, (runtime, ref, spec, edge) => new Tensor(runtime, ref, spec, edge));

export interface TensorOptions {
  readonly backend: Backend;
  /** Default float32; for a typed array the dtype it carries. */
  readonly dtype?: DType | undefined;
  /** Make the tensor a leaf that gradients are computed for. Default false. */
  readonly requiresGrad?: boolean;
}

const finish = (tensor: Tensor, { requiresGrad = false }: { readonly requiresGrad?: boolean }): Tensor =>
  tensor.setRequiresGrad(requiresGrad);

/** The shape of nested arrays. @throws ShapeError if they are ragged. */
const nestedShape = (value: NestedNumbers): number[] => {
  if (typeof value === "number") return [];
  const inner = value.length > 0 ? nestedShape(value[0] as NestedNumbers) : [];
  return [value.length, ...inner];
};

const flattenInto = (out: number[], value: NestedNumbers | boolean, shape: Shape, axis: number): void => {
  const isArray = Array.isArray(value);
  if (isArray !== axis < shape.length || (isArray && value.length !== shape[axis]))
    throw new ShapeError(`tensor: the nested arrays are ragged, expected ${formatShape(shape)} throughout`);
  if (isArray) for (const item of value) flattenInto(out, item, shape, axis + 1);
  else out.push(Number(value));
};

const dtypeOf = (data: ArrayBufferView): DType => {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof Uint8Array) return "uint8";
  throw new DTypeError(
    `tensor: ${data.constructor.name} carries no dtype; expected Float32Array, Float64Array, Int32Array or Uint8Array`,
  );
};

/** @throws DTypeError unless the array is what carries `dtype`. */
const expectCarrier = (data: HostArray, dtype: DType): void => {
  if (data.constructor !== hostArray(dtype, 0).constructor)
    throw new DTypeError(`tensor: ${data.constructor.name} does not carry ${dtype}`);
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
export const tensor = (
  data: NestedNumbers | boolean | readonly boolean[] | HostArray,
  options: FromDataOptions,
): Tensor => {
  let values: HostArray;
  let natural: Shape;
  let dtype: DType;
  if (ArrayBuffer.isView(data)) {
    dtype = options.dtype ?? dtypeOf(data);
    expectCarrier(data, dtype);
    values = data;
    natural = [data.length];
  } else {
    const nested = data as NestedNumbers;
    dtype = options.dtype ?? "float32";
    natural = typeof data === "boolean" ? [] : nestedShape(nested);
    const flat: number[] = [];
    flattenInto(flat, nested, natural, 0);
    values = hostArray(dtype, flat.length);
    values.set(flat);
    const wrong = isFloat(dtype) ? -1 : flat.findIndex((v, i) => values[i] !== v);
    if (wrong >= 0) throw new ArgumentError(`tensor: ${flat[wrong]} is no ${dtype}`);
  }
  const shape = options.shape ?? natural;
  expectShape("tensor", shape);
  if (sizeOf(shape) !== values.length)
    throw new ShapeError(
      `tensor: shape ${formatShape(shape)} has ${sizeOf(shape)} elements, the data ${values.length}`,
    );
  return finish(runtimeFor(options.backend).fromHost("tensor", { shape, dtype }, values), options);
};

/** Every element `value`. */
export const full = (shape: Shape, value: number, options: TensorOptions): Tensor => {
  expectShape("full", shape);
  return finish(fill(runtimeFor(options.backend), shape, options.dtype ?? "float32", value), options);
};

/** Zeros. */
export const zeros = (shape: Shape, options: TensorOptions): Tensor => full(shape, 0, options);

/** Ones. */
export const ones = (shape: Shape, options: TensorOptions): Tensor => full(shape, 1, options);

/** 0, 1, … count - 1, shape [count]. */
export const arange = (count: number, options: TensorOptions): Tensor => {
  expectShape("arange", [count]);
  const { dtype = "float32" } = options;
  const values = hostArray(dtype, count);
  for (let i = 0; i < count; i++) values[i] = i;
  return finish(runtimeFor(options.backend).fromHost("arange", { shape: [count], dtype }, values), options);
};

export interface RandomOptions extends TensorOptions, RandomAddress {}

/** Uniform in [0, 1) with the resolution of a Philox word's upper bits: 24 for float32, 32 for float64. */
const uniforms = (address: RandomAddress, count: number, bits: 24 | 32): Float64Array => {
  const { seed, stream, offset } = checkedAddress("rand", address);
  const words = randomWords(seed, stream, offset, count);
  return Float64Array.from(words, (word) => (word >>> (32 - bits)) / 2 ** bits);
};

const fromValues = (op: string, shape: Shape, data: Float64Array, options: TensorOptions): Tensor => {
  const { dtype = "float32" } = options;
  if (dtype !== "float32" && dtype !== "float64")
    throw new DTypeError(`${op}: dtype is ${dtype}, expected float32 or float64`);
  const values = dtype === "float64" ? data : Float32Array.from(data);
  return finish(runtimeFor(options.backend).fromHost(op, { shape, dtype }, values), options);
};

/** Uniform in [0, 1), drawn on the host: the same on every backend, a function of (seed, stream, offset) alone. */
export const rand = (shape: Shape, options: RandomOptions): Tensor => {
  expectShape("rand", shape);
  return fromValues("rand", shape, uniforms(options, sizeOf(shape), options.dtype === "float64" ? 32 : 24), options);
};

/**
 * Normal with mean 0 and variance 1 by Box and Muller 1958, drawn on the host: the same on every backend, a function of
 * (seed, stream, offset) alone.
 */
export const randn = (shape: Shape, options: RandomOptions): Tensor => {
  expectShape("randn", shape);
  const count = sizeOf(shape);
  const u = uniforms(options, 2 * Math.ceil(count / 2), 32);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - (u[i] as number)));
    const angle = 2 * Math.PI * (u[i + 1] as number);
    values[i] = radius * Math.cos(angle);
    if (i + 1 < count) values[i + 1] = radius * Math.sin(angle);
  }
  return fromValues("randn", shape, values, options);
};

/** int32 in [0, 2^24) from Philox4x32-10, the same bits on every backend. */
export const randomBits = (shape: Shape, options: RandomAddress & { readonly backend: Backend }): Tensor =>
  drawBits(runtimeFor(options.backend), shape, options);

/** What is alive on `backend` now. */
export const memoryUsage = (backend: Backend): MemoryUsage => runtimeFor(backend).usage;

/**
 * Development aid: report tensors made from now on that the garbage collector finds undisposed, with the stack of where
 * they were made; null ends it. Costs time; nothing is freed by it.
 */
export const reportLeaks = (backend: Backend, report: ((leak: Leak) => void) | null): void =>
  runtimeFor(backend).reportLeaks(report);
