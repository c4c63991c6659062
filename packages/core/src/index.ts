/** Tensors and automatic differentiation on pluggable backends. */

export { type CustomGradient, customGradient } from "./autograd/custom-gradient.js";
export { type GradcheckOptions, type GradcheckReport, gradcheck } from "./autograd/gradcheck.js";
export type { GradientContext, GradientRule, GradientRules } from "./autograd/node.js";
export {
  type BackwardOptions,
  backward,
  noGrad,
  type ValueAndGrad,
  type ValueAndGradOptions,
  valueAndGrad,
} from "./autograd/value-and-grad.js";
export type { Backend, DType, HostArray, Padding2d, Pair, Shape, TensorSpec } from "./backend.js";
export {
  arange,
  type FromDataOptions,
  full,
  memoryUsage,
  type NestedData,
  ones,
  type RandomOptions,
  rand,
  randn,
  randomBits,
  reportLeaks,
  type TensorOptions,
  tensor,
  zeros,
} from "./create.js";
export * from "./errors.js";
export type { FormatOptions } from "./format.js";
export { fromBackend, operandOf } from "./interop.js";
export { elu, gelu, leakyRelu, silu, softplus } from "./ops/activation.js";
export { adaptiveAvgPool2d, adaptiveMaxPool2d } from "./ops/adaptive-pool2d.js";
export { argmax, argmin } from "./ops/arg-reduce.js";
export { type AvgPoolOptions, avgPool2d } from "./ops/avg-pool2d.js";
export { type BatchNormOptions, batchNorm, batchNormRelu } from "./ops/batch-norm.js";
export { add, div, maximum, minimum, mul, type Operand, pow, sub } from "./ops/binary.js";
export { cast } from "./ops/cast.js";
export { type ClampOptions, clamp } from "./ops/clamp.js";
export { eq, ge, gt, le, logicalAnd, logicalNot, logicalOr, lt, ne } from "./ops/compare.js";
export { concat, stack } from "./ops/concat.js";
export { type Conv2dOptions, type ConvTranspose2dOptions, conv2d, conv2dRelu, convTranspose2d } from "./ops/conv2d.js";
export { cumsum } from "./ops/cumsum.js";
export { type DropoutOptions, dropout } from "./ops/dropout.js";
export { expand } from "./ops/expand.js";
export { fullLike, onesLike, zerosLike } from "./ops/fill.js";
export { gather, indexSelect, oneHot, scatterAdd } from "./ops/gather.js";
export { type LocallyConnectedOptions, locallyConnected2d } from "./ops/locally-connected2d.js";
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
} from "./ops/losses.js";
export { linear, type MatmulOptions, matmul } from "./ops/matmul.js";
export { maxPool2d, maxPool2dWithIndices, maxUnpool2d, type UnpoolOptions } from "./ops/max-pool2d.js";
export { type MaxoutOptions, maxout } from "./ops/maxout.js";
export {
  type GroupNormOptions,
  groupNorm,
  type LayerNormOptions,
  type LocalResponseNormOptions,
  layerNorm,
  localResponseNorm,
} from "./ops/norms.js";
export { type Pad2dOptions, type PadMode, type PadOptions, pad, pad2d } from "./ops/pad.js";
export { permute, transpose } from "./ops/permute.js";
export { type Arithmetic, type PointwiseValue, pointwise } from "./ops/pointwise.js";
export type { PoolOptions } from "./ops/pool-options.js";
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
} from "./ops/reduce.js";
export { type RemapLookUpOptions, remapLookUp } from "./ops/remap-look-up.js";
export { flatten, reshape, squeeze, unsqueeze } from "./ops/reshape.js";
export { flip, type SliceOptions, slice } from "./ops/slice.js";
export { logSoftmax, softmax } from "./ops/softmax.js";
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
} from "./ops/unary.js";
export { type FoldOptions, fold2d, type UnfoldOptions, unfold2d } from "./ops/unfold2d.js";
export { type UpsampleOptions, upsample2d } from "./ops/upsample2d.js";
export { where } from "./ops/where.js";
export type { PaddingLike, PairLike } from "./ops/window.js";
export type { RandomAddress } from "./random/address.js";
export { fillNormal, fillUniform } from "./random/fill.js";
export { permutation } from "./random/permutation.js";
export { keyOf, philox4x32, randomWords } from "./random/philox.js";
export type { Leak, MemoryUsage } from "./runtime.js";
export { keep, type Sync, scope } from "./scope.js";
export type { NestedNumbers } from "./tensor.js";
export { Tensor } from "./tensor.js";
