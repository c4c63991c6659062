import { type HostTensor, tensorsFromHost, tensorsToHost } from "@striate/checkpoint";
import { BackendLostError } from "@striate/core";
import type { Module } from "@striate/nn";
import type { Optimizer, OptimizerState } from "@striate/optim";
import { type Callback, type FitOptions, type FitResult, fit } from "./fit.js";

/** What trains on one backend. */
export interface Training extends Omit<FitOptions, "optimizer" | "start"> {
  readonly optimizer: Pick<Optimizer<object>, "step" | "stateDict" | "loadStateDict">;
  /** Frees it all; called when this training failed, not when it ended well. */
  dispose?(): void;
}

export interface RecoveryOptions {
  /**
   * A training from its beginning, on a backend of its own: called at the start, and again whenever that backend is lost.
   * On WebGPU that means a new adapter too.
   */
  readonly open: () => Promise<Training>;
  /** Steps from one copy of the state on the host to the next. Default 100. */
  readonly every?: number;
  /** Losses with no new copy between them after which the error is passed on. Default 3. */
  readonly attempts?: number;
  /** Hears of each loss, and of the number of steps that training goes back to. */
  readonly onLoss?: (error: BackendLostError, step: number) => void;
}

/** All that a step changes, on the host: what training goes on from, bit by bit. */
interface HostCopy {
  /** Steps made. */
  readonly step: number;
  readonly weights: ReadonlyMap<string, HostTensor>;
  readonly counters: ReadonlyMap<string, number>;
  readonly optimizer: Omit<OptimizerState, "tensors"> & { readonly tensors: ReadonlyMap<string, HostTensor> };
}

/** The state at this moment: reads are dispatched at once, and later steps do not come in. */
const copyToHost = async (step: number, { net, optimizer }: Training): Promise<HostCopy> => {
  const counters = net.counters();
  const state = optimizer.stateDict();
  const [weights, tensors] = await Promise.all([tensorsToHost(net.stateDict()), tensorsToHost(state.tensors)]);
  return { step, weights, counters, optimizer: { ...state, counters: new Map(state.counters), tensors } };
};

const load = (copy: HostCopy, { net, optimizer }: Training): void => {
  const [parameter] = net.parameters();
  if (!parameter) return;
  const { backend } = parameter;
  const weights = tensorsFromHost(copy.weights, { backend });
  const tensors = tensorsFromHost(copy.optimizer.tensors, { backend });
  try {
    net.loadStateDict(weights);
    net.loadCounters(copy.counters);
    optimizer.loadStateDict({ ...copy.optimizer, tensors });
  } finally {
    for (const tensor of [...weights.values(), ...tensors.values()]) tensor.dispose();
  }
};

/**
 * `fit`, going on where a backend is lost: on a new one, from the last copy of the state that was kept on the host. Steps
 * since then are made, and reported, once more; in the end the weights are those of an undisturbed run on that backend.
 *
 * @returns the result of the last `fit`, whose times and losses are those of its own steps, and the net that was trained.
 * @throws as `fit`; BackendLostError when backends are lost again and again; what `open` throws.
 */
export const fitWithRecovery = async ({
  open,
  every = 100,
  attempts = 3,
  onLoss,
}: RecoveryOptions): Promise<FitResult & { readonly net: Module }> => {
  let copy: HostCopy | undefined;
  let failures = 0;
  for (;;) {
    const training = await open();
    let pending: Promise<void> | undefined;
    const keep: Callback = {
      afterStep: ({ step }) => {
        if ((step + 1) % every !== 0) return;
        pending = copyToHost(step + 1, training).then((made) => {
          copy = made;
          failures = 0;
        });
        // Awaited below. Until then the failure of a step may come first.
        pending.catch(() => {});
      },
      onStep: async () => pending,
    };
    try {
      if (copy) load(copy, training);
      const callbacks = [...(training.callbacks ?? []), keep];
      return { ...(await fit({ ...training, callbacks, start: copy?.step ?? 0 })), net: training.net };
    } catch (error) {
      training.dispose?.();
      if (!(error instanceof BackendLostError) || ++failures > attempts) throw error;
      onLoss?.(error, copy?.step ?? 0);
    }
  }
};
