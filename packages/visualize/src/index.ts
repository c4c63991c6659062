/** What a convolutional network sees: pure functions that give tensors, pictures, or the bytes of PNG files. */
export { type DeconvnetOptions, deconvnet } from "./deconvnet.js";
export { type GradCamOptions, gradCam } from "./grad-cam.js";
export { activations, type Classifier, layerNames } from "./layers.js";
export { type OcclusionOptions, occlusion } from "./occlusion.js";
export {
  encodePng,
  enlarge,
  type GridOptions,
  grid,
  type HeatMap,
  overlay,
  type Picture,
  type Planes,
  type Range,
  rangeOf,
  symmetricRange,
  toPicture,
} from "./picture.js";
export type { ReluRule } from "./relu-rules.js";
export { inputGradient, type SaliencyOptions, saliencyMap } from "./saliency.js";
export { featureMapPictures, filterPictures, type ImagePictureOptions, imagePictures } from "./tensor-pictures.js";
