import { ArgumentError, noGrad, pointwise, scope, type Tensor } from "@striate/core";
import { type AveragesState, assignAll, fittingTensors, floatTensors, keptCopies, tensorsByPlace } from "./averages.js";
import { movingAverage } from "./rule.js";
import { expectCount, expectFraction } from "./validate.js";

export interface EmaOptions {
  /**
   * What to average: parameters, and running statistics if they shall follow (`net.stateDict().values()`). Integer
   * tensors, which counters are, are passed over.
   */
  readonly tensors: Iterable<Tensor>;
  /**
   * Share of the average that stays at update t (from 1), in [0, 1]. Constant, or a schedule: t => 1 - 1 / t gives the
   * plain mean of all weights (stochastic weight averaging). Default 0.999.
   */
  readonly decay?: number | ((update: number) => number) | undefined;
  /** Start with smaller decays, at most (1 + t) / (10 + t), so that the first weights are soon forgotten. Default false. */
  readonly warmup?: boolean | undefined;
}

/** Exponential moving averages of weights beside the ones that are trained (B. Polyak, A. Juditsky, 1992). */
export interface Ema {
  /** Call it after each optimizer step: average = decay · average + (1 - decay) · weight. @throws ArgumentError while swapped */
  step(): void;
  /** Whether the weights are the averages now, and the averages the weights. */
  readonly swapped: boolean;
  /** Exchange weights and averages; once more to restore them, bit for bit. */
  swap(): void;
  /** What `run` gives with the averages in the weights' place, an evaluation say; they go back, also after a failure. */
  withAverages<T>(run: () => T | Promise<T>): Promise<T>;
  /** The weights become the averages, for good. */
  finish(): void;
  /** The averages, whether swapped or not, and the number of updates. The handles stay the ema's (or the net's). */
  stateDict(): AveragesState;
  /** The tensors stay the caller's. @throws ArgumentError for what does not fit, or while swapped; nothing is changed then. */
  loadStateDict(state: AveragesState): void;
  /** Frees the averages. */
  dispose(): void;
}

/**
 * Starts from the values that the tensors have now.
 *
 * @throws ArgumentError for a bad `decay`; from `step` if the schedule leaves [0, 1].
 */
export const ema = ({ tensors, decay = 0.999, warmup = false }: EmaOptions): Ema => {
  if (typeof decay === "number") expectFraction("ema", { decay });
  const decayAt = typeof decay === "number" ? () => decay : decay;
  const weights = floatTensors(tensors);
  const averages = keptCopies(weights);
  let updates = 0;
  let swapped = false;

  const expectInPlace = (method: string): void => {
    if (swapped)
      throw new ArgumentError(`ema: ${method} while the averages are in the weights' place; swap back first`);
  };

  const swap = (): void => {
    scope(() => {
      const before = weights.map((weight) => weight.detach());
      assignAll(weights, averages);
      assignAll(averages, before);
    });
    swapped = !swapped;
  };

  return {
    step: () => {
      expectInPlace("step");
      const update = updates + 1;
      const given = decayAt(update);
      expectFraction("ema", { decay: given });
      const rate = warmup ? Math.min(given, (1 + update) / (10 + update)) : given;
      noGrad(() =>
        scope(() =>
          assignAll(
            averages,
            averages.map((average, i) => {
              const [next] = pointwise([average, weights[i] as Tensor], (a, w) => [movingAverage(a, w, rate)]);
              return next as Tensor;
            }),
          ),
        ),
      );
      updates = update;
    },
    get swapped() {
      return swapped;
    },
    swap,
    withAverages: async (run) => {
      expectInPlace("withAverages");
      swap();
      try {
        return await run();
      } finally {
        // `run` may have restored them itself.
        if (swapped) swap();
      }
    },
    finish: () => {
      expectInPlace("finish");
      assignAll(weights, averages);
    },
    stateDict: () => ({
      tensors: tensorsByPlace(swapped ? weights : averages),
      counters: new Map([["updates", updates]]),
    }),
    loadStateDict: (state) => {
      expectInPlace("loadStateDict");
      const saved = state.counters.get("updates") ?? Number.NaN;
      expectCount("ema", { updates: saved });
      assignAll(averages, fittingTensors("ema", averages, state.tensors));
      updates = saved;
    },
    dispose: () => {
      for (const tensor of averages) tensor.dispose();
    },
  };
};
