import { expectArguments } from "../dispatch.js";
import { ArgumentError } from "../errors.js";
import { scoped } from "../scope.js";
import { normalizeAxis } from "../shape.js";
import type { Tensor } from "../tensor.js";

export interface MaxoutOptions {
  /** Neighbouring channels of which the largest goes on; divides the axis. */
  readonly pieces: number;
  /** Default 1. */
  readonly axis?: number | undefined;
}

/** The maximum of each `pieces` neighbours along `axis` (Goodfellow et al. 2013, section 2). @throws ArgumentError */
export const maxout = /* @__PURE__ */ scoped((x: Tensor, { pieces, axis = 1 }: MaxoutOptions): Tensor => {
  expectArguments("maxout", { x });
  const a = normalizeAxis("maxout", axis, x.rank);
  const n = x.shape[a] as number;
  if (!Number.isInteger(pieces) || pieces < 1 || n % pieces !== 0)
    throw new ArgumentError(`maxout: pieces is ${pieces}, expected a divisor of the ${n} elements of axis ${axis}`);
  return x.reshape([...x.shape.slice(0, a), n / pieces, pieces, ...x.shape.slice(a + 1)]).max(a + 1);
});
