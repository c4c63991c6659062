export type { AugmentOptions, DrawAddress, ImageBatch, Normalization } from "./augment.js";
export { augment, normalize } from "./augment.js";
export type { Batch, BatchOptions, BatchSequence } from "./batches.js";
export { batches } from "./batches.js";
export type { LabelledBytes } from "./cifar10.js";
export { cifar10Binary, cifar10Classes, cifar10Mean, cifar10Std, parseCifar10Binary } from "./cifar10.js";
export type { ImageDataset, ImageDatasetFields, SplitOptions } from "./dataset.js";
export { channelStatistics, imageDataset, splitDataset, subset } from "./dataset.js";
export type { DataErrorCode } from "./errors.js";
export { DataError } from "./errors.js";
export { parseIdxImages, parseIdxLabels } from "./idx.js";
export {
  fashionMnistClasses,
  fashionMnistMean,
  fashionMnistStd,
  mnistClasses,
  mnistMean,
  mnistStd,
} from "./mnist.js";
export type { SyntheticOptions } from "./synthetic.js";
export { syntheticDataset } from "./synthetic.js";
