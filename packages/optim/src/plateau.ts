import { ArgumentError } from "@striate/core";
import { expectCount, expectNonNegative } from "./validate.js";

export interface PlateauOptions {
  /** Whether the metric shall fall or rise. Default "min". */
  mode?: "min" | "max";
  /** The rate is multiplied by this. Default 0.1. */
  factor?: number;
  /** So many updates without improvement are borne; the next one lowers the rate. Default 10. */
  patience?: number;
  /** What counts as an improvement. Default 1e-4. */
  threshold?: number;
  /** Whether `threshold` is a share of the best metric or a difference. Default "rel". */
  thresholdMode?: "rel" | "abs";
  /** Updates after a reduction in which none is counted as bad. Default 0. */
  cooldown?: number;
  /** Default 0. */
  minLr?: number;
  /** Changes of the rate up to this are not made. Default 1e-8. */
  eps?: number;
}

/** JSON can carry it. */
export interface PlateauState {
  readonly lr: number;
  /** null before the first finite metric: JSON has no infinity. */
  readonly best: number | null;
  readonly badUpdates: number;
  readonly cooldown: number;
}

/** torch.optim.lr_scheduler.ReduceLROnPlateau as two pure functions. */
export interface ReduceLrOnPlateau {
  init(lr: number): PlateauState;
  /**
   * `lr` of the result is the rate from now on. A metric that is not finite is no improvement, not even Infinity in
   * "max" mode, which PyTorch would take for the best for ever.
   */
  update(state: PlateauState, metric: number): PlateauState;
}

/** @throws ArgumentError for options out of range. */
export const reduceLrOnPlateau = ({
  mode = "min",
  factor = 0.1,
  patience = 10,
  threshold = 1e-4,
  thresholdMode = "rel",
  cooldown = 0,
  minLr = 0,
  eps = 1e-8,
}: PlateauOptions = {}): ReduceLrOnPlateau => {
  if (!(factor >= 0 && factor < 1))
    throw new ArgumentError(`reduceLrOnPlateau: factor is ${factor}, expected a number in [0, 1)`);
  expectNonNegative("reduceLrOnPlateau", { threshold, minLr, eps });
  expectCount("reduceLrOnPlateau", { patience, cooldown });
  const sign = { min: 1, max: -1 }[mode];
  if (!sign) throw new ArgumentError(`reduceLrOnPlateau: mode is ${JSON.stringify(mode)}, expected "min" or "max"`);
  const margin = { rel: (best: number) => threshold * best, abs: () => threshold }[thresholdMode];
  if (!margin)
    throw new ArgumentError(
      `reduceLrOnPlateau: thresholdMode is ${JSON.stringify(thresholdMode)}, expected "rel" or "abs"`,
    );
  // In max mode both sides change sign, so that one comparison serves; the margin is taken of the true best.
  const improves = (metric: number, best: number): boolean => sign * metric < sign * best - margin(best);

  return {
    init: (lr) => {
      expectNonNegative("reduceLrOnPlateau", { lr });
      return { lr, best: null, badUpdates: 0, cooldown: 0 };
    },
    update: (state, metric) => {
      const better = Number.isFinite(metric) && (state.best === null || improves(metric, state.best));
      const cooling = state.cooldown > 0;
      const badUpdates = better || cooling ? 0 : state.badUpdates + 1;
      const next = {
        ...state,
        best: better ? metric : state.best,
        badUpdates,
        cooldown: Math.max(state.cooldown - 1, 0),
      };
      if (badUpdates <= patience) return next;
      const lr = Math.max(state.lr * factor, minLr);
      return { ...next, lr: state.lr - lr > eps ? lr : state.lr, badUpdates: 0, cooldown };
    },
  };
};
