/** One step of training: forward, backward, update, report; or why there was none. */
import { scope } from "@striate/core";
import type { Batch, BatchSequence } from "@striate/data";
import type { GradientTransform, Optimizer } from "@striate/optim";
import type { Position, StepReport } from "./callback.js";
import { TrainingError } from "./errors.js";
import { differentiate, type Gradient, type GradientOptions, release } from "./gradient.js";
import { holdValues, isNonFinite, locate, type Values } from "./non-finite.js";

export interface StepOptions extends GradientOptions {
  readonly optimizer: Pick<Optimizer<object>, "trainable" | "apply">;
  /** The batches of an epoch, counted from 0, from batch `start` on. Every epoch has the same `total`. */
  readonly batches: (epoch: number, start: number) => BatchSequence;
  /** Applied to the gradient of the whole batch, as clipping. */
  readonly transform?: GradientTransform | undefined;
  /**
   * When the loss becomes NaN or infinite: "stop" ends training with a TrainingError. "skip" makes no update then, nor
   * when the gradient is not finite: net and optimizer stay as they were before the step. It costs the loop its lead
   * over the device, and ends as "stop" after ten such steps in a row. Default "stop".
   */
  readonly nonFinite?: "stop" | "skip" | undefined;
}

/** In a row: what does not come right after these never does. */
const mostSkips = 10;

/** A step that has been dispatched. */
export interface Step {
  readonly report: Promise<StepReport>;
  /** @throws TrainingError unless the loss is finite; the net is then as it was before the step. */
  expectFinite(report: StepReport): Promise<void>;
  /** To be called when the report has come, or has failed. */
  release(): void;
}

const readReport = async (
  { value, correct }: Gradient,
  position: Position,
  images: number,
  reduction: "mean" | "sum",
  skipped: boolean,
): Promise<StepReport> => {
  try {
    const [loss, right] = await Promise.all([value.item(), correct.item()]);
    return { ...position, images, loss: reduction === "sum" ? loss / images : loss, correct: right, skipped };
  } finally {
    value.dispose();
    correct.dispose();
  }
};

/**
 * What makes steps. All work of a step has been dispatched when the promise resolves; nothing is left if it rejects.
 * `updated` is called behind the update.
 */
export const stepper = (
  options: StepOptions,
  updated: (position: Position) => void,
): ((position: Position, batch: Batch) => Promise<Step>) => {
  const { net, optimizer, reduction = "mean", transform, nonFinite = "stop" } = options;
  let tensors = [...net.stateDict().values()];
  let skips = 0;

  /** Makes the forward pass of a step once more. */
  const repeat = async ({ epoch, batch }: Position): ReturnType<typeof locate> => {
    for (const data of options.batches(epoch, batch)) if (data.index === batch) return await locate(options, data);
    return { layer: undefined, parameter: undefined };
  };
  const fail = async (what: string, position: Position, before: Values): Promise<never> => {
    before.restore();
    // The loss is what the caller shall hear of, whatever else goes wrong meanwhile.
    const found = await repeat(position).catch(() => ({ layer: undefined, parameter: undefined }));
    before.restore();
    const { epoch, step, batch } = position;
    const where = [
      `${what} at step ${step} (epoch ${epoch}, batch ${batch})`,
      ...(found.layer === undefined ? [] : [`the first output that is not finite is that of layer "${found.layer}"`]),
      ...(found.parameter === undefined ? [] : [`parameter ${found.parameter} is not finite already`]),
      "a smaller learning rate may help",
    ];
    throw new TrainingError("non-finite-loss", where.join("; "), { place: { epoch, step, batch, ...found } });
  };

  /** The update, unless it is skipped. */
  const update = async (gradient: Gradient, position: Position, before: Values): Promise<"updated" | "skipped"> => {
    if (nonFinite === "skip" && (await isNonFinite(gradient))) {
      skips++;
      if (skips >= mostSkips) await fail(`${skips} steps in a row were not finite, the last`, position, before);
      before.restore();
      return "skipped";
    }
    skips = 0;
    scope(() => optimizer.apply(transform ? transform(gradient.grads) : gradient.grads));
    updated(position);
    return "updated";
  };

  return async (position, batch) => {
    // Reading the state settles what layers count on the host, which only matters if all of it is to be restored.
    if (nonFinite === "skip") tensors = [...net.stateDict().values()];
    const before = holdValues(net, tensors);
    try {
      const gradient = differentiate(options, batch);
      try {
        const skipped = (await update(gradient, position, before)) === "skipped";
        for (const grad of gradient.grads) grad.dispose();
        const report = readReport(gradient, position, batch.labels.size, reduction, skipped);
        // Awaited later. Until then the failure of an earlier step may end the loop.
        report.catch(() => {});
        return {
          report,
          expectFinite: async ({ loss, skipped }) => {
            if (!skipped && !Number.isFinite(loss)) await fail(`the loss is ${loss}`, position, before);
          },
          release: before.release,
        };
      } catch (error) {
        release(gradient);
        throw error;
      }
    } catch (error) {
      before.release();
      throw error;
    }
  };
};
