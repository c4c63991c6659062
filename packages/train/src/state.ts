/** All that a run needs to go on bit for bit: taken to the host, put back, or held for a while where it is. */
import { type HostTensor, tensorsFromHost, tensorsToHost } from "@striate/checkpoint";
import { ArgumentError, keep, type Tensor } from "@striate/core";
import type { Trainee } from "./gradient.js";

/** Tensors and numbers by name. What else a state has must be JSON with finite numbers. */
export interface State {
  /** The owner's own handles, not copies. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly counters: ReadonlyMap<string, number>;
}

/** What can be saved and restored: optimizers, lookahead, moving averages, early stopping … */
export interface Stateful {
  stateDict(): State;
  /** The tensors stay the caller's. @throws for what does not fit; nothing is changed then. */
  loadStateDict(state: State): void;
}

/** What is trained, and all that training changes. */
export interface Trained {
  readonly net: Trainee;
  readonly optimizer: Stateful;
  /** Whatever else has a state, by a name without `/`. */
  readonly extras?: Readonly<Record<string, Stateful>> | undefined;
}

export interface HostState {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly counters: ReadonlyMap<string, number>;
  /** The state's further members. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** Of `net`, `optimizer` and `extra/NAME` each. */
export type HostStates = ReadonlyMap<string, HostState>;

/** A net's parameters and buffers, its counters (dropout's), and which parameters are frozen. */
const statefulNet = (net: Trainee): Stateful => ({
  stateDict: () => ({
    tensors: net.stateDict(),
    counters: net.counters(),
    frozen: [...net.namedParameters()].flatMap(([name, parameter]) => (parameter.requiresGrad ? [] : [name])),
  }),
  loadStateDict: (state) => {
    const { tensors, counters, frozen } = state as State & { readonly frozen: readonly string[] };
    const known = net.namedParameters();
    const unknown = frozen.filter((name) => !known.has(name));
    if (unknown.length > 0) throw new ArgumentError(`restoreState: unknown frozen parameters: ${unknown.join(", ")}`);
    net.loadStateDict(tensors);
    net.loadCounters(counters);
    net.unfreeze();
    net.freeze((name) => frozen.includes(name));
  },
});

/** The parts by the names they have in a checkpoint. @throws ArgumentError for an extra's name with a slash */
const partsOf = ({ net, optimizer, extras = {} }: Trained): Map<string, Stateful> => {
  const slashed = Object.keys(extras).find((name) => name === "" || name.includes("/"));
  if (slashed !== undefined)
    throw new ArgumentError(
      `captureState: the extra ${JSON.stringify(slashed)} has no name, expected a text without /`,
    );
  return new Map([
    ["net", statefulNet(net)],
    ["optimizer", optimizer],
    ...Object.entries(extras).map(([name, stateful]) => [`extra/${name}`, stateful] as const),
  ]);
};

const jsonOf = ({ tensors: _, counters: __, ...json }: State): Record<string, unknown> => json;

/**
 * Copies the state to the host. It is that of the moment of the call: all reads are dispatched before the first is
 * awaited, and what changes afterwards does not come in.
 */
export const captureState = async (trained: Trained): Promise<HostStates> =>
  new Map(
    await Promise.all(
      [...partsOf(trained)].map(async ([name, part]) => {
        const state = part.stateDict();
        const json = structuredClone(jsonOf(state));
        const counters = new Map(state.counters);
        return [name, { tensors: await tensorsToHost(state.tensors), counters, json }] as const;
      }),
    ),
  );

/** The state as it is now, in handles: no element is copied, but what is held takes memory until it is released. */
export interface Held {
  /** Everything is as it was then. */
  restore(): void;
  release(): void;
}

const holdParts = (parts: ReadonlyMap<string, Stateful>): Held => {
  const held = [...parts.values()].map((part) => {
    const state = part.stateDict();
    const tensors = new Map([...state.tensors].map(([name, tensor]) => [name, keep(tensor.detach())]));
    return { part, state: { ...structuredClone(jsonOf(state)), tensors, counters: new Map(state.counters) } };
  });
  return {
    restore: () => {
      for (const { part, state } of held) part.loadStateDict(state);
    },
    release: () => {
      for (const { state } of held) for (const tensor of state.tensors.values()) tensor.dispose();
    },
  };
};

/** For what shall leave no trace, like a search for a learning rate. */
export const holdState = (trained: Trained): Held => holdParts(partsOf(trained));

/**
 * Puts a captured state back: all of it or, if anything does not fit, nothing.
 *
 * @throws ArgumentError for parts that are missing or unexpected; what the parts' `loadStateDict` throw.
 */
export const restoreState = (states: HostStates, trained: Trained): void => {
  const parts = partsOf(trained);
  const problems = [
    ...[...parts.keys()].filter((name) => !states.has(name)).map((name) => `missing: ${name}`),
    ...[...states.keys()].filter((name) => !parts.has(name)).map((name) => `unexpected: ${name}`),
  ];
  if (problems.length > 0)
    throw new ArgumentError(`restoreState: the state does not fit what is trained: ${problems.join(", ")}`);
  const [parameter] = trained.net.parameters();
  if (!parameter) throw new ArgumentError("restoreState: the net has no parameters");
  const { backend } = parameter;
  const before = holdParts(parts);
  try {
    for (const [name, part] of parts) {
      const { tensors: onHost, counters, json } = states.get(name) as HostState;
      const tensors = tensorsFromHost(onHost, { backend });
      try {
        part.loadStateDict({ ...json, tensors, counters });
      } finally {
        for (const tensor of tensors.values()) tensor.dispose();
      }
    }
  } catch (error) {
    before.restore();
    throw error;
  } finally {
    before.release();
  }
};
