export { TrainingError, type TrainingErrorCode } from "./errors.js";
export { type EvaluateOptions, type Evaluation, evaluate } from "./evaluate.js";
export {
  type Callback,
  type EpochReport,
  type FitOptions,
  type FitResult,
  fit,
  type Position,
  type StepReport,
  stepsOf,
} from "./fit.js";
export { fitWithRecovery, type RecoveryOptions, type Training } from "./recover.js";
