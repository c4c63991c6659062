import { currentScope, type Scope, withContext } from "./context.js";
import { ArgumentError } from "./errors.js";
import type { Tensor } from "./tensor.js";

/** Refuses promises at compile time: a scope ends when its body returns, long before an async body is done. */
export type Sync<T> = T extends PromiseLike<unknown> ? never : T;

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

const collect = (value: unknown, members: ReadonlySet<Tensor>, found: Set<Tensor>): void => {
  if (typeof value !== "object" || value === null) return;
  if (members.has(value as Tensor)) found.add(value as Tensor);
  else if (Array.isArray(value)) for (const item of value) collect(item, members, found);
  else if (value instanceof Map || value instanceof Set)
    for (const item of value.values()) collect(item, members, found);
  else if (isPlain(value)) for (const item of Object.values(value)) collect(item, members, found);
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
  const escaping = new Set<Tensor>();
  try {
    const result = withContext({ scope: inner }, body);
    if (typeof (result as { then?: unknown } | null | undefined)?.then === "function")
      throw new ArgumentError("scope: the body returned a promise; a scope's body must be synchronous");
    collect(result, inner.members, escaping);
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
  for (let s = currentScope(); s; s = s.outer) s.members.delete(tensor);
  return tensor;
};

/** A function whose intermediate tensors are disposed when it returns. */
export const scoped =
  <A extends readonly unknown[], R>(body: (...args: A) => R & Sync<R>): ((...args: A) => R) =>
  (...args) =>
    scope<R>(() => body(...args));
