/** Runs on the local disk: folders with metrics and checkpoints, and training in them. */
export type { RunEvent } from "../metrics.js";
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
  type RunFolder,
  type RunOptions,
  readMetrics,
} from "./run-folder.js";
export { InterruptedError, type SignalSource, withSignals } from "./signals.js";
export {
  type RunResult,
  type RunStart,
  type RunTest,
  type RunTraining,
  type TrainRunOptions,
  trainRun,
} from "./train-run.js";
