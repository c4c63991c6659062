import { ArgumentError, keep, noGrad, scope, type Tensor } from "@striate/core";
import type { Batch, BatchSequence } from "@striate/data";
import type { Module } from "@striate/nn";
import type { Optimizer } from "@striate/optim";
import { breather } from "./breathe.js";
import { TrainingError } from "./errors.js";

/** Where training stands, before a step: both count from 0. */
export interface Position {
  readonly epoch: number;
  /** Through all epochs. */
  readonly step: number;
}

/** What became of a step, once the device has said so. */
export interface StepReport extends Position {
  /** Images in the batch. */
  readonly images: number;
  /** Mean loss of an image, before the update. */
  readonly loss: number;
  /** Images of the batch that the network, in training mode and before the update, got right. */
  readonly correct: number;
}

export interface EpochReport {
  /** From 0. */
  readonly epoch: number;
  /** Made in this epoch: fewer than it has batches if training ended within it. */
  readonly steps: number;
  readonly images: number;
  /** Means over the epoch's images. */
  readonly loss: number;
  readonly accuracy: number;
  /** From the first batch until the last report of the epoch. */
  readonly seconds: number;
}

/**
 * Hooks into the loop, called in the order of the list. Those without a promise run as the steps are dispatched; the
 * reports come when the numbers have arrived, one step behind, and all of them before their epoch's. What a hook throws
 * ends training.
 */
export interface Callback {
  beforeEpoch?(epoch: number): void;
  /** Set learning rates here. */
  beforeStep?(position: Position): void;
  /** The update has been dispatched. Tensors made here are the callback's to dispose. */
  afterStep?(position: Position): void;
  onStep?(report: StepReport): void | Promise<void>;
  /** The epoch's time is over: a validation here is not counted in. */
  onEpoch?(report: EpochReport): void | Promise<void>;
}

export interface FitOptions {
  /** Put into training mode, once, at the start. */
  readonly net: Module;
  readonly optimizer: Pick<Optimizer<object>, "step">;
  /** The loss of a batch, a scalar, from logits [N, classes] and labels [N]. */
  readonly loss: (logits: Tensor, labels: Tensor) => Tensor;
  /** Whether `loss` is a mean over the batch or a sum: for the reports alone. Default "mean". */
  readonly reduction?: "mean" | "sum";
  /** The batches of an epoch, counted from 0, from batch `start` on. Every epoch has the same `total`. */
  readonly batches: (epoch: number, start: number) => BatchSequence;
  /** May end within an epoch: 2.5 epochs are two and the first half of the batches of the third. */
  readonly epochs: number;
  readonly callbacks?: readonly Callback[];
  /** Steps that have been made before: training goes on behind them. The reports tell of the rest only. Default 0. */
  readonly start?: number | undefined;
  /** Ends training after the step that is running. */
  readonly signal?: AbortSignal | undefined;
}

export interface FitResult {
  /** Every step was made, or the signal ended training before. */
  readonly ended: "finished" | "aborted";
  /** Whole and broken epochs made. */
  readonly epochs: number;
  readonly steps: number;
  readonly images: number;
  /** Mean loss of an image, over the last epoch (as far as it went); NaN if there was no step. */
  readonly loss: number;
  /** Of all epochs, see `EpochReport`. */
  readonly seconds: number;
}

/** Steps that `epochs` epochs of `total` batches make. */
export const stepsOf = (epochs: number, total: number): number =>
  // 0.29 * 100 is 28.999…: a decimal shall not lose a step to its binary form.
  Math.floor(epochs * total * (1 + 1e-12));

interface Dispatched {
  readonly value: Tensor;
  readonly correct: Tensor;
}

/** Forward and backward pass and update. The tensors are the caller's to dispose; nothing is left if anything throws. */
const dispatch = ({ net, optimizer, loss }: FitOptions, { images, labels }: Batch): Dispatched => {
  const counts: Tensor[] = [];
  try {
    const value = optimizer.step(() => {
      const logits = net.forward(images);
      const correct = noGrad(() => scope(() => logits.argmax(1).eq(labels).cast("int32").sum()));
      counts.push(keep(correct));
      return loss(logits, labels);
    });
    return { value, correct: counts[0] as Tensor };
  } catch (error) {
    for (const count of counts) count.dispose();
    throw error;
  }
};

const release = ({ value, correct }: Dispatched): void => {
  value.dispose();
  correct.dispose();
};

/** Sums over the reports of an epoch. */
const noSteps = { steps: 0, images: 0, loss: 0, correct: 0 };

