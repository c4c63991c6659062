import { currentScope, leaveScopes, type Scope, withContext } from "./context.js";
import { ArgumentError } from "./errors.js";
import type { Tensor } from "./tensor.js";

/** Refuses promises at compile time: a scope ends when its body returns, long before an async body is done. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T;

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

/** Adds to `found` all objects that can be reached from `value`, the tensors among them. */
const reach = (value: unknown, found: Set<object>): void => {
  if (typeof value !== "object" || value === null || found.has(value)) return;
  found.add(value);
  if (Array.isArray(value)) for (const item of value) reach(item, found);
  else if (value instanceof Map || value instanceof Set) for (const item of value.values()) reach(item, found);
  else if (isPlain(value)) for (const item of Object.values(value)) reach(item, found);
};

/** @throws ArgumentError if a body that must be synchronous returned a promise after all. */
export const expectSync = (op: string, result: unknown): void => {
  if (typeof (result as { then?: unknown } | null | undefined)?.then === "function")
    throw new ArgumentError(`${op}: the body returned a promise, expected a synchronous body`);
};

/**
 * Run `body` and dispose every tensor made inside, except those in its result (a tensor, or arrays, plain objects,
 * Maps and Sets of them), which belong to the enclosing scope afterwards. On an exception everything is disposed.
 *
 * @throws ArgumentError if the body returns a promise after all (the types refuse it).
 */
export const scope = <T>(body: () => T & Sync<T>): T => {
  const outer = currentScope();
  const inner: Scope = { members: new Set(), outer };
  const escaping = new Set<object>();
  try {
    const result = withContext({ scope: inner }, body);
    expectSync("scope", result);
    reach(result, escaping);
    return result;
  } finally {
    for (const tensor of inner.members) {
      if (escaping.has(tensor)) outer?.members.add(tensor);
      else tensor.dispose();
    }
  }
};

/** Take a tensor out of all scopes around this call: it lives until it is disposed by hand. Returns the tensor. */
export const keep = (tensor: Tensor): Tensor => {
  leaveScopes(tensor);
  return tensor;
};

/** A function whose intermediate tensors are disposed when it returns. */
export const scoped =
  <A extends readonly unknown[], R>(body: (...args: A) => R & Sync<R>): ((...args: A) => R) =>
  (...args) =>
    scope<R>(() => body(...args));
