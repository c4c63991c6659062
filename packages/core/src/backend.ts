/**
 * The interface that backends implement: `@striate/core/backend`.
 *
 * A backend is a plain value: storage functions and a table of kernels. Core validates every call, works out the
 * output shapes, allocates the outputs and then calls the kernel; kernels only fill them. The contract, once:
 *
 * - Logical layout is row-major and contiguous, NCHW for images, OIHW for weights. What a `Storage` really holds is
 *   the backend's own business, as long as `read(write(x))` gives `x` back under any view of the same size.
 * - An operand is a storage seen under a shape and dtype. Reshapes are free: the same storage may arrive under
 *   another shape of the same size. Never cache shape on the storage as if it were the only one.
 * - Kernels never see a tensor with a zero-size dimension: core handles those.
 * - Kernels never validate shapes or dtypes: core did. They do check *values* that core cannot see: an index outside
 *   its axis throws `IndexError` (at the latest at the next read or sync), never clamps.
 * - An output never shares storage with an input, and contents of an output are unspecified before the kernel runs.
 * - Calls take effect in dispatch order. Kernels read nothing but their call.
 * - NaN propagates through every op (`max`, `relu` and pooling included) unless `caps.nan` says otherwise.
 * - Sums accumulate in at least float32.
 */
import type { DType, HostArray } from "./dtype.js";

export type { DType, HostArray } from "./dtype.js";
export { bytesPerElement, hostArray, isFloat } from "./dtype.js";
export { erf, erfc } from "./erf.js";
export {
  ArgumentError,
  BackendLostError,
  DisposedError,
  IndexError,
  KernelError,
  OutOfMemoryError,
  StriateError,
  UnsupportedError,
} from "./errors.js";
export { philox4x32, randomWords } from "./random/philox.js";
export { binaryScalars, sigmoid, unaryScalars } from "./scalars.js";
export { around, broadcastStrides, collapseAxes, mergeAxes, type Nest, rowMajorStrides, sizeOf } from "./shape.js";
export { delegate, wrapKernels } from "./wrap.js";

export type Shape = readonly number[];

