/** Tensors and automatic differentiation on pluggable backends. */

export { type CustomGradient, customGradient } from "./autograd/custom-gradient.ts";
export { type GradcheckOptions, type GradcheckReport, gradcheck } from "./autograd/gradcheck.ts";
export {
  type BackwardOptions,
  backward,
  noGrad,
  type ValueAndGrad,
  type ValueAndGradOptions,
  valueAndGrad,
} from "./autograd/value-and-grad.ts";
export type { Backend, DType, HostArray, Padding2d, Pair, Shape, TensorSpec } from "./backend.ts";
export {
  arange,
  type FromDataOptions,
  full,
  memoryUsage,
  ones,
  type RandomOptions,
  rand,
  randn,
  randomBits,
  reportLeaks,
  type TensorOptions,
  tensor,
  zeros,
} from "./create.ts";
export * from "./errors.ts";
export type { FormatOptions } from "./format.ts";
export { elu, gelu, leakyRelu, silu, softplus } from "./ops/activation.ts";
export { adaptiveAvgPool2d, adaptiveMaxPool2d } from "./ops/adaptive-pool2d.ts";
export { argmax, argmin } from "./ops/arg-reduce.ts";
export { type AvgPoolOptions, avgPool2d } from "./ops/avg-pool2d.ts";
export { type BatchNormOptions, batchNorm } from "./ops/batch-norm.ts";
export { add, div, maximum, minimum, mul, type Operand, pow, sub } from "./ops/binary.ts";
export { cast } from "./ops/cast.ts";
export { type ClampOptions, clamp } from "./ops/clamp.ts";
export { eq, ge, gt, le, logicalAnd, logicalNot, logicalOr, lt, ne } from "./ops/compare.ts";
export { concat, stack } from "./ops/concat.ts";
export { type Conv2dOptions, type ConvTranspose2dOptions, conv2d, convTranspose2d } from "./ops/conv2d.ts";
export { cumsum } from "./ops/cumsum.ts";
export { type DropoutOptions, dropout } from "./ops/dropout.ts";
export { expand } from "./ops/expand.ts";
export { fullLike, onesLike, zerosLike } from "./ops/fill.ts";
export { gather, indexSelect, oneHot, scatterAdd } from "./ops/gather.ts";
export { type LocallyConnectedOptions, locallyConnected2d } from "./ops/locally-connected2d.ts";
export {
  bceWithLogits,
  type CrossEntropyOptions,
  crossEntropy,
  type LossOptions,
  l1Loss,
  mseLoss,
  type Reduction,
  type SmoothL1Options,
  smoothL1Loss,
} from "./ops/losses.ts";
export { linear, type MatmulOptions, matmul } from "./ops/matmul.ts";
export { maxPool2d, maxPool2dWithIndices, maxUnpool2d, type UnpoolOptions } from "./ops/max-pool2d.ts";
export { type MaxoutOptions, maxout } from "./ops/maxout.ts";
export {
  type GroupNormOptions,
  groupNorm,
  type LayerNormOptions,
  type LocalResponseNormOptions,
  layerNorm,
  localResponseNorm,
} from "./ops/norms.ts";
export { type Pad2dOptions, type PadMode, type PadOptions, pad, pad2d } from "./ops/pad.ts";
export { permute, transpose } from "./ops/permute.ts";
export type { PoolOptions } from "./ops/pool-options.ts";
export type { RandomAddress } from "./ops/random-bits.ts";
export {
  type Axes,
  logSumExp,
  max,
  mean,
  min,
  type ReduceOptions,
  sum,
  type VarianceOptions,
  variance,
} from "./ops/reduce.ts";
export { flatten, reshape, squeeze, unsqueeze } from "./ops/reshape.ts";
export { flip, type SliceOptions, slice } from "./ops/slice.ts";
export { logSoftmax, softmax } from "./ops/softmax.ts";
export {
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
} from "./ops/unary.ts";
export { type FoldOptions, fold2d, type UnfoldOptions, unfold2d } from "./ops/unfold2d.ts";
export { type UpsampleOptions, upsample2d } from "./ops/upsample2d.ts";
export { where } from "./ops/where.ts";
export type { PaddingLike, PairLike } from "./ops/window.ts";
export { permutation } from "./random/permutation.ts";
export { philox4x32, randomWords } from "./random/philox.ts";
export type { Leak, MemoryUsage } from "./runtime.ts";
export { keep, type Sync, scope } from "./scope.ts";
export type { NestedNumbers } from "./tensor.ts";
export { Tensor } from "./tensor.ts";
