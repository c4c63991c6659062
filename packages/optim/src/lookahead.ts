import { noGrad, scope, type Tensor } from "@striate/core";
import { type AveragesState, assignAll, fittingTensors, floatTensors, keptCopies, tensorsByPlace } from "./averages.js";
import { expectCount, expectFraction, expectPositiveCount } from "./validate.js";

export interface LookaheadOptions {
  /**
   * What to average: parameters, and running statistics if they shall follow (`net.stateDict().values()`). Integer
   * tensors, which counters are, are passed over.
   */
  readonly tensors: Iterable<Tensor>;
  /** Steps between two averages. */
  readonly every: number;
  /** Share of the slow weights that stays at step t, in [0, 1]. Constant, or a schedule. */
  readonly decay: number | ((step: number) => number);
}

/** Slow weights beside the ones that are trained: M. Zhang et al., "Lookahead Optimizer", NeurIPS 2019. */
export interface Lookahead {
  /** Call it after each optimizer step. Every so often: slow = decay · slow + (1 - decay) · fast, then fast = slow. */
  step(): void;
  /** At the end of training: fast = slow, which leaves out the steps since the last average. */
  finish(): void;
  /** `0`, `1` …: the slow weights, by the order of the tensors. The lookahead's own handles, not copies. */
  stateDict(): AveragesState;
  /** The tensors stay the caller's. @throws ArgumentError listing what does not fit; nothing is changed then. */
  loadStateDict(state: AveragesState): void;
  /** Frees the slow weights. */
  dispose(): void;
}

/**
 * Starts from the values that the tensors have now.
 *
 * @throws ArgumentError for a bad `every` or `decay`; from `step` if the schedule leaves [0, 1].
 */
export const lookahead = ({ tensors, every, decay }: LookaheadOptions): Lookahead => {
  expectPositiveCount("lookahead", { every });
  if (typeof decay === "number") expectFraction("lookahead", { decay });
  const decayAt = typeof decay === "number" ? () => decay : decay;
  const fast = floatTensors(tensors);
  const slow = keptCopies(fast);
  let steps = 0;

  const average = (rate: number): void =>
    noGrad(() =>
      scope(() => {
        assignAll(
          slow,
          slow.map((s, i) => s.mul(rate).add((fast[i] as Tensor).mul(1 - rate))),
        );
        assignAll(fast, slow);
      }),
    );

  return {
    step: () => {
      if ((steps + 1) % every === 0) {
        const rate = decayAt(steps + 1);
        expectFraction("lookahead", { decay: rate });
        average(rate);
      }
      steps++;
    },
    finish: () => assignAll(fast, slow),
    stateDict: () => ({ tensors: tensorsByPlace(slow), counters: new Map([["step", steps]]) }),
    loadStateDict: (state) => {
      const step = state.counters.get("step") ?? Number.NaN;
      expectCount("lookahead", { step });
      assignAll(slow, fittingTensors("lookahead", slow, state.tensors));
      steps = step;
    },
    dispose: () => {
      for (const tensor of slow) tensor.dispose();
    },
  };
};
