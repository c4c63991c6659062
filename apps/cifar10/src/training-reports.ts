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

/** The progress line, and a line an epoch. */
export const trainingReports = (
  reporter: Pick<Reporter, "event" | "progress">,
  epochs: number,
  totalSteps: number,
): Callback => {
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
    onEpoch: ({ epoch, loss, accuracy, images, steps, seconds }) => {
      const imagesPerSecond = images / seconds;
      reporter.event(
        { event: "epoch", epoch: epoch + 1, steps, trainLoss: loss, trainAccuracy: accuracy, imagesPerSecond, seconds },
        ({ dim }) =>
          `epoch ${epoch + 1}/${all}: loss ${loss.toFixed(3)}, accuracy ${percent(accuracy)} ` +
          dim(`(${Math.round(imagesPerSecond)} images/s, ${seconds.toFixed(1)} s)`),
      );
    },
  };
};
