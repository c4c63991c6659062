import { ArgumentError } from "@striate/core";
import { breather } from "./breathe.js";
import {
  type Between,
  type Callback,
  type Control,
  type Ended,
  noProgress,
  noSteps,
  type Position,
  type Progress,
} from "./callback.js";
import type { Trainee } from "./gradient.js";
import { type Step, type StepOptions, stepper } from "./step.js";
import { stopwatch } from "./stopwatch.js";

export interface FitOptions extends StepOptions {
  /** Put into training mode, once, at the start. */
  readonly net: Trainee;
  /** May end within an epoch: 2.5 epochs are two and the first half of the batches of the third. */
  readonly epochs: number;
  /** Ends training after the step in which so much time has gone by, that of `start` included: see `EpochReport.seconds`. */
  readonly maxSeconds?: number | undefined;
  readonly callbacks?: readonly Callback[] | undefined;
  /**
   * Steps that have been made before, or what a checkpoint says of them: training goes on behind them. From a number
   * alone, the reports tell of the rest only. Default 0.
   */
  readonly start?: number | Progress | undefined;
  /** Ends training after the step that is running. */
  readonly signal?: AbortSignal | undefined;
}

export interface FitResult {
  readonly ended: Ended;
  /** Why training was stopped. */
  readonly reason?: string;
  /** Whole and broken epochs made. */
  readonly epochs: number;
  readonly steps: number;
  readonly images: number;
  /** Mean loss of an image, over the last epoch (as far as it went); NaN if there was no step. */
  readonly loss: number;
  /** Of all epochs, see `EpochReport`. */
  readonly seconds: number;
  readonly progress: Progress;
}

/** Steps that `epochs` epochs of `total` batches make. */
export const stepsOf = (epochs: number, total: number): number =>
  // 0.29 * 100 is 28.999…: a decimal shall not lose a step to its binary form.
  Math.floor(epochs * total * (1 + 1e-12));

const expectOptions = ({ epochs, start = 0, accumulate = 1, maxSeconds = 0, nonFinite = "stop" }: FitOptions): void => {
  if (!(epochs >= 0 && Number.isFinite(epochs)))
    throw new ArgumentError(`fit: epochs is ${epochs}, expected a finite number of at least 0`);
  const steps = typeof start === "number" ? start : start.step;
  if (!(Number.isSafeInteger(steps) && steps >= 0))
    throw new ArgumentError(`fit: start is ${steps}, expected a whole number of steps`);
  if (!(Number.isSafeInteger(accumulate) && accumulate >= 1))
    throw new ArgumentError(`fit: accumulate is ${accumulate}, expected a whole number of at least 1`);
  if (!(maxSeconds >= 0)) throw new ArgumentError(`fit: maxSeconds is ${maxSeconds}, expected a number of at least 0`);
  if (nonFinite !== "stop" && nonFinite !== "skip")
    throw new ArgumentError(`fit: nonFinite is ${JSON.stringify(nonFinite)}, expected "stop" or "skip"`);
};

/** @throws ArgumentError where the progress was made with epochs of another length */
const progressOf = (start: number | Progress, total: number): Progress => {
  if (typeof start === "number")
    return { ...noProgress, step: start, epoch: Math.floor(start / total), batch: start % total };
  if (start.epoch * total + start.batch !== start.step)
    throw new ArgumentError(
      `fit: start is batch ${start.batch} of epoch ${start.epoch} after ${start.step} steps, but an epoch has ${total} batches`,
    );
  return start;
};

/**
 * Train `net`. The loop dispatches one step ahead of the report that it waits for, so a device is kept busy and the
 * host never runs far ahead of it. A step leaves no tensor behind, nor does a failure.
 *
 * @throws TrainingError when the loss is not finite: it names the batch and the layer, and the net's parameters and
 * running statistics (not the optimizer) are as they were before that step; ArgumentError for bad options or an epoch without batches; whatever the callbacks and the
 * backend throw.
 */