export interface TensorSpec {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Opaque to core. */
export type Storage = object;

/** A storage seen under a shape and dtype. */
export interface Operand<S extends Storage = Storage> extends TensorSpec {
  readonly storage: S;
}

// ---------------------------------------------------------------------------------------------------------------
// Kinds and attributes

/** One input, one output, same shape and dtype. `neg abs sign square relu` also take int32; the rest floats only. */
export type UnaryKind =
  | "neg"
  | "abs"
  /** -1, 0 or 1; sign(±0) = 0, sign(NaN) = NaN. */
  | "sign"
  | "square"
  /** max(x, 0); relu(NaN) = NaN. */
  | "relu"
  | "floor"
  | "ceil"
  /** Half to even, as IEEE 754 and PyTorch. */
  | "round"
  | "sqrt"
  | "rsqrt"
  | "reciprocal"
  | "exp"
  | "expm1"
  | "log"
  | "log1p"
  | "sin"
  | "cos"
  | "tanh"
  /** 1 / (1 + e^-x), without overflow at either end. */
  | "sigmoid"
  | "erf";

/**
 * `div` and `pow` take floats only, the others also int32 and uint8 (wrapping). `max` and `min` propagate NaN.
 * pow(x, 0) = 1 for every x; pow(1, NaN) and pow(±1, ±Infinity) are unspecified.
 */
export type BinaryKind = "add" | "sub" | "mul" | "div" | "max" | "min" | "pow";

export type CompareKind = "eq" | "ne" | "lt" | "le";

/** `alpha` is used by `leakyRelu` (negative slope), `elu` (scale) and `softplus` (unused, 1). */
export type ActivationKind =
  /** x > 0 ? x : alpha * x */
  | "leakyRelu"
  /** x > 0 ? x : alpha * (e^x - 1) */
  | "elu"
  /** x * Phi(x) with the exact error function */
  | "gelu"
  /** x * sigmoid(x) */
  | "silu"
  /** log(1 + e^x), computed as max(x, 0) + log1p(e^-|x|) */
  | "softplus";

/** The steps of a `pointwise` chain: the binary and unary kinds of these names. */
export type PointwiseKind = "add" | "sub" | "mul" | "div" | "max" | "min" | "neg" | "square" | "sqrt";

/**
 * A step and its one or two operands: i >= 0 is input i, or step i - (number of inputs); -1 - i is scalar i. The first
 * operand is no scalar.
 */
export type PointwiseStep = readonly [kind: PointwiseKind, a: number, b?: number];

export interface PointwiseAttrs {
  readonly steps: readonly PointwiseStep[];
  /** Which steps are the outputs; an index as in a step. */
  readonly outputs: readonly number[];
  /** Constants, rounded to the inputs' dtype before use. They change from call to call. */
  readonly scalars: readonly number[];
  /** Equal for chains that differ in their scalars only. */
  readonly key: string;
}

/** [top, bottom, left, right] */
export type Padding2d = readonly [number, number, number, number];
/** [vertical, horizontal] */
export type Pair = readonly [number, number];

/** Geometry of a sliding window over the last two axes. */
export interface Window2d {
  readonly kernel: Pair;
  readonly stride: Pair;
  readonly padding: Padding2d;
  readonly dilation: Pair;
}

/** Geometry of a convolution; the kernel size is the weight's. */
export interface Conv2dAttrs {
  readonly stride: Pair;
  readonly padding: Padding2d;
  readonly dilation: Pair;
  readonly groups: number;
}

/**
 * A pooling window. With `ceilMode` the last window may reach past the padding: clip it, the output shape is right.
 * Every window has at least one element of the image.
 */
export interface PoolAttrs extends Window2d {
  readonly ceilMode: boolean;
}

export interface AvgPoolAttrs extends PoolAttrs {
  /**
   * true: divide by the number of window positions inside the *padded* input (those past its end, which ceil mode
   * makes, do not count), false: by those inside the input itself. As PyTorch.
   */
  readonly countIncludePad: boolean;
}

type Op<I extends number, O extends number, A = object> = { in: I; out: O; attrs: A };

/**
 * Every op that reaches a backend: number of inputs, number of outputs, attributes.
 * Open for declaration merging: a third party may add optional ops.
 */
export interface OpMap {
  // Arithmetic ops without a word on dtypes take floats, and the output has the first input's dtype; `reduce`, `argReduce`,
  // `scatterAdd`, `cumsum` and `clamp` take int32 and uint8 too, data movement takes every dtype.