/**
 * Train `net`. The loop dispatches one step ahead of the report that it waits for, so a device is kept busy and the
 * host never runs far ahead of it. A step leaves no tensor behind, nor does a failure.
 *
 * @throws TrainingError when the loss is not finite (the step's update is made by then); ArgumentError for bad epochs
 * or an epoch without batches; whatever the callbacks and the backend throw.
 */
export const fit = async (options: FitOptions): Promise<FitResult> => {
  const { net, reduction = "mean", epochs, callbacks = [], start = 0, signal } = options;
  if (!(epochs >= 0 && Number.isFinite(epochs)))
    throw new ArgumentError(`fit: epochs is ${epochs}, expected a finite number of at least 0`);
  if (!(Number.isSafeInteger(start) && start >= 0))
    throw new ArgumentError(`fit: start is ${start}, expected a whole number of steps`);
  const breathe = breather();
  let step = start;
  let epoch = 0;
  let images = 0;
  let seconds = 0;
  let sums = noSteps;

  const read = async (position: Position, count: number, dispatched: Dispatched): Promise<StepReport> => {
    try {
      const [value, correct] = await Promise.all([dispatched.value.item(), dispatched.correct.item()]);
      return { ...position, images: count, loss: reduction === "sum" ? value / count : value, correct };
    } finally {
      release(dispatched);
    }
  };

  /** One step; the promise is for its report. */
  const advance = (position: Position, batch: Batch): Promise<StepReport> => {
    for (const callback of callbacks) callback.beforeStep?.(position);
    const dispatched = dispatch(options, batch);
    try {
      for (const callback of callbacks) callback.afterStep?.(position);
    } catch (error) {
      release(dispatched);
      throw error;
    }
    const report = read(position, batch.labels.size, dispatched);
    // Awaited later. Until then the failure of an earlier step may end the loop.
    report.catch(() => {});
    return report;
  };

  const settle = async (pending: Promise<StepReport>): Promise<void> => {
    const report = await pending;
    sums = {
      steps: sums.steps + 1,
      images: sums.images + report.images,
      loss: sums.loss + report.loss * report.images,
      correct: sums.correct + report.correct,
    };
    for (const callback of callbacks) await callback.onStep?.(report);
    if (!Number.isFinite(report.loss))
      throw new TrainingError(
        "non-finite-loss",
        `the loss is ${report.loss} at step ${report.step} (epoch ${report.epoch}); a smaller learning rate may help`,
      );
  };

  /** Steps through an epoch, as far as `end`. */
  const run = async (sequence: BatchSequence, end: number): Promise<void> => {
    let pending: Promise<StepReport> | undefined;
    try {
      for (const batch of sequence) {
        const before = pending;
        pending = advance({ epoch, step }, batch);
        step++;
        if (before) await settle(before);
        await breathe();
        if (step >= end || signal?.aborted) break;
      }
      if (pending) await settle(pending);
    } finally {
      // Its tensors are freed when it has been read, or has failed.
      await pending?.catch(() => {});
    }
  };

  net.train();
  let finished = epochs === 0;
  while (!finished && !signal?.aborted) {
    // The length of an epoch, which tells where `start` lies, is only known from one.
    let sequence = options.batches(epoch, 0);
    if (sequence.total === 0) throw new ArgumentError(`fit: epoch ${epoch} has no batches`);
    const end = stepsOf(epochs, sequence.total);
    const passed = step - epoch * sequence.total;
    if (passed >= sequence.total) {
      epoch += Math.floor(passed / sequence.total);
      sequence = options.batches(epoch, passed % sequence.total);
    } else if (passed > 0) sequence = options.batches(epoch, passed);
    // Fewer than one step, or ones that the epochs before have made.
    finished = step >= end;
    if (finished) break;
    sums = noSteps;
    for (const callback of callbacks) callback.beforeEpoch?.(epoch);
    const started = performance.now();
    await run(sequence, end);
    if (sums.steps === 0) throw new ArgumentError(`fit: epoch ${epoch} has no batches, its total is ${sequence.total}`);
    const spent = (performance.now() - started) / 1000;
    seconds += spent;
    images += sums.images;
    const report = {
      epoch,
      steps: sums.steps,
      images: sums.images,
      loss: sums.loss / sums.images,
      accuracy: sums.correct / sums.images,
      seconds: spent,
    };
    for (const callback of callbacks) await callback.onEpoch?.(report);
    epoch++;
    finished = step >= end;
  }
  return {
    ended: finished ? "finished" : "aborted",
    epochs: epoch,
    steps: step,
    images,
    loss: sums.loss / sums.images,
    seconds,
  };
};
