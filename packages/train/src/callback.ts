/** What the loop tells its callbacks, and what they tell it. */

/** Where training stands, before a step; all count from 0. */
export interface Position {
  readonly epoch: number;
  /** Through all epochs. */
  readonly step: number;
  /** Within the epoch. */
  readonly batch: number;
}

/** What became of a step, once the device has said so. */
export interface StepReport extends Position {
  /** Images in the batch. */
  readonly images: number;
  /** Mean loss of an image, before the update; that of auxiliary outputs is in it. */
  readonly loss: number;
  /** Images of the batch that the network, in training mode and before the update, got right. */
  readonly correct: number;
  /** There was no update, because loss or gradient was not finite: see `FitOptions.nonFinite`. */
  readonly skipped: boolean;
}

export interface EpochReport {
  /** From 0. */
  readonly epoch: number;
  /** Made in this epoch: fewer than it has batches if training ended within it. */
  readonly steps: number;
  /** Those of `steps` without an update. */
  readonly skipped: number;
  /** Of the steps with an update, as are loss and accuracy. */
  readonly images: number;
  /** Means over these images. */
  readonly loss: number;
  readonly accuracy: number;
  /** Of training, without pauses and what was done between steps. */
  readonly seconds: number;
}

export interface ValidationReport {
  /** The epoch of the last step. */
  readonly epoch: number;
  /** Steps made. */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly images: number;
}

/** Sums over the reports of an epoch. */
export interface Sums {
  readonly steps: number;
  readonly skipped: number;
  readonly images: number;
  readonly loss: number;
  readonly correct: number;
  readonly seconds: number;
}

export const noSteps: Sums = { steps: 0, skipped: 0, images: 0, loss: 0, correct: 0, seconds: 0 };

/** The moment between two steps. */
export interface Between {
  /** Of the last step. */
  readonly epoch: number;
  /** Steps made. */
  readonly step: number;
  /** The last step has completed its epoch, or is the last of the run. */
  readonly epochEnd: boolean;
  /** Training was aborted: what takes its time can wait, because this moment comes again when the run goes on. */
  readonly interrupted: boolean;
}

/** Where a run stands between two steps, and what it has seen: `FitOptions.start` takes it up again. JSON can carry it. */
export interface Progress extends Position {
  /** Of all steps with an update. */
  readonly images: number;
  /** Of training, see `EpochReport`. */
  readonly seconds: number;
  /** Of the epoch that `batch` is in. */
  readonly sums: Sums;
  /** Mean loss over the last epoch that was reported; null before. */
  readonly loss: number | null;
  /** What `between` is to be asked again, because the run was interrupted there. */
  readonly owed?: Between;
}

export const noProgress: Progress = { epoch: 0, step: 0, batch: 0, images: 0, seconds: 0, sums: noSteps, loss: null };

/** Every step was made; the signal ended training before; a callback or the time did. */
export type Ended = "finished" | "aborted" | "stopped";

/** What a callback can do to the run. */
export interface Control {
  /** Ends training after the step that is running. The first reason stands. */
  stop(reason: string): void;
  /** Tells all callbacks of a validation. */
  validated(report: ValidationReport): Promise<void>;
  /** How training is about to end, if it is. */
  readonly ending: Ended | undefined;
  /** Of training so far, see `EpochReport`. */
  readonly seconds: number;
}

/** Work to be done between two steps. */
export type Interlude = (progress: Progress) => void | Promise<void>;

/**
 * Hooks into the loop, called in the order of the list. Those without a promise run as the steps are dispatched; the
 * reports come when the numbers have arrived, one step behind, and all of them before their epoch's. What a hook throws
 * ends training.
 */
export interface Callback {
  /** Called again for the epoch within which a resumed run goes on. */
  beforeEpoch?(epoch: number, control: Control): void;
  /**
   * Set learning rates here. A promise makes a pause: all reports are heard first, and its time is not counted. No step
   * is made after it if training is to end by then.
   */
  beforeStep?(position: Position, control: Control): void | Promise<void>;
  /** The update has been dispatched; not called after a step that was skipped. Tensors made here are the callback's. */
  afterStep?(position: Position, control: Control): void;
  onStep?(report: StepReport, control: Control): void | Promise<void>;
  /** The epoch's time is over. */
  onEpoch?(report: EpochReport, control: Control): void | Promise<void>;
  onValidation?(report: ValidationReport, control: Control): void | Promise<void>;
  /**
   * Asked after each step, at an epoch's end behind `onEpoch`. What it returns is called when all reports so far have
   * been heard, and awaited before the next step: validations, checkpoints. The next callback is asked after that, so a
   * checkpoint that comes last in the list holds what the others did.
   */
  between?(moment: Between, control: Control): Interlude | undefined;
}
