import { ArgumentError, keep, type Tensor } from "@striate/core";
import { bestValidation, type MonitorOptions } from "./best.js";
import type { Callback, ValidationReport } from "./callback.js";
import type { Trainee } from "./gradient.js";
import type { State, Stateful } from "./state.js";

export interface EarlyStoppingOptions extends MonitorOptions {
  readonly net: Trainee;
  /** So many validations without improvement are borne; the next one ends training. Default 5. */
  readonly patience?: number | undefined;
}

export interface EarlyStopping extends Callback, Stateful {
  /** null before the first validation. */
  readonly best: ValidationReport | null;
  /** Gives the net the parameters and buffers that it had at the best validation, if there was one. */
  restoreBest(): void;
  /** Frees the best weights. */
  dispose(): void;
}

/**
 * Ends training when validations no longer improve, and keeps the weights of the best one: for `between` of
 * `validation`, in a list with it, and among the `extras` of a checkpoint.
 *
 * @throws ArgumentError for bad options
 */
export const earlyStopping = ({ net, patience = 5, ...monitor }: EarlyStoppingOptions): EarlyStopping => {
  if (!(Number.isSafeInteger(patience) && patience >= 0))
    throw new ArgumentError(`earlyStopping: patience is ${patience}, expected a whole number of at least 0`);
  const best = bestValidation(monitor);
  let weights = new Map<string, Tensor>();
  let waited = 0;

  const dispose = (): void => {
    for (const tensor of weights.values()) tensor.dispose();
    weights = new Map();
  };
  const take = (tensors: ReadonlyMap<string, Tensor>): void => {
    const taken = new Map([...tensors].map(([name, tensor]) => [name, keep(tensor.detach())]));
    dispose();
    weights = taken;
  };

  return {
    get best() {
      return best.report;
    },
    onValidation: (report, control) => {
      if (best.update(report)) {
        take(net.stateDict());
        waited = 0;
      } else if (++waited > patience) {
        const { monitor: what = "loss" } = monitor;
        control.stop(
          `no better validation ${what} for ${waited} validations; the best was that of step ${best.report?.step}`,
        );
      }
    },
    restoreBest: () => {
      if (weights.size > 0) net.loadStateDict(weights);
    },
    stateDict: () => ({ ...best.stateDict(), tensors: weights, counters: new Map([["waited", waited]]) }),
    loadStateDict: (state: State) => {
      const saved = state.counters.get("waited");
      if (saved === undefined) throw new ArgumentError("earlyStopping: the state has no counter waited");
      best.loadStateDict(state);
      take(state.tensors);
      waited = saved;
    },
    dispose,
  };
};
