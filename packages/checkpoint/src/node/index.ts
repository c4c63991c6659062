/** Weights in files of the local disk. */
export { type FileSystem, removeTemporaries, replaceFile } from "./replace-file.js";
export { loadSafetensors, type SaveOptions, saveSafetensors } from "./safetensors-file.js";
