import { GradNode } from "./autograd/node.js";
import { type BackwardOptions, backward } from "./autograd/value-and-grad.js";
import type { Backend, DType, HostArray, Padding2d, Shape, TensorSpec } from "./backend.js";
import { currentScope, leaveScopes } from "./context.js";
import { decode, hostArray, isFloat } from "./dtype.js";
import { ArgumentError, DTypeError, GradientError, ShapeError, UnsupportedError } from "./errors.js";
import { type FormatOptions, formatData, formatHeader } from "./format.js";
import { elu, gelu, leakyRelu, silu, softplus } from "./ops/activation.js";
import { adaptiveAvgPool2d, adaptiveMaxPool2d } from "./ops/adaptive-pool2d.js";
import { argmax, argmin } from "./ops/arg-reduce.js";
import { type AvgPoolOptions, avgPool2d } from "./ops/avg-pool2d.js";
import { type BatchNormOptions, batchNorm } from "./ops/batch-norm.js";
import { add, div, maximum, minimum, mul, type Operand, pow, sub } from "./ops/binary.js";
import { cast } from "./ops/cast.js";
import { type ClampOptions, clamp } from "./ops/clamp.js";
import { eq, ge, gt, le, logicalAnd, logicalNot, logicalOr, lt, ne } from "./ops/compare.js";
import { type Conv2dOptions, type ConvTranspose2dOptions, conv2d, convTranspose2d } from "./ops/conv2d.js";
import { cumsum } from "./ops/cumsum.js";
import { type DropoutOptions, dropout } from "./ops/dropout.js";
import { expand } from "./ops/expand.js";
import { fullLike, onesLike, zerosLike } from "./ops/fill.js";
import { gather, indexSelect, oneHot, scatterAdd } from "./ops/gather.js";
import { type LocallyConnectedOptions, locallyConnected2d } from "./ops/locally-connected2d.js";
import { linear, type MatmulOptions, matmul } from "./ops/matmul.js";
import { maxPool2d, maxPool2dWithIndices, maxUnpool2d, type UnpoolOptions } from "./ops/max-pool2d.js";
import { type MaxoutOptions, maxout } from "./ops/maxout.js";
import {
  type GroupNormOptions,
  groupNorm,
  type LayerNormOptions,
  type LocalResponseNormOptions,
  layerNorm,
  localResponseNorm,
} from "./ops/norms.js";
import { type Pad2dOptions, type PadOptions, pad, pad2d } from "./ops/pad.js";
import { permute, transpose } from "./ops/permute.js";
import type { PoolOptions } from "./ops/pool-options.js";
import {
  type Axes,
  logSumExp,
  max,
  mean,
  min,
  type ReduceOptions,
  sum,
  type VarianceOptions,
  variance,
} from "./ops/reduce.js";
import { flatten, reshape, squeeze, unsqueeze } from "./ops/reshape.js";
import { flip, type SliceOptions, slice } from "./ops/slice.js";
import { logSoftmax, softmax } from "./ops/softmax.js";
import {
  abs,
  ceil,
  cos,
  erf,
  exp,
  expm1,
  floor,
  log,
  log1p,
  neg,
  reciprocal,
  relu,
  round,
  rsqrt,
  sigmoid,
  sign,
  sin,
  sqrt,
  square,
  tanh,
} from "./ops/unary.js";
import { type FoldOptions, fold2d, type UnfoldOptions, unfold2d } from "./ops/unfold2d.js";
import { type UpsampleOptions, upsample2d } from "./ops/upsample2d.js";
import { where } from "./ops/where.js";
import type { PairLike } from "./ops/window.js";
import { type Edge, expectAlive, type Runtime, type StorageRef } from "./runtime.js";
import { formatShape, sameShape, sizeOf } from "./shape.js";

/** Nested arrays of numbers; a number for rank 0. */
export type NestedNumbers = number | readonly NestedNumbers[];

/**
 * An n-dimensional array on a backend. Its elements never change; the handle can be rebound by `assign`, which is how
 * parameters and running statistics move. Make one with `tensor`, `zeros` and their kin; every method is also a
 * function, where its documentation stands.
 */
export class Tensor {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  /** The accumulated gradient of a leaf, after `backward()`. */
  grad: Tensor | null = null;
  /** @internal */
  readonly runtime: Runtime;
  /** @internal */
  ref: StorageRef;
  /** @internal */
  edge: Edge | null;
  #disposed = false;

