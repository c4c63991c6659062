import type { Optimizer } from "@striate/optim";
import type { Callback } from "@striate/train";
import type { RunFolder } from "@striate/train/node";
import { mainGroupOf } from "../ui/changes.js";

/**
 * Writes what happens to metrics.jsonl. Goes behind all callbacks that set learning rates, and before those that save
 * checkpoints: a checkpoint names the length that the metrics have.
 */
export const metricsCallback = (run: Pick<RunFolder, "event">, optimizer: Pick<Optimizer, "groups">): Callback => {
  const main = mainGroupOf(optimizer);
  // By the step: reports come one step behind.
  const begun = new Map<number, { lr: number; readonly at: number }>();
  const rate = (): number => optimizer.groups[main]?.lr ?? Number.NaN;
  let heard = Number.NEGATIVE_INFINITY;
  return {
    beforeStep: ({ step }) => {
      begun.set(step, { lr: rate(), at: performance.now() });
    },
    // Changes by hand come in behind this callback's `beforeStep`.
    afterStep: ({ step }) => {
      const start = begun.get(step);
      if (start) start.lr = rate();
    },
    onStep: ({ epoch, step, loss, correct, images, skipped }) => {
      const { lr, at } = begun.get(step) ?? { lr: Number.NaN, at: heard };
      begun.delete(step);
      const now = performance.now();
      const seconds = (now - Math.max(at, heard)) / 1000;
      heard = now;
      const accuracy = correct / images;
      run.event({
        event: "step",
        step: step + 1,
        epoch,
        loss,
        accuracy,
        lr,
        images,
        seconds,
        ...(skipped && { skipped }),
      });
    },
    onEpoch: ({ epoch, steps, skipped, loss, accuracy, images, seconds }) =>
      run.event({
        event: "epoch",
        epoch,
        steps,
        ...(skipped > 0 && { skipped }),
        trainLoss: loss,
        trainAccuracy: accuracy,
        imagesPerSecond: images / seconds,
        seconds,
      }),
    onValidation: ({ epoch, step, loss, accuracy, images }) =>
      run.event({ event: "validation", epoch, step, loss, accuracy, images }),
  };
};
