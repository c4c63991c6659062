/**
 * - `non-finite-loss`: the loss, or in a run that skips such steps the gradient, became NaN or infinite and training ended;
 * - `run-missing`: there is no run folder where one should be opened;
 * - `run-exists`: a new run would be written over what is in its folder;
 * - `run-locked`: another process trains in the folder;
 * - `run-config`: a checkpoint belongs to another configuration than the run;
 * - `run-corrupt`: what a run wrote cannot be read any more;
 * - `run-write`: the file system refused (`cause` is its error, with its `code`: ENOSPC, EACCES, EIO …).
 */
export type TrainingErrorCode =
  | "non-finite-loss"
  | "run-missing"
  | "run-exists"
  | "run-locked"
  | "run-config"
  | "run-corrupt"
  | "run-write";

/** Where the numbers of a step stopped being finite. */
export interface NonFinitePlace {
  readonly epoch: number;
  readonly step: number;
  /** Within the epoch, from 0. */
  readonly batch: number;
  /** The first layer whose output is not finite; undefined where all are, or the forward pass could not be repeated. */
  readonly layer?: string | undefined;
  /** The first parameter that is not finite, or whose gradient is not. */
  readonly parameter?: string | undefined;
}

/** Training itself went wrong; wrong arguments and devices have the errors of core. */
export class TrainingError extends Error {
  readonly code: TrainingErrorCode;
  /** For `non-finite-loss`. */
  readonly place: NonFinitePlace | undefined;
  constructor(code: TrainingErrorCode, message: string, options?: ErrorOptions & { readonly place?: NonFinitePlace }) {
    super(message, options);
    this.name = "TrainingError";
    this.code = code;
    this.place = options?.place;
  }
}
