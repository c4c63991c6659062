import { ArgumentError, keep, noGrad, scope, type Tensor } from "@striate/core";
import type { BatchSequence } from "@striate/data";
import type { Module } from "@striate/nn";
import type { Optimizer } from "@striate/optim";
import { breather } from "./breathe.js";
import { TrainingError } from "./errors.js";

/** Where training stands, before a step: both count from 0. */
export interface Position {
  readonly epoch: number;
  readonly step: number;
}

/** What became of a step, once the device has said so. */
export interface StepReport extends Position {
  /** Images in the batch. */
  readonly images: number;
  /** Mean loss of an image. */
  readonly loss: number;
  /** Images of the batch that the network, in training mode, got right. */
  readonly correct: number;
}

export interface EpochReport {
  /** From 0. */
  readonly epoch: number;
  readonly steps: number;
  readonly images: number;
  /** Means over the epoch's images. */
  readonly loss: number;
  readonly accuracy: number;
  /** From the first batch until the last report of the epoch. */
  readonly seconds: number;
}

/** Hooks into the loop. Those before and after the update run at once; reports come when the numbers have arrived. */
export interface Callback {
  /** Set learning rates here. */
  beforeEpoch?(epoch: number): void;
  beforeStep?(position: Position): void;
  /** The update has been dispatched. Tensors made here are the callback's to dispose. */
  afterStep?(position: Position): void;
  onStep?(report: StepReport): void | Promise<void>;
  onEpoch?(report: EpochReport): void | Promise<void>;
}

export interface FitOptions {
  readonly net: Module;
  readonly optimizer: Pick<Optimizer<object>, "step">;
  /** The loss of a batch, from logits [N, classes] and labels [N]. */
  readonly loss: (logits: Tensor, labels: Tensor) => Tensor;
  /** Whether `loss` is a mean over the batch or a sum: for the reports alone. Default "mean". */
  readonly reduction?: "mean" | "sum";
  /** The batches of an epoch, counted from 0. */
  readonly batches: (epoch: number) => BatchSequence;
  /** May end within an epoch: 2.5 epochs are two and the first half of the batches of the third. */
  readonly epochs: number;
  readonly callbacks?: readonly Callback[];
  /** Ends training after the step that is running. */
  readonly signal?: AbortSignal | undefined;
}

export interface FitResult {
  /** Every step was made, or the signal ended training. */
  readonly ended: "finished" | "aborted";
  /** Whole and broken epochs made. */
  readonly epochs: number;
  readonly steps: number;
  readonly images: number;
  /** Mean loss of an image, over the last epoch (as far as it went); NaN before the first step. */
  readonly loss: number;
  /** From the first batch to the last report. */
  readonly seconds: number;
}

/** Steps that `epochs` epochs of `total` batches make. */
export const stepsOf = (epochs: number, total: number): number => Math.floor(epochs * total + 1e-9);

/**
 * Train `net`. The loop dispatches one step ahead of the reports that it waits for, so a device is kept busy and never
 * runs far ahead. A step leaves no tensor behind.
 *
 * @throws TrainingError when the loss is not finite; ArgumentError for bad options; whatever the backend throws.
 */
export const fit = async (options: FitOptions): Promise<FitResult> => {
  const { net, optimizer, loss, reduction = "mean", epochs, callbacks = [], signal } = options;
  if (!(epochs >= 0 && Number.isFinite(epochs)))
    throw new ArgumentError(`fit: epochs is ${epochs}, expected a finite number of at least 0`);
  const breathe = breather();
  const started = performance.now();
  const seconds = (since: number): number => (performance.now() - since) / 1000;
  let step = 0;
  let images = 0;
  let epoch = 0;
  let last = { images: 0, loss: 0, correct: 0, steps: 0 };

  /** One step; the promise is for its report. */
  const advance = (position: Position, batch: { readonly images: Tensor; readonly labels: Tensor }): Promise<StepReport> => {
    let correct: Tensor | undefined;
    for (const callback of callbacks) callback.beforeStep?.(position);
    const value = optimizer.step(() => {
      const logits = net.forward(batch.images);
      correct = noGrad(() =>
        scope(() => keep(logits.argmax(1).eq(batch.labels).cast("int32").sum())),
      );
      return loss(logits, batch.labels);
    });
    for (const callback of callbacks) callback.afterStep?.(position);
    const count = batch.labels.size;
    const report = async (right: Tensor): Promise<StepReport> => {
      try {
        const total = await value.item();
        const each = reduction === "sum" ? total / count : total;
        return { ...position, images: count, loss: each, correct: await right.item() };
      } finally {
        value.dispose();
        right.dispose();
      }
    };
    return report(correct as unknown as Tensor);
  };

  const settle = async (pending: Promise<StepReport>): Promise<void> => {
    const report = await pending;
    last = {
      images: last.images + report.images,
      loss: last.loss + report.loss * report.images,
      correct: last.correct + report.correct,
      steps: last.steps + 1,
    };
    for (const callback of callbacks) await callback.onStep?.(report);
    if (!Number.isFinite(report.loss))
      throw new TrainingError(
        "non-finite-loss",
        `the loss is ${report.loss} at step ${report.step} (epoch ${report.epoch}); a smaller learning rate may help`,
      );
  };

  net.train();
  let finished = epochs === 0;
  while (!finished && !signal?.aborted) {
    const sequence = options.batches(epoch);
    const steps = stepsOf(epochs, sequence.total);
    if (step >= steps) {
      finished = true;
      break;
    }
    const epochStarted = performance.now();
    last = { images: 0, loss: 0, correct: 0, steps: 0 };
    for (const callback of callbacks) callback.beforeEpoch?.(epoch);
    let pending: Promise<StepReport> | null = null;
    for (const batch of sequence) {
      const next = advance({ epoch, step }, batch);
      // Whichever fails first is the one to hear of; the other must not go unhandled.
      next.catch(() => {});
      if (pending) await settle(pending);
      pending = next;
      step++;
      images += batch.labels.size;
      await breathe();
      finished = step >= steps;
      if (finished || signal?.aborted) break;
    }
    if (pending) await settle(pending);
    const report = {
      epoch,
      steps: last.steps,
      images: last.images,
      loss: last.loss / last.images,
      accuracy: last.correct / last.images,
      seconds: seconds(epochStarted),
    };
    for (const callback of callbacks) await callback.onEpoch?.(report);
    epoch++;
  }
  return {
    ended: finished ? "finished" : "aborted",
    epochs: epoch,
    steps: step,
    images,
    loss: last.loss / last.images,
    seconds: seconds(started),
  };
};