export const fit = async (options: FitOptions): Promise<FitResult> => {
  expectOptions(options);
  const { net, epochs, callbacks = [], start = 0, signal, maxSeconds = Number.POSITIVE_INFINITY } = options;
  const breathe = breather();
  const total = epochs === 0 ? 1 : options.batches(0, 0).total;
  if (total === 0) throw new ArgumentError("fit: epoch 0 has no batches");
  const end = stepsOf(epochs, total);
  const from = progressOf(start, total);
  let { epoch, step, batch, images, sums, loss } = from;
  const clock = stopwatch(from.seconds);
  let epochBegan = from.seconds - sums.seconds;
  let stopped: string | undefined;
  /** The step whose report has not been heard. */
  let pending: Step | undefined;

  const ending = (): Ended | undefined => {
    if (step >= end) return "finished";
    if (signal?.aborted) return "aborted";
    if (stopped === undefined && clock.seconds >= maxSeconds) stopped = `the time is over: maxSeconds is ${maxSeconds}`;
    return stopped === undefined ? undefined : "stopped";
  };
  const control: Control = {
    stop: (reason) => {
      stopped ??= reason;
    },
    validated: async (report) => {
      for (const callback of callbacks) await callback.onValidation?.(report, control);
    },
    get ending() {
      return ending();
    },
    get seconds() {
      return clock.seconds;
    },
  };
  const progress = (): Progress => {
    const { seconds } = clock;
    return { epoch, step, batch, images, seconds, loss, sums: { ...sums, seconds: seconds - epochBegan } };
  };

  const makeStep = stepper(options, (position) => {
    for (const callback of callbacks) callback.afterStep?.(position, control);
  });
  /** Waits for the report of a step, and hands it on. */
  const settle = async (made: Step): Promise<void> => {
    try {
      const report = await made.report;
      const counted = report.skipped ? { images: 0, correct: 0, loss: 0 } : report;
      images += counted.images;
      sums = {
        ...sums,
        steps: sums.steps + 1,
        skipped: sums.skipped + (report.skipped ? 1 : 0),
        images: sums.images + counted.images,
        loss: sums.loss + counted.loss * counted.images,
        correct: sums.correct + counted.correct,
      };
      for (const callback of callbacks) await callback.onStep?.(report, control);
      await made.expectFinite(report);
    } finally {
      made.release();
    }
  };
  const settleAll = async (): Promise<void> => {
    const last = pending;
    pending = undefined;
    if (last) await settle(last);
  };

  /** True unless training is to end after a pause. */
  const begin = async (position: Position): Promise<boolean> => {
    let paused = false;
    for (const callback of callbacks) {
      const pause = callback.beforeStep?.(position, control);
      if (!pause) continue;
      await settleAll();
      clock.rest();
      await pause;
      clock.run();
      paused = true;
    }
    return !(paused && ending());
  };

  let restedAt = -1;
  const rest = async (moment: Between): Promise<void> => {
    if (restedAt === step) return;
    restedAt = step;
    for (const callback of callbacks) {
      const interlude = callback.between?.(moment, control);
      if (!interlude) continue;
      await settleAll();
      clock.rest();
      await interlude({ ...progress(), ...(moment.interrupted ? { owed: { ...moment, interrupted: false } } : {}) });
    }
    clock.run();
  };

  net.train();
  if (from.owed && ending() !== "aborted") await rest(from.owed);
  while (!ending()) {
    for (const callback of callbacks) callback.beforeEpoch?.(epoch, control);
    clock.run();
    try {
      for (const data of options.batches(epoch, batch)) {
        const position = { epoch, step, batch };
        if (!(await begin(position))) break;
        const next = await makeStep(position, data);
        const last = pending;
        pending = next;
        step++;
        batch++;
        if (last) await settle(last);
        await breathe();
        if (ending() || batch >= total) break;
        await rest({ epoch, step, epochEnd: false, interrupted: false });
        if (ending()) break;
      }
      await settleAll();
    } catch (error) {
      // Its tensors are freed when it has been read, or has failed.
      const last = pending as Step | undefined;
      await last?.report.catch(() => {});
      last?.release();
      throw error;
    }
    clock.rest();
    if (!ending() && batch < total)
      throw new ArgumentError(`fit: epoch ${epoch} has no batches from ${batch} on, its total is ${total}`);
    const interrupted = ending() === "aborted";
    const moment = { epoch, step, epochEnd: batch >= total || step >= end, interrupted };
    // The run will go on, and shall then report the whole epoch.
    if (interrupted && !moment.epochEnd) await rest(moment);
    clock.rest();
    if (sums.steps > 0) {
      const { correct, loss: total, ...made } = progress().sums;
      const report = { ...made, epoch, loss: total / made.images, accuracy: correct / made.images };
      // JSON has no NaN, which the mean over no image is.
      loss = made.images > 0 ? report.loss : null;
      for (const callback of callbacks) await callback.onEpoch?.(report, control);
    }
    if (batch >= total) {
      epoch++;
      batch = 0;
      sums = noSteps;
      epochBegan = clock.seconds;
    }
    await rest(moment);
    clock.rest();
  }
  const ended = ending() as Ended;
  return {
    ended,
    ...(ended === "stopped" && stopped !== undefined ? { reason: stopped } : {}),
    epochs: epoch + (batch > 0 ? 1 : 0),
    steps: step,
    images,
    loss: loss ?? Number.NaN,
    seconds: clock.seconds,
    progress: progress(),
  };
};
