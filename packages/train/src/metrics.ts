/** The lines of a run's metrics (metrics.jsonl) that training itself causes. docs/training.md says what all of them are. */
import type { Callback } from "./callback.js";

/** A line: JSON. */
export interface RunEvent {
  readonly event: string;
  readonly [key: string]: unknown;
}

/** What metrics read of an optimizer. */
export interface RateSource {
  readonly groups: readonly { readonly lr: number; readonly params: readonly { readonly size: number }[] }[];
}

/** The position of the group with the most parameters, the first of equals: its rate is what curves show. */
export const mainGroupOf = ({ groups }: Pick<RateSource, "groups">): number => {
  const sizes = groups.map(({ params }) => params.reduce((sum, { size }) => sum + size, 0));
  return sizes.indexOf(Math.max(...sizes));
};

/**
 * Writes `step`, `epoch` and `validation`. Goes behind all callbacks that set learning rates, and before those that save
 * checkpoints: a checkpoint names the length that the metrics have. Without an optimizer lines have no `lr`.
 */
export const metricsCallback = (write: (event: RunEvent) => void, optimizer?: RateSource): Callback => {
  const main = optimizer ? mainGroupOf(optimizer) : 0;
  /** By the step: reports come one step behind. */
  const begun = new Map<number, { readonly lr: number | undefined; readonly at: number }>();
  let heard = Number.NEGATIVE_INFINITY;
  return {
    beforeStep: ({ step }) => {
      begun.set(step, { lr: optimizer?.groups[main]?.lr, at: performance.now() });
    },
    onStep: ({ epoch, step, loss, correct, images, skipped }) => {
      const { lr, at = heard } = begun.get(step) ?? {};
      begun.delete(step);
      const now = performance.now();
      const seconds = (now - Math.max(at, heard)) / 1000;
      heard = now;
      write({
        event: "step",
        step: step + 1,
        epoch,
        loss,
        accuracy: correct / images,
        ...(lr !== undefined && { lr }),
        images,
        seconds,
        ...(skipped && { skipped }),
      });
    },
    onEpoch: ({ epoch, steps, skipped, images, loss, accuracy, seconds }) =>
      write({
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
      write({ event: "validation", epoch, step, loss, accuracy, images }),
  };
};
