/** MATLAB's trainNetwork and classify, on Striate: docs/coming-from-matlab.md. */
export { classify, type PredictOptions, predict } from "./classify.js";
export {
  averagePooling2dLayer,
  type BatchNormalizationOptions,
  batchNormalizationLayer,
  type ConvolutionOptions,
  type CrossChannelNormalizationOptions,
  classificationLayer,
  clippedReluLayer,
  convolution2dLayer,
  crossChannelNormalizationLayer,
  dropoutLayer,
  eluLayer,
  flattenLayer,
  fullyConnectedLayer,
  geluLayer,
  globalAveragePooling2dLayer,
  globalMaxPooling2dLayer,
  groupedConvolution2dLayer,
  type ImageInputOptions,
  type Initializer,
  type InputLayer,
  imageInputLayer,
  leakyReluLayer,
  type MatlabLayer,
  maxPooling2dLayer,
  type NameOptions,
  reluLayer,
  sigmoidLayer,
  softmaxLayer,
  swishLayer,
  tanhLayer,
  type WeightOptions,
  type WindowOptions,
} from "./layers.js";
export type { PlacedLayer, SeriesNetwork } from "./network.js";
export type { Padding, Pair } from "./size.js";
export { type TrainInfo, trainNetwork } from "./train-network.js";
export {
  type OutputFcn,
  type OutputInfo,
  type Solver,
  type TrainingOptions,
  trainingOptions,
} from "./training-options.js";
