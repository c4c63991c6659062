/** Runs on the local disk: folders with metrics and checkpoints, and training in them. */
export {
  type CheckpointEntry,
  type FindOptions,
  listCheckpoints,
  newestCheckpoint,
  readCheckpoint,
} from "./checkpoint-files.js";
export {
  createRunFolder,
  type NewRun,
  openOrCreateRunFolder,
  openRunFolder,
  type RunEvent,
  type RunFolder,
  type RunOptions,
  readMetrics,
} from "./run-folder.js";
export { InterruptedError, type SignalSource, withSignals } from "./signals.js";
export { type RunResult, type RunTraining, type TrainRunOptions, trainRun } from "./train-run.js";
