/** - `non-finite-loss`: the loss became NaN or infinite, and the run was set to stop there. */
export type TrainingErrorCode = "non-finite-loss";

/** Training itself went wrong; wrong arguments and devices have the errors of core. */
export class TrainingError extends Error {
  readonly code: TrainingErrorCode;
  constructor(code: TrainingErrorCode, message: string) {
    super(message);
    this.name = "TrainingError";
    this.code = code;
  }
}
