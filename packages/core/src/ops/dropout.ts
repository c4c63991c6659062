import { expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import type { RandomAddress } from "../random/address.js";
import { scoped } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { drawBits } from "./random-bits.js";

export interface DropoutOptions extends RandomAddress {
  /** Probability of dropping an element, in [0, 1]. */
  readonly p: number;
}

/**
 * Inverted dropout (Srivastava et al. 2014): each element is 0 with probability p, else x / (1 - p). The mask is a
 * comparison of integers, so it is the same bit for bit on every backend.
 *
 * @throws ArgumentError for p outside [0, 1] or a bad address.
 */
export const dropout = /* @__PURE__ */ scoped((x: Tensor, options: DropoutOptions): Tensor => {
  const { p } = options;
  expectArguments("dropout", { x });
  expectDType("dropout", "x", x.dtype, floatDTypes);
  if (!(p >= 0 && p <= 1)) throw new ArgumentError(`dropout: p is ${p}, expected a probability in [0, 1]`);
  const bits = drawBits("dropout", x.runtime, x.shape, options);
  const kept = bits.lt(Math.round((1 - p) * 2 ** 24));
  return kept.where(p < 1 ? x.div(1 - p) : x, 0);
});
