import { ArgumentError } from "@striate/core";
import type { Between, Callback } from "./callback.js";

/** When something is to be done between steps: at whatever of both is given. Without either: each epoch. */
export interface Every {
  /** The last step of a run counts as an epoch's end. */
  readonly everyEpochs?: number | undefined;
  readonly everySteps?: number | undefined;
}

/** Whether it is time, by numbers of epochs or steps. @throws ArgumentError for such that are no positive integers */
export const timer = (name: string, { everyEpochs, everySteps }: Every): ((moment: Between) => boolean) => {
  for (const [option, value] of Object.entries({ everyEpochs, everySteps }))
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1))
      throw new ArgumentError(`${name}: ${option} is ${value}, expected a whole number of at least 1`);
  const epochs = everyEpochs ?? (everySteps === undefined ? 1 : undefined);
  return ({ epoch, step, epochEnd }) =>
    (epochs !== undefined && epochEnd && (epoch + 1) % epochs === 0) ||
    (everySteps !== undefined && step % everySteps === 0);
};

export interface ValidationOptions extends Every {
  /** `() => evaluate(net, batches(…))`, say. */
  readonly evaluate: (
    moment: Between,
  ) => Promise<{ readonly loss: number; readonly accuracy: number; readonly images: number }>;
  /** Also behind the last step, whenever that is. Default false. */
  readonly atEnd?: boolean | undefined;
}

/**
 * Evaluates now and then, and tells all callbacks (`onValidation`).
 *
 * @throws ArgumentError unless numbers of epochs and steps are positive integers
 */
export const validation = ({ evaluate, atEnd = false, ...every }: ValidationOptions): Callback => {
  const isTime = timer("validation", every);
  return {
    between: (moment, control) => {
      if (moment.interrupted) return undefined;
      const last = atEnd && (control.ending === "finished" || control.ending === "stopped");
      if (!last && !isTime(moment)) return undefined;
      return async () => {
        const { loss, accuracy, images } = await evaluate(moment);
        await control.validated({ epoch: moment.epoch, step: moment.step, loss, accuracy, images });
      };
    },
  };
};
