import type { Backend } from "@striate/core";
import { batches } from "@striate/data";
import { fit } from "@striate/train";
import type { CommandContext } from "../commands/command.js";
import type { Config } from "../config/schema.js";
import type { Exit } from "../exit-codes.js";
import { percent } from "../progress-line.js";
import { progressLine } from "../training-reports.js";
import { assemble } from "./assemble.js";
import { loadTrainingData } from "./data.js";
import { evaluateOn } from "./evaluation.js";
import { overfitLoss, overfitting, planSteps } from "./plan.js";

/** Learns a few batches by heart, without augmentation or regularisation; nothing is saved. Exit `check` if it cannot. */
export const overfit = async (
  given: Config,
  count: number,
  backend: Backend,
  { reporter, signal }: CommandContext,
): Promise<Exit> => {
  const { config, training } = overfitting(given, await loadTrainingData(given, reporter, signal), count);
  const { seed, batchSize, epochs } = config;
  const steps = planSteps(config, training.count);
  const assembled = assemble(config, { steps: steps.total, training }, { backend, seed });
  try {
    const { net } = assembled;
    reporter.event(
      {
        event: "start",
        preset: config.preset,
        backend: backend.name,
        batchSize,
        seed,
        batches: steps.perEpoch,
        steps: steps.total,
      },
      ({ bold }) => `${bold(config.network.name)}: ${training.count} images by heart, at most ${steps.total} steps`,
    );
    const result = await fit({
      ...assembled,
      epochs,
      auxiliaryWeight: config.loss.auxiliaryWeight,
      reduction: config.loss.reduction,
      accumulate: config.accumulate,
      signal,
      batches: (epoch, start) => batches(training, { backend, size: batchSize, seed, epoch, start, dropLast: true }),
      callbacks: [
        ...assembled.callbacks,
        progressLine(reporter, epochs, steps.total),
        { onEpoch: ({ loss }, control) => (loss < overfitLoss / 5 ? control.stop("learnt by heart") : undefined) },
      ],
    });
    if (result.ended === "aborted") {
      reporter.event({ event: "interrupted", steps: result.steps }, () => `stopped after ${result.steps} steps`);
      return "ok";
    }
    assembled.finish();
    const { loss, accuracy } = await evaluateOn(net, training, {
      backend,
      views: 1,
      phase: "testing",
      reporter,
      signal,
    });
    const passed = loss < overfitLoss;
    reporter.event(
      { event: "overfit", passed, loss, accuracy, images: training.count, steps: result.steps, trainLoss: result.loss },
      ({ bold }) =>
        `${bold(passed ? "learnt by heart" : "NOT learnt by heart")}: loss ${loss.toFixed(4)} (${passed ? "below" : "expected below"} ${overfitLoss}), ` +
        `accuracy ${percent(accuracy)} on the ${training.count} images after ${result.steps} steps`,
    );
    return passed ? "ok" : "check";
  } finally {
    assembled.dispose();
  }
};
