/** Weights in files: safetensors, PyTorch's pickles, and state dicts to and from the host. For browsers too. */
export { CheckpointError, type CheckpointErrorCode } from "./errors.js";
export type { HostTensor, SafetensorsDType } from "./host-tensor.js";
export {
  type HasStateDict,
  type LoadedWeights,
  type LoadWeightsOptions,
  loadWeights,
} from "./load-weights.js";
export {
  type PickleCall,
  type Pickled,
  type PickledKey,
  PickledName,
  type PickleFailure,
  type PickleRules,
  parsePickle,
} from "./pickle.js";
export {
  decodeSafetensors,
  encodeSafetensors,
  type Metadata,
  type Safetensors,
  safetensorsChunks,
  safetensorsStream,
} from "./safetensors.js";
export {
  type FromHostOptions,
  type NamedTensors,
  tensorsFromHost,
  tensorsToHost,
  weightsSha256,
} from "./state-dict.js";
export {
  formatDifference,
  type Mismatch,
  type NamedInfos,
  type StateDifference,
  stateDifference,
} from "./state-difference.js";
export type { OpenTensors, TensorInfo, TensorReader } from "./tensor-reader.js";
export { TorchStorage, type TorchValue } from "./torch-pickle.js";
export { torchStateDict } from "./torch-state-dict.js";
export { bfloat16ToFloat32, float16ToFloat32 } from "./widen.js";
