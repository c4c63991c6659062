/**
 * The dynamic extent of `scope`, `noGrad` and `withGrad`: the one piece of module state in Striate. It is set and
 * restored by strictly nested synchronous calls, so between two turns of the event loop it always has its initial
 * value. docs/decisions/0002-autograd-and-memory.md says why it is not passed by hand.
 */
import type { Tensor } from "./tensor.js";

/** The tensors made inside one `scope` call. */
export interface Scope {
  readonly members: Set<Tensor>;
  readonly outer: Scope | null;
}

interface Context {
  readonly scope: Scope | null;
  readonly recording: boolean;
}

let current: Context = { scope: null, recording: true };

/** Run `body` with parts of the context replaced. */
export const withContext = <T>(change: Partial<Context>, body: () => T): T => {
  const outer = current;
  current = { ...outer, ...change };
  try {
    return body();
  } finally {
    current = outer;
  }
};

/** The scope that new tensors join, if any. */
export const currentScope = (): Scope | null => current.scope;

/** Take a tensor out of all scopes around this call. */
export const leaveScopes = (tensor: Tensor): void => {
  for (let scope = current.scope; scope; scope = scope.outer) scope.members.delete(tensor);
};

/** Whether ops on tensors that require a gradient are recorded. */
export const isRecording = (): boolean => current.recording;
