import { ArgumentError } from "@striate/core";
import type { ValidationReport } from "./callback.js";
import type { State, Stateful } from "./state.js";

/** What a validation is judged by. */
export interface MonitorOptions {
  /** Default "loss". */
  readonly monitor?: "loss" | "accuracy" | undefined;
  /** The least change that counts as an improvement. Default 0. */
  readonly minDelta?: number | undefined;
}

/** The best validation so far. */
export interface Best extends Stateful {
  /** null before the first one that is finite. */
  readonly report: ValidationReport | null;
  /** True if `report` is the best from now on. */
  update(report: ValidationReport): boolean;
}

/** A loss shall fall, an accuracy rise; NaN is no improvement. @throws ArgumentError for bad options */
export const bestValidation = ({ monitor = "loss", minDelta = 0 }: MonitorOptions = {}): Best => {
  const sign = { loss: -1, accuracy: 1 }[monitor];
  if (!sign) throw new ArgumentError(`monitor is ${JSON.stringify(monitor)}, expected "loss" or "accuracy"`);
  if (!(minDelta >= 0)) throw new ArgumentError(`minDelta is ${minDelta}, expected a number of at least 0`);
  let best: ValidationReport | null = null;
  return {
    get report() {
      return best;
    },
    update: (report) => {
      const gain = best === null ? Number.POSITIVE_INFINITY : sign * (report[monitor] - best[monitor]);
      if (!Number.isFinite(report[monitor]) || !(gain > minDelta)) return false;
      best = report;
      return true;
    },
    stateDict: () => ({ tensors: new Map(), counters: new Map(), report: best }),
    loadStateDict: (state) => {
      best = (state as State & { readonly report: ValidationReport | null }).report;
    },
  };
};
