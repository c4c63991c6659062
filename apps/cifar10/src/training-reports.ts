import type { Callback } from "@striate/train";
import { percent } from "./progress-line.js";
import type { Reporter } from "./reporter.js";

/** Weight of a step in the figures of the progress line, which would jump about without smoothing. */
const smoothing = 0.05;

/** Exponential average, from the first value on. */
const average = (): ((value: number) => number) => {
  let mean: number | undefined;
  return (value) => {
    mean = mean === undefined ? value : (1 - smoothing) * mean + smoothing * value;
    return mean;
  };
};

/** The progress line: what the last steps came to. */
export const progressLine = (reporter: Pick<Reporter, "progress">, epochs: number, totalSteps: number): Callback => {
  const all = Math.ceil(epochs);
  const started = performance.now();
  const meanLoss = average();
  const meanAccuracy = average();
  let seen = 0;
  return {
    onStep: ({ epoch, step, images, loss, correct }) => {
      seen += images;
      const speed = (1000 * seen) / (performance.now() - started);
      reporter.progress({
        phase: "training",
        label: `epoch ${epoch + 1}/${all}`,
        done: step + 1,
        total: totalSteps,
        details: [
          `loss ${meanLoss(loss).toFixed(3)}`,
          `accuracy ${percent(meanAccuracy(correct / images))}`,
          `${Math.round(speed)} images/s`,
        ],
      });
    },
  };
};

/** An event and a line of text for each epoch and each validation. */
export const epochReports = (reporter: Pick<Reporter, "event">, epochs: number): Callback => {
  const all = Math.ceil(epochs);
  return {
    onEpoch: ({ epoch, loss, accuracy, images, steps, skipped, seconds }) => {
      const imagesPerSecond = images / seconds;
      const figures = { steps, trainLoss: loss, trainAccuracy: accuracy, imagesPerSecond, seconds };
      reporter.event(
        { event: "epoch", epoch: epoch + 1, ...figures, ...(skipped > 0 && { skipped }) },
        ({ dim }) =>
          `epoch ${epoch + 1}/${all}: loss ${loss.toFixed(3)}, accuracy ${percent(accuracy)} ` +
          dim(`(${Math.round(imagesPerSecond)} images/s, ${seconds.toFixed(1)} s)`) +
          (skipped > 0 ? `; ${skipped} steps were not finite and made no update` : ""),
      );
    },
    onValidation: ({ epoch, step, loss, accuracy, images }) =>
      reporter.event(
        { event: "validation", epoch: epoch + 1, step, loss, accuracy, images },
        () => `  validation: loss ${loss.toFixed(3)}, accuracy ${percent(accuracy)} on ${images} images held out`,
      ),
  };
};