  /** @internal */
  constructor(runtime: Runtime, ref: StorageRef, spec: TensorSpec, edge: Edge | null) {
    this.shape = spec.shape;
    this.dtype = spec.dtype;
    this.size = sizeOf(spec.shape);
    this.runtime = runtime;
    this.ref = ref;
    this.edge = edge;
    runtime.enter(this);
    currentScope()?.members.add(this);
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  get backend(): Backend {
    return this.runtime.backend;
  }

  /** True for leaves that want a gradient and for everything computed from them. */
  get requiresGrad(): boolean {
    return this.edge !== null;
  }

  get isDisposed(): boolean {
    return this.#disposed;
  }

  /** Free the handle, and the storage with its last user. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.grad?.dispose();
    this.grad = null;
    this.edge?.node.release();
    this.edge = null;
    this.runtime.release(this.ref);
    this.runtime.leave(this);
    leaveScopes(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The elements in row-major order, copied to the host; float16 as its bits. Errors of the device come out here. */
  async data(): Promise<HostArray> {
    expectAlive("data", "the tensor", this);
    this.runtime.expectAlive();
    const { storage } = this.ref;
    if (!storage) return hostArray(this.dtype, 0);
    const { shape, dtype } = this;
    return this.runtime.read("data", { shape, dtype, storage });
  }

  /** `data()` without waiting. @throws UnsupportedError where the backend cannot. */
  dataSync(): HostArray {
    expectAlive("dataSync", "the tensor", this);
    this.runtime.expectAlive();
    const { storage } = this.ref;
    if (!storage) return hostArray(this.dtype, 0);
    if (!this.backend.caps.syncRead || !this.backend.readSync)
      throw new UnsupportedError("dataSync", this.backend.name, "it reads asynchronously only; await data()");
    return this.backend.readSync({ shape: this.shape, dtype: this.dtype, storage });
  }

  /** The only element. @throws ShapeError if there are more or fewer. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: the tensor is ${formatShape(this.shape)}, expected one element`);
    return decode(this.dtype, await this.data())[0] as number;
  }

  /** The elements as nested arrays. */
  async toArray(): Promise<NestedNumbers> {
    const data = decode(this.dtype, await this.data());
    const nest = (axis: number, at: number, size: number): NestedNumbers => {
      if (axis === this.rank) return data[at] as number;
      const n = this.shape[axis] as number;
      return Array.from({ length: n }, (_, i) => nest(axis + 1, at + (i * size) / n, size / n));
    };
    return nest(0, 0, this.size);
  }

  /** Header and elements as text, long axes shortened. */
  async format(options?: FormatOptions): Promise<string> {
    return `${formatHeader(this, this.backend.name)}\n${formatData(this, await this.data(), options)}`;
  }

  /** As `format` where the backend reads synchronously, else the header alone. Never throws for a state of the tensor. */
  toString(): string {
    const header = formatHeader(this, this.backend.name);
    if (this.#disposed) return `${header} (disposed)`;
    if (this.runtime.isLost) return `${header} (lost)`;
    return this.backend.caps.syncRead ? `${header}\n${formatData(this, this.dataSync())}` : header;
  }

  /** What Node's console.log shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** The same elements without a gradient; shares storage. */
  detach(): Tensor {
    expectAlive("detach", "the tensor", this);
    return this.runtime.tensor(this.ref, { shape: this.shape, dtype: this.dtype });
  }

  /** @internal Another handle on the same value with the same gradient. */
  alias(): Tensor {
    return this.runtime.tensor(this.ref, { shape: this.shape, dtype: this.dtype }, this.edge);
  }

  /**
   * Let this handle stand for the elements of `value` from now on. What was recorded with the old ones keeps them.
   *
   * @throws ShapeError, DTypeError, ArgumentError unless shape, dtype and backend agree; GradientError on a tensor that
   * was computed from others that require a gradient.
   */
  assign(value: Tensor): void {
    expectAlive("assign", "the tensor", this);
    expectAlive("assign", "value", value);
    if (!sameShape(this.shape, value.shape))
      throw new ShapeError(`assign: value is ${formatShape(value.shape)}, the tensor ${formatShape(this.shape)}`);
    if (this.dtype !== value.dtype) throw new DTypeError(`assign: value is ${value.dtype}, the tensor ${this.dtype}`);
    if (this.runtime !== value.runtime)
      throw new ArgumentError(`assign: value is on backend ${value.backend.name}, the tensor on ${this.backend.name}`);
    if (this.edge && !this.edge.node.leaf)
      throw new GradientError("assign: the tensor is the result of a recorded op, expected a leaf");
    const old = this.ref;
    this.ref = value.ref;
    this.runtime.retain(value.ref);
    this.runtime.release(old);
  }

  /** Make this tensor a leaf that gradients are computed for, or a constant. Returns the tensor. */
  setRequiresGrad(requiresGrad: boolean): this {
    expectAlive("setRequiresGrad", "the tensor", this);
    if (requiresGrad === this.requiresGrad) return this;
    if (this.edge && !this.edge.node.leaf)
      throw new GradientError("setRequiresGrad: the tensor is the result of a recorded op; detach it");
    if (requiresGrad && !isFloat(this.dtype))
      throw new DTypeError(`setRequiresGrad: the tensor is ${this.dtype}, only floats have gradients`);
    this.edge?.node.release();
    this.edge = requiresGrad ? { node: GradNode.leaf(this), index: 0 } : null;
    this.edge?.node.retain();
    return this;
  }

  backward(options?: BackwardOptions): void {
    backward(this, options);
  }

  neg(): Tensor {
    return neg(this);
  }

  abs(): Tensor {
    return abs(this);
  }

  sign(): Tensor {
    return sign(this);
  }

  square(): Tensor {
    return square(this);
  }

  relu(): Tensor {
    return relu(this);
  }

  floor(): Tensor {
    return floor(this);
  }

  ceil(): Tensor {
    return ceil(this);
  }

  round(): Tensor {
    return round(this);
  }

  sqrt(): Tensor {
    return sqrt(this);
  }

  rsqrt(): Tensor {
    return rsqrt(this);
  }

  reciprocal(): Tensor {
    return reciprocal(this);
  }

  exp(): Tensor {
    return exp(this);
  }

  expm1(): Tensor {
    return expm1(this);
  }

  log(): Tensor {
    return log(this);
  }

  log1p(): Tensor {
    return log1p(this);
  }

  sin(): Tensor {
    return sin(this);
  }

  cos(): Tensor {
    return cos(this);
  }

  tanh(): Tensor {
    return tanh(this);
  }

  sigmoid(): Tensor {
    return sigmoid(this);
  }

  erf(): Tensor {
    return erf(this);
  }

  gelu(): Tensor {
    return gelu(this);
  }

  silu(): Tensor {
    return silu(this);
  }

  softplus(): Tensor {
    return softplus(this);
  }

  logicalNot(): Tensor {
    return logicalNot(this);
  }

  zerosLike(): Tensor {
    return zerosLike(this);
  }

  onesLike(): Tensor {
    return onesLike(this);
  }

  add(other: Operand): Tensor {
    return add(this, other);
  }

  sub(other: Operand): Tensor {
    return sub(this, other);
  }

  mul(other: Operand): Tensor {
    return mul(this, other);
  }

  div(other: Operand): Tensor {
    return div(this, other);
  }

  maximum(other: Operand): Tensor {
    return maximum(this, other);
  }

  minimum(other: Operand): Tensor {
    return minimum(this, other);
  }

  pow(other: Operand): Tensor {
    return pow(this, other);
  }

  eq(other: Operand): Tensor {
    return eq(this, other);
  }

  ne(other: Operand): Tensor {
    return ne(this, other);
  }

  lt(other: Operand): Tensor {
    return lt(this, other);
  }

  le(other: Operand): Tensor {
    return le(this, other);
  }

  gt(other: Operand): Tensor {
    return gt(this, other);
  }

  ge(other: Operand): Tensor {
    return ge(this, other);
  }

  logicalAnd(other: Tensor): Tensor {
    return logicalAnd(this, other);
  }

  logicalOr(other: Tensor): Tensor {
    return logicalOr(this, other);
  }

  fullLike(value: number): Tensor {
    return fullLike(this, value);
  }

  where(a: Operand, b: Operand): Tensor {
    return where(this, a, b);
  }

  clamp(options: ClampOptions): Tensor {
    return clamp(this, options);
  }

  leakyRelu(negativeSlope?: number): Tensor {
    return leakyRelu(this, negativeSlope);
  }

  elu(alpha?: number): Tensor {
    return elu(this, alpha);
  }

  cast(dtype: DType): Tensor {
    return cast(this, dtype);
  }

  sum(axes?: Axes, options?: ReduceOptions): Tensor {
    return sum(this, axes, options);
  }

  mean(axes?: Axes, options?: ReduceOptions): Tensor {
    return mean(this, axes, options);
  }

  max(axes?: Axes, options?: ReduceOptions): Tensor {
    return max(this, axes, options);
  }

  min(axes?: Axes, options?: ReduceOptions): Tensor {
    return min(this, axes, options);
  }

  logSumExp(axes?: Axes, options?: ReduceOptions): Tensor {
    return logSumExp(this, axes, options);
  }

  variance(axes?: Axes, options?: VarianceOptions): Tensor {
    return variance(this, axes, options);
  }

  argmax(axis?: number, options?: ReduceOptions): Tensor {
    return argmax(this, axis, options);
  }

  argmin(axis?: number, options?: ReduceOptions): Tensor {
    return argmin(this, axis, options);
  }

  cumsum(axis: number): Tensor {
    return cumsum(this, axis);
  }

  softmax(axis?: number): Tensor {
    return softmax(this, axis);
  }

  logSoftmax(axis?: number): Tensor {
    return logSoftmax(this, axis);
  }

  matmul(other: Tensor, options?: MatmulOptions): Tensor {
    return matmul(this, other, options);
  }

  linear(weight: Tensor, bias?: Tensor): Tensor {
    return linear(this, weight, bias);
  }

  reshape(shape: Shape): Tensor {
    return reshape(this, shape);
  }

  expand(shape: Shape): Tensor {
    return expand(this, shape);
  }

  flatten(startAxis?: number): Tensor {
    return flatten(this, startAxis);
  }

  squeeze(axis?: number): Tensor {
    return squeeze(this, axis);
  }

  unsqueeze(axis: number): Tensor {
    return unsqueeze(this, axis);
  }

  permute(perm: readonly number[]): Tensor {
    return permute(this, perm);
  }

  transpose(a?: number, b?: number): Tensor {
    return transpose(this, a, b);
  }

  slice(options: SliceOptions): Tensor {
    return slice(this, options);
  }

  flip(axes: number | readonly number[]): Tensor {
    return flip(this, axes);
  }

  pad(options: PadOptions): Tensor {
    return pad(this, options);
  }

  pad2d(padding: Padding2d, options?: Pad2dOptions): Tensor {
    return pad2d(this, padding, options);
  }

  gather(axis: number, index: Tensor): Tensor {
    return gather(this, axis, index);
  }

  indexSelect(axis: number, index: Tensor): Tensor {
    return indexSelect(this, axis, index);
  }

  scatterAdd(axis: number, index: Tensor, source: Tensor): Tensor {
    return scatterAdd(this, axis, index, source);
  }

  oneHot(classes: number, dtype?: DType): Tensor {
    return oneHot(this, classes, dtype);
  }

  conv2d(weight: Tensor, options?: Conv2dOptions): Tensor {
    return conv2d(this, weight, options);
  }

  convTranspose2d(weight: Tensor, options?: ConvTranspose2dOptions): Tensor {
    return convTranspose2d(this, weight, options);
  }

  locallyConnected2d(weight: Tensor, options?: LocallyConnectedOptions): Tensor {
    return locallyConnected2d(this, weight, options);
  }

  unfold2d(options: UnfoldOptions): Tensor {
    return unfold2d(this, options);
  }

  fold2d(options: FoldOptions): Tensor {
    return fold2d(this, options);
  }

  maxPool2d(options: PoolOptions): Tensor {
    return maxPool2d(this, options);
  }

  maxUnpool2d(indices: Tensor, options: UnpoolOptions): Tensor {
    return maxUnpool2d(this, indices, options);
  }

  avgPool2d(options: AvgPoolOptions): Tensor {
    return avgPool2d(this, options);
  }

  adaptiveAvgPool2d(outputSize: PairLike): Tensor {
    return adaptiveAvgPool2d(this, outputSize);
  }

  adaptiveMaxPool2d(outputSize: PairLike): Tensor {
    return adaptiveMaxPool2d(this, outputSize);
  }

  upsample2d(options: UpsampleOptions): Tensor {
    return upsample2d(this, options);
  }

  batchNorm(options: BatchNormOptions): Tensor {
    return batchNorm(this, options);
  }

  layerNorm(options?: LayerNormOptions): Tensor {
    return layerNorm(this, options);
  }

  groupNorm(options: GroupNormOptions): Tensor {
    return groupNorm(this, options);
  }

  localResponseNorm(options: LocalResponseNormOptions): Tensor {
    return localResponseNorm(this, options);
  }

  dropout(options: DropoutOptions): Tensor {
    return dropout(this, options);
  }

  maxout(options: MaxoutOptions): Tensor {
    return maxout(this, options);
  }

  maxPool2dWithIndices(options: PoolOptions): { y: Tensor; indices: Tensor } {
    return maxPool2dWithIndices(this, options);
  }
}
