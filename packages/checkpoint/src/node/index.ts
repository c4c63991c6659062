/** Weights in files of the local disk. */
export { loadPt, type OpenPtOptions, openPt } from "./pt-file.js";
export { type FileSystem, removeTemporaries, replaceFile } from "./replace-file.js";
export {
  loadSafetensors,
  type OpenSafetensors,
  openSafetensors,
  type SaveOptions,
  saveSafetensors,
} from "./safetensors-file.js";
export { openShardedSafetensors, type SaveShardedOptions, saveShardedSafetensors } from "./sharded-file.js";
export { loadWeightsFile, openWeights } from "./weights-file.js";
