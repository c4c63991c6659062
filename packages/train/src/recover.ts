import { ArgumentError, BackendLostError } from "@striate/core";
import type { Optimizer } from "@striate/optim";
import { type Between, type Callback, type Control, noProgress, type Progress } from "./callback.js";
import type { Checkpoint } from "./checkpoint.js";
import { type FitOptions, type FitResult, fit } from "./fit.js";
import type { Trainee } from "./gradient.js";
import { captureState, restoreState, type Trained } from "./state.js";

/** What trains on one backend. */
export interface Training extends Omit<FitOptions, "optimizer" | "start">, Pick<Trained, "extras"> {
  readonly optimizer: Pick<Optimizer<object>, "trainable" | "apply" | "stateDict" | "loadStateDict">;
  /** Frees it all; called when this training failed, not when it ended well. */
  dispose?(): void;
}

/** Where checkpoints are kept. */
export interface CheckpointStore {
  /** The checkpoint to go on from, if there is one. */
  load(): Promise<Checkpoint | undefined>;
  save(checkpoint: Checkpoint): Promise<unknown>;
}

/** Keeps the last checkpoint in memory. */
export const memoryStore = (): CheckpointStore => {
  let last: Checkpoint | undefined;
  return {
    load: async () => last,
    save: async (checkpoint) => {
      last = checkpoint;
    },
  };
};

export interface RecoveryOptions {
  /**
   * A training from its beginning, on a backend of its own: called at the start, and again whenever that backend is lost.
   * On WebGPU that means a new adapter too.
   */
  readonly open: () => Promise<Training>;
  /** Steps from one checkpoint to the next, or whether there shall be one now. Default 100. */
  readonly every?: number | ((moment: Between, control: Control) => boolean);
  /** Losses in a row with no new checkpoint between them; one more is passed on. Default 3. */
  readonly attempts?: number;
  /** Default: a store in memory. From one that has a checkpoint, training goes on. */
  readonly store?: CheckpointStore;
  /** Hears of each loss on the new backend, and of the number of steps that training goes back to. */
  readonly onLoss?: (error: BackendLostError, step: number) => void;
}

/**
 * `fit`, going on where a backend is lost: on a new one, from the last checkpoint; there is one before the first step. Steps since then are made, and
 * reported, once more; in the end the weights are those of an undisturbed run on that backend.
 *
 * @returns the result of the last `fit`, whose losses are those of its own steps, and the net that was trained.
 * @throws as `fit`; BackendLostError when backends are lost again and again; what `open` and the store throw.
 */
export const fitWithRecovery = async ({
  open,
  every = 100,
  attempts = 3,
  store = memoryStore(),
  onLoss,
}: RecoveryOptions): Promise<FitResult & { readonly net: Trainee }> => {
  if (typeof every === "number" && !(Number.isSafeInteger(every) && every >= 1))
    throw new ArgumentError(`fitWithRecovery: every is ${every}, expected a whole number of at least 1`);
  const isDue = typeof every === "number" ? ({ step }: Between) => step % every === 0 : every;
  let lost: BackendLostError | undefined;
  let failures = 0;
  /** Of the checkpoint that was last gone on from. */
  let step = 0;
  for (;;) {
    const training = await open();
    const keep = async (progress: Progress): Promise<void> => {
      await store.save({ progress, states: await captureState(training) });
    };
    const keeper: Callback = { between: (moment, control) => (isDue(moment, control) ? keep : undefined) };
    try {
      const checkpoint = await store.load();
      const start = checkpoint?.progress ?? noProgress;
      if (start.step > step) failures = 0;
      ({ step } = start);
      if (lost) onLoss?.(lost, step);
      lost = undefined;
      if (checkpoint) restoreState(checkpoint.states, training);
      else await keep(noProgress);
      const callbacks = [...(training.callbacks ?? []), keeper];
      return { ...(await fit({ ...training, callbacks, start })), net: training.net };
    } catch (error) {
      training.dispose?.();
      if (!(error instanceof BackendLostError) || ++failures > attempts) throw error;
      lost = error;
    }
  }
};
