/** The training loop, and what goes with it. For browsers too; runs on the local disk are in `@striate/train/node`. */
export type { MonitorOptions } from "./best.js";
export type {
  Between,
  Callback,
  Control,
  Ended,
  EpochReport,
  Interlude,
  Position,
  Progress,
  StepReport,
  Sums,
  ValidationReport,
} from "./callback.js";
export { type Checkpoint, checkpointWeights, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.js";
export { type EarlyStopping, type EarlyStoppingOptions, earlyStopping } from "./early-stopping.js";
export { type NonFinitePlace, TrainingError, type TrainingErrorCode } from "./errors.js";
export { type EvaluateOptions, type Evaluation, evaluate } from "./evaluate.js";
export { type FitOptions, type FitResult, fit, stepsOf } from "./fit.js";
export type { GradientOptions, Trainee } from "./gradient.js";
export { csvLogger, jsonLogger } from "./loggers.js";
export { type LrFinding, type LrFindOptions, type LrPoint, lrFind } from "./lr-finder.js";
export { mainGroupOf, metricsCallback, type RateSource, type RunEvent } from "./metrics.js";
export { type ModelCheckpointOptions, modelCheckpoint } from "./model-checkpoint.js";
export { overfitBatches } from "./overfit-batches.js";
export {
  type CheckpointStore,
  fitWithRecovery,
  memoryStore,
  type RecoveryOptions,
  type Training,
} from "./recover.js";
export {
  captureState,
  type Held,
  type HostState,
  type HostStates,
  holdState,
  restoreState,
  type State,
  type Stateful,
  type Trained,
} from "./state.js";
export { type Every, type ValidationOptions, validation } from "./validation.js";
export { type Views, withViews } from "./views.js";