  // ---- required ------------------------------------------------------------------------------------------------
  /** Every element becomes `value` (bool: 0 or 1). */
  fill: Op<0, 1, { readonly value: number }>;
  /**
   * To the output's dtype. float to integer truncates towards zero (unspecified outside the integer's range and for
   * NaN); anything to bool is `x != 0`.
   */
  cast: Op<1, 1>;
  unary: Op<1, 1, { readonly kind: UnaryKind }>;
  /** Operands have the output's rank; each dimension equals the output's or is 1 (broadcast). */
  binary: Op<2, 1, { readonly kind: BinaryKind }>;
  /** As `binary`; output is bool. Any comparison with NaN is false, except `ne`. */
  compare: Op<2, 1, { readonly kind: CompareKind }>;
  /** (condition: bool, a, b); broadcast as `binary`. Selects bits: an unselected NaN does not leak. */
  where: Op<3, 1>;
  /** Over `axes` (sorted, at least one, in range). The output holds the kept axes in order. */
  reduce: Op<1, 1, { readonly kind: "sum" | "max" | "min"; readonly axes: readonly number[] }>;
  /** Output int32 without the axis. Ties: the first. NaN counts as the extreme, the first NaN wins. */
  argReduce: Op<1, 1, { readonly kind: "argmax" | "argmin"; readonly axis: number }>;
  /** Rank 3: [B, M, K] x [B, K, N] -> [B, M, N], each operand's last two swapped if transposed; its B may be 1. */
  matmul: Op<2, 1, { readonly transposeA: boolean; readonly transposeB: boolean }>;
  /** Output axis i is input axis perm[i]. */
  permute: Op<1, 1, { readonly perm: readonly number[] }>;
  /** y[i] = x[begin + i * step] an axis, for the output's extent; `step` may be negative, never 0. */
  slice: Op<1, 1, { readonly begin: readonly number[]; readonly step: readonly number[] }>;
  /** Constant padding, `before[i]` and `after[i]` >= 0 elements an axis. */
  pad: Op<1, 1, { readonly before: readonly number[]; readonly after: readonly number[]; readonly value: number }>;
  /** Broadcast to the output's shape; the input has the same rank, each dimension equal or 1. */
  expand: Op<1, 1>;
  /** (x, index: int32), as torch.gather: y has index's shape, y[.., i, ..] = x[.., index[.., i, ..], ..] on `axis`. */
  gather: Op<2, 1, { readonly axis: number }>;
  /** (x, index: int32, source), as torch.scatter_add: a copy of x with source added at `index` along `axis`; source has index's shape. Deterministic where `caps.deterministic`. */
  scatterAdd: Op<3, 1, { readonly axis: number }>;
  /** [N, C, H, W] -> [N, C * kh * kw, oh * ow], zero padded: im2col, as torch.nn.Unfold. */
  unfold2d: Op<1, 1, { readonly window: Window2d; readonly outputSize: Pair }>;
  /** The adjoint of unfold2d: [N, C * kh * kw, oh * ow] -> [N, C, H, W], overlaps added. `outputSize` is [oh, ow]. */
  fold2d: Op<1, 1, { readonly window: Window2d; readonly outputSize: Pair }>;

