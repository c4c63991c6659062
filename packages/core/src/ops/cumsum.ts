import { defineOp, dispatch } from "../dispatch.js";
import { expectDType, numericDTypes } from "../dtype.js";
import { normalizeAxis } from "../shape.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({
  name: "cumsum",
  gradient: (c) => {
    const { axis } = c.attrs;
    return [c.grad().flip(axis).cumsum(axis).flip(axis)];
  },
  // Hillis and Steele 1986: after the round with shift s every element holds the sum of the last 2s.
  decompose: ([input], { axis }) => {
    let x = input as Tensor;
    const n = x.shape[axis] as number;
    for (let shift = 1; shift < n; shift *= 2) {
      const at = x.shape.map((_, i) => (i === axis ? shift : 0));
      const kept = x.slice({ begin: x.shape.map(() => 0), end: x.shape.map((m, i) => (i === axis ? m - shift : m)) });
      x = x.add(kept.pad({ before: at, after: x.shape.map(() => 0) }));
    }
    return [x === input ? x.reshape(x.shape) : x];
  },
});

/** Running sum along `axis`. */
export const cumsum = (x: Tensor, axis: number): Tensor => {
  expectDType("cumsum", "x", x.dtype, numericDTypes);
  return dispatch(rule, [x], { axis: normalizeAxis("cumsum", axis, x.rank) }, { shape: x.shape, dtype: x.dtype });
};
