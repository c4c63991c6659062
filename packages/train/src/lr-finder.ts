import { ArgumentError } from "@striate/core";
import { rememberModes } from "@striate/nn";
import type { Optimizer } from "@striate/optim";
import type { Callback } from "./callback.js";
import { TrainingError } from "./errors.js";
import { type FitOptions, fit } from "./fit.js";
import { holdState, type Trained } from "./state.js";

export interface LrFindOptions
  extends Omit<FitOptions, "optimizer" | "epochs" | "callbacks" | "start" | "maxSeconds" | "nonFinite">,
    Pick<Trained, "extras"> {
  readonly optimizer: Pick<Optimizer<object>, "trainable" | "apply" | "stateDict" | "loadStateDict"> & {
    readonly groups: readonly { lr: number }[];
  };
  /** Rate of the first step. Default 1e-6. */
  readonly from?: number | undefined;
  /** Rate of the last step. Default 10. */
  readonly to?: number | undefined;
  /** Default 100. */
  readonly steps?: number | undefined;
  /** Share of the losses before that stays in the smoothed loss, in [0, 1). Default 0.9. */
  readonly smoothing?: number | undefined;
  /** Ends the test when the smoothed loss is so many times the smallest. Default 4. */
  readonly divergence?: number | undefined;
}

export interface LrPoint {
  readonly lr: number;
  /** Of the step made with it, before its update. */
  readonly loss: number;
  /** Mean of the losses so far with exponentially falling weights, without the bias of the beginning. */
  readonly smoothed: number;
}

export interface LrFinding {
  readonly points: readonly LrPoint[];
  /** The rate at which the smoothed loss falls fastest, per decade; undefined if it never falls. */
  readonly suggestion: number | undefined;
  /** The smoothed loss grew beyond all bounds. */
  readonly diverged: boolean;
}

/** Where a line through some neighbours falls most steeply, up to the minimum. */
const steepest = (points: readonly LrPoint[]): number | undefined => {
  const reach = 2;
  const lowest = points.reduce(
    (best, { smoothed }, i) => (smoothed < (points[best] as LrPoint).smoothed ? i : best),
    0,
  );
  let found: { readonly lr: number; readonly slope: number } | undefined;
  // The first tenth is left out: there the smoothed loss is the mean of a few batches, and falls and rises with them.
  for (let i = Math.max(1, Math.ceil(points.length / 10) + reach); i <= lowest; i++) {
    const first = points[Math.max(i - reach, 0)] as LrPoint;
    const last = points[Math.min(i + reach, lowest)] as LrPoint;
    const slope = (last.smoothed - first.smoothed) / Math.log10(last.lr / first.lr);
    if (slope < (found?.slope ?? 0)) found = { lr: (points[i] as LrPoint).lr, slope };
  }
  return found?.lr;
};

/**
 * The range test for learning rates of L. Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017,
 * section 3.3, with rates that grow exponentially: one step with each, until the loss diverges. Rates of parameter groups
 * keep their proportions; the first group has the rate that is reported. Afterwards, also after a failure, net, optimizer
 * and extras are what they were.
 *
 * @throws ArgumentError for bad options; as `fit`
 */
export const lrFind = async ({
  from = 1e-6,
  to = 10,
  steps = 100,
  smoothing = 0.9,
  divergence = 4,
  ...options
}: LrFindOptions): Promise<LrFinding> => {
  if (!(from > 0 && to > from && Number.isFinite(to)))
    throw new ArgumentError(`lrFind: the rates go from ${from} to ${to}, expected 0 < from < to`);
  if (!(Number.isSafeInteger(steps) && steps >= 2))
    throw new ArgumentError(`lrFind: steps is ${steps}, expected a whole number of at least 2`);
  if (!(smoothing >= 0 && smoothing < 1))
    throw new ArgumentError(`lrFind: smoothing is ${smoothing}, expected a number in [0, 1)`);
  if (!(divergence > 1)) throw new ArgumentError(`lrFind: divergence is ${divergence}, expected a number above 1`);
  const { net, optimizer, extras, batches } = options;
  const { groups } = optimizer;
  const unit = groups[0]?.lr ?? 0;
  if (!(unit > 0)) throw new ArgumentError(`lrFind: the first group has the rate ${unit}, expected one above 0`);
  const proportions = groups.map(({ lr }) => lr / unit);

  const lrAt = (step: number): number => from * (to / from) ** (step / (steps - 1));
  const points: LrPoint[] = [];
  let average = 0;
  let lowest = Number.POSITIVE_INFINITY;
  let diverged = false;
  const range: Callback = {
    beforeStep: ({ step }) => {
      groups.forEach((group, i) => {
        group.lr = lrAt(step) * (proportions[i] as number);
      });
    },
    onStep: ({ step, loss }, control) => {
      if (diverged) return;
      average = smoothing * average + (1 - smoothing) * loss;
      const smoothed = average / (1 - smoothing ** (step + 1));
      lowest = Math.min(lowest, smoothed);
      // Losses may be negative; then only what is no number any more diverges.
      diverged = !Number.isFinite(loss) || (lowest > 0 && smoothed > divergence * lowest);
      if (diverged) control.stop("the loss diverges");
      else points.push({ lr: lrAt(step), loss, smoothed });
    },
  };

  const { total } = batches(0, 0);
  const restoreModes = rememberModes(net);
  const held = holdState({ net, optimizer, extras });
  try {
    await fit({ ...options, epochs: steps / total, callbacks: [range] });
  } catch (error) {
    if (!(error instanceof TrainingError && error.code === "non-finite-loss")) throw error;
  } finally {
    held.restore();
    held.release();
    restoreModes();
  }
  return { points, suggestion: steepest(points), diverged };
};
