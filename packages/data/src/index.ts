export type { AugmentOptions, DrawAddress, ImageBatch } from "./augment.js";
export { augment } from "./augment.js";
export type { Batch, BatchOptions, BatchSequence } from "./batches.js";
export { batches } from "./batches.js";
export type { LabelledBytes } from "./cifar10.js";
export { cifar10Binary, cifar10Classes, cifar10Mean, cifar10Std, parseCifar10Binary } from "./cifar10.js";
export type { ImageDataset, ImageDatasetFields, SplitOptions } from "./dataset.js";
export { channelStatistics, imageDataset, splitDataset, subset } from "./dataset.js";
export type { CutoutOptions, ErasingOptions } from "./erasing.js";
export type { DataErrorCode } from "./errors.js";
export { DataError } from "./errors.js";
export { parseIdxImages, parseIdxLabels } from "./idx.js";
export type { ColourComponents, LightingOptions } from "./lighting.js";
export { colourComponents } from "./lighting.js";
export type { MixOptions } from "./mix.js";
export {
  fashionMnistClasses,
  fashionMnistMean,
  fashionMnistStd,
  mnistClasses,
  mnistMean,
  mnistStd,
} from "./mnist.js";
export type { Normalization } from "./normalize.js";
export { normalize } from "./normalize.js";
export type { Picture, PictureSize } from "./picture.js";
export { centreCrop, fitImage, resizeImage } from "./picture.js";
export type { SyntheticOptions } from "./synthetic.js";
export { syntheticDataset } from "./synthetic.js";