  // ---- optional: core decomposes them where a backend has none or declines ---------------------------------------
  /** `binary` with one operand the constant `value`, on the `side` given. */
  binaryScalar: Op<1, 1, { readonly kind: BinaryKind; readonly value: number; readonly side: "left" | "right" }>;
  /**
   * A chain of elementwise steps on operands of one shape and float dtype. Each step is rounded as if it were stored, so that a
   * fused chain gives the bits of its steps one by one.
   */
  pointwise: Op<number, number, PointwiseAttrs>;
  activation: Op<1, 1, { readonly kind: ActivationKind; readonly alpha: number }>;
  /** (x, gy) -> gx */
  activationGrad: Op<2, 1, { readonly kind: ActivationKind; readonly alpha: number }>;
  /** (x, gy) -> gx = x > 0 ? gy : 0; a NaN x gives gy, as PyTorch's threshold_backward. */
  reluGrad: Op<2, 1>;
  /** Clip to [min, max]; NaN stays. */
  clamp: Op<1, 1, { readonly min: number; readonly max: number }>;
  /** Arithmetic mean of squared distances from the mean, without E[x²]-E[x]². Output as `reduce`. */
  variance: Op<1, 1, { readonly axes: readonly number[] }>;
  softmax: Op<1, 1, { readonly axis: number }>;
  logSoftmax: Op<1, 1, { readonly axis: number }>;
  /** (y, gy) -> gx, given the *output* y. */
  softmaxGrad: Op<2, 1, { readonly axis: number }>;
  /** (y, gy) -> gx, given the *output* y. */
  logSoftmaxGrad: Op<2, 1, { readonly axis: number }>;
  /** (logits [N, C], labels int32 [N]) -> loss [N]. Smoothing as PyTorch: target (1-s) one-hot + s/C. */
  crossEntropy: Op<2, 1, { readonly labelSmoothing: number }>;
  /** (logits, labels, gy [N]) -> gx [N, C] */
  crossEntropyGrad: Op<3, 1, { readonly labelSmoothing: number }>;
  /**
   * (x [N, Cin, H, W], w [Cout, Cin/groups, kh, kw], bias [Cout]?) -> [N, Cout, oh, ow]. Cross-correlation. The gradient
   * of a transposed convolution may ask for fewer rows and columns than there are windows.
   */
  conv2d: Op<2 | 3, 1, Conv2dAttrs>;
  /** As `conv2d`, then `relu`. */
  conv2dRelu: Op<2 | 3, 1, Conv2dAttrs>;
  /** (w, gy) -> gx; the output's shape is the input's. Also the forward of a transposed convolution. */
  conv2dGradInput: Op<2, 1, Conv2dAttrs>;
  /** (x, gy) -> gw; the output's shape is the weight's. */
  conv2dGradWeight: Op<2, 1, Conv2dAttrs>;
  /** x -> (y, indices int32: position y*W+x of the maximum in its input plane). Ties: the first in row-major order. */
  maxPool2d: Op<1, 2, PoolAttrs>;
  /** (gy, indices) -> gx; the output's shape is the input's. Positions that several windows share add up. */
  maxPool2dGrad: Op<2, 1, PoolAttrs>;
  avgPool2d: Op<1, 1, AvgPoolAttrs>;
  /** gy -> gx; the output's shape is the input's. */
  avgPool2dGrad: Op<1, 1, AvgPoolAttrs>;
  /** (x [N, C, ...], weight [C], bias [C]) -> (y, batch mean [C], biased batch variance [C]). */
  batchNorm: Op<3, 3, { readonly eps: number }>;
  /** As `batchNorm`, then `relu` of y. */
  batchNormRelu: Op<3, 3, { readonly eps: number }>;
  /**
   * (x [N, C, ...], mean [C], variance [C], weight [C], bias [C]) -> y = (x - mean) · (weight / sqrt(variance + eps)) + bias, for
   * given statistics, and `relu` of it where asked for.
   */
  batchNormInference: Op<5, 1, { readonly eps: number; readonly relu: boolean }>;
  /** (x, weight, mean, variance, gy) -> (gx, gweight, gbias), for statistics taken from this batch. */
  batchNormGrad: Op<5, 3, { readonly eps: number }>;
  /** Across channels of [N, C, ...]: x / (k + alpha * sum of squares over `size` channels)^beta. alpha is per element. */
  localResponseNorm: Op<
    1,
    1,
    { readonly size: number; readonly alpha: number; readonly beta: number; readonly k: number }
  >;
  concat: Op<number, 1, { readonly axis: number }>;
  /**
   * (x uint8 [N, C, H, W], rows int32 [N, h], columns int32 [N, w], table [N or 1, C, 256]) -> [N, C, h, w] of the table's
   * dtype: y[n, c, i, j] = table[n, c, x[n, c, rows[n, i], columns[n, j]]], and table[n, c, 0] where the row or the column
   * is -1. Any other one that x does not have is refused. Selects bits.
   */
  remapLookUp: Op<4, 1>;
  cumsum: Op<1, 1, { readonly axis: number }>;
  /**
   * int32 in [0, 2^24): the upper 24 bits of Philox4x32-10 words, so that every backend, float-only ones included,
   * compares them exactly. Element i is word i%4 of counter [i/4, offset, stream, 0] under key [seed low, seed high].
   */
  randomBits: Op<0, 1, { readonly seed: number; readonly stream: number; readonly offset: number }>;
}

export type OpName = keyof OpMap;

export const requiredOps = [
  "fill",
  "cast",
  "unary",
  "binary",
  "compare",
  "where",
  "reduce",
  "argReduce",
  "matmul",
  "permute",
  "slice",
  "pad",
  "expand",
  "gather",
  "scatterAdd",
  "unfold2d",
  "fold2d",
] as const satisfies readonly OpName[];

export type RequiredOp = (typeof requiredOps)[number];
export type OptionalOp = Exclude<OpName, RequiredOp>;
export type Attrs<K extends OpName> = OpMap[K]["attrs"];

// ---------------------------------------------------------------------------------------------------------------
// Kernels

/** N times T; a last one that may be missing for 2 | 3. */
type Tuple<T, N extends number> = number extends N
  ? readonly T[]
  : N extends 0
    ? readonly []
    : N extends 1
      ? readonly [T]
      : 3 extends N
        ? 2 extends N
          ? readonly [T, T, T?]
          : readonly [T, T, T]
        : N extends 2
          ? readonly [T, T]
          : N extends 4
            ? readonly [T, T, T, T]
            : readonly [T, T, T, T, T];

export interface Call<K extends OpName, S extends Storage = Storage> {
  readonly op: K;
  readonly inputs: Tuple<Operand<S>, OpMap[K]["in"]>;
  readonly outputs: Tuple<Operand<S>, OpMap[K]["out"]>;
  readonly attrs: Attrs<K>;
}

/** What `supports` may look at: shapes, dtypes and attributes, no data. */
export interface CallSpec<K extends OpName> {
  readonly op: K;
  readonly inputs: Tuple<TensorSpec, OpMap[K]["in"]>;
  readonly outputs: Tuple<TensorSpec, OpMap[K]["out"]>;
  readonly attrs: Attrs<K>;
}

// Written as a method so that a `Backend<MyStorage>` is a `Backend`: core only ever hands storages back to the
// backend that made them, which the type system cannot see.
export type Kernel<K extends OpName, S extends Storage = Storage> = {
  bivarianceHack(call: Call<K, S>): void;
}["bivarianceHack"];

export interface OptionalKernel<K extends OpName, S extends Storage = Storage> {
  /** Decline a call (shape, dtype, limit); core then uses the decomposition. Pure and cheap. */
  supports?(call: CallSpec<K>): boolean;
  run(call: Call<K, S>): void;
}

export type Kernels<S extends Storage = Storage> = { readonly [K in RequiredOp]: Kernel<K, S> } & {
  readonly [K in OptionalOp]?: OptionalKernel<K, S>;
};

export interface Capabilities {
  readonly dtypes: ReadonlySet<DType>;
  /** Largest single storage. */
  readonly maxBufferBytes: number;
  /** `readSync` is there and really synchronous. */
  readonly syncRead: boolean;
  /** The same calls give the same bits, run after run. */
  readonly deterministic: boolean;
  /** Whether NaN propagates everywhere, as the bundled backends promise. */
  readonly nan: "propagates" | "unspecified";
  /**
   * What pointwise functions are held to. `ieee`, the default: 2 units in the last place. `wgsl`: the limits of the WGSL
   * specification, which also lets a device flush subnormal numbers to zero, but not where data is only moved. `glsl`: those, and
   * a subnormal number may be flushed wherever a shader touches it (GLSL ES 3.00, section 4.5.1).
   */
  readonly precision?: "ieee" | "wgsl" | "glsl";
}

export interface LostInfo {
  readonly reason: "destroyed" | "unknown";
  readonly message: string;
}

export interface Backend<S extends Storage = Storage> {
  readonly apiVersion: 1;
  /** As in `--backend NAME`: `cpu`, `wasm`, `webgpu`, `tfjs:cpu` … */
  readonly name: string;
  /** For people: what it runs on, and what it could not have. `2 threads`, the name of an adapter … */
  readonly description?: string;
  readonly caps: Capabilities;
  readonly kernels: Kernels<S>;
  /** Room for `spec`; contents are unspecified. Never called with a zero-size spec. @throws OutOfMemoryError */
  alloc(spec: TensorSpec): S;
  /** Called exactly once for each `alloc`, after the last use was dispatched. */
  free(storage: S): void;
  /** Copy from the host. `data` has the operand's size and dtype and may be reused by the caller afterwards. */
  write(destination: Operand<S>, data: HostArray): void;
  /** Copy to the host. Resolves after all calls dispatched before it; device errors come out here. */
  read(source: Operand<S>): Promise<HostArray>;
  /** Only where `caps.syncRead`. */
  readSync?(source: Operand<S>): HostArray;
  /** Hand everything encoded so far to the device. */
  flush(): void;
  /** Resolves when all dispatched work is done; device errors come out here. */
  sync(): Promise<void>;
  /** Resolves when the device is lost; stays pending for ever where that cannot happen. */
  readonly lost: Promise<LostInfo>;
  /** Ends threads, frees the device. Idempotent. */
  dispose(): void;
}

/** Types a backend. The value is returned unchanged. */
export const defineBackend = <S extends Storage>(backend: Backend<S>): Backend<S> => backend;
