import { bestValidation, type MonitorOptions } from "./best.js";
import type { Callback } from "./callback.js";
import type { Checkpoint } from "./checkpoint.js";
import { captureState, type Stateful, type Trained } from "./state.js";
import { type Every, timer } from "./validation.js";

export interface ModelCheckpointOptions extends Every, MonitorOptions {
  readonly trained: Trained;
  /** Keeps it, where it likes; `best` if no validation before was as good. */
  readonly save: (checkpoint: Checkpoint, options: { readonly best: boolean }) => unknown;
}

/**
 * Checkpoints now and then, after each validation that is the best so far, and when training ends. It comes last in the
 * list of callbacks; with a name among the `extras` it knows after a restart what was best.
 *
 * @throws ArgumentError for bad options
 */
export const modelCheckpoint = ({
  trained,
  save,
  everyEpochs,
  everySteps,
  ...monitor
}: ModelCheckpointOptions): Callback & Stateful => {
  const isTime = timer("modelCheckpoint", { everyEpochs, everySteps });
  const best = bestValidation(monitor);
  let improved = false;
  return {
    onValidation: (report) => {
      improved = best.update(report) || improved;
    },
    between: (moment, { ending }) => {
      if (!improved && ending === undefined && !isTime(moment)) return undefined;
      return async (progress) => {
        await save({ progress, states: await captureState(trained) }, { best: improved });
        improved = false;
      };
    },
    stateDict: best.stateDict,
    loadStateDict: best.loadStateDict,
  };
};
