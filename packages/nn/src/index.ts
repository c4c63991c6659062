export {
  elu,
  gelu,
  leakyRelu,
  maxout,
  relu,
  scaledTanh,
  sigmoid,
  silu,
  softmax,
  softplus,
  srelu,
  tanh,
} from "./activation.js";
export { type CombinedConv2dOptions, combinedConv2d } from "./combined-conv2d.js";
export { type Conv2dOptions, type ConvTranspose2dOptions, conv2d, convTranspose2d } from "./conv2d.js";
export { dropout } from "./dropout.js";
export type { Fans, Initialiser, InitTarget, KaimingOptions } from "./init.js";
export * as init from "./init.js";
export { linear } from "./linear.js";
export { type LocallyConnected2dOptions, locallyConnected2d } from "./locally-connected2d.js";
export { evaluating, rememberModes } from "./modes.js";
export {
  build,
  type Context,
  type Counter,
  type Definition,
  type EntryObserver,
  type Forward,
  type IncompatibleKeys,
  type Interceptor,
  type Layer,
  type Module,
  type Observer,
  type StateDict,
  type UnaryForward,
} from "./module.js";
export {
  type Affine,
  type BatchNormOptions,
  batchNorm1d,
  batchNorm2d,
  groupNorm,
  layerNorm,
  localResponseNorm,
  type NormOptions,
} from "./norm.js";
export type { AffineOptions, InitOptions, Pair } from "./options.js";
export { logitsOf, type Output } from "./output.js";
export { type PartialConv2dOptions, partialConv2d } from "./partial-conv2d.js";
export {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  avgPool2d,
  maxPool2d,
  maxPool2dWithIndices,
  maxUnpool2d,
  type Pool2dOptions,
  subsampling2d,
  upsample2d,
} from "./pool2d.js";
export type { RandomSource } from "./random.js";
export { flatten, identity, inOrder, type Layers, type Sequential, sequential } from "./sequential.js";
