/** Weights in files: the safetensors format, and state dicts to and from the host. For browsers too. */
export { CheckpointError, type CheckpointErrorCode } from "./errors.js";
export type { HostTensor, SafetensorsDType } from "./host-tensor.js";
export {
  decodeSafetensors,
  encodeSafetensors,
  type Metadata,
  type Safetensors,
  safetensorsChunks,
} from "./safetensors.js";
export {
  type FromHostOptions,
  type NamedTensors,
  tensorsFromHost,
  tensorsToHost,
  weightsSha256,
} from "./state-dict.js";
export { bfloat16ToFloat32, float16ToFloat32 } from "./widen.js";
