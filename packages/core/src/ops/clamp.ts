import { defineOp, dispatch } from "../dispatch.js";
import { expectDType, expectElement, numericDTypes, rangeOf } from "../dtype.js";
import { ArgumentError } from "../errors.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({
  name: "clamp",
  saves: { inputs: [0] },
  gradient: (c) => {
    const [x, g] = [c.input(0), c.grad()];
    const { min, max } = c.attrs;
    return [x.ge(min).logicalAnd(x.le(max)).where(g, 0)];
  },
  decompose: ([x], { min, max }) => [(x as Tensor).maximum(min).minimum(max)],
});

export interface ClampOptions {
  /** Default the dtype's least. */
  readonly min?: number | undefined;
  /** Default the dtype's greatest. */
  readonly max?: number | undefined;
}

/**
 * x clipped to [min, max]; NaN stays. The gradient passes at the bounds themselves, as PyTorch.
 *
 * @throws ArgumentError if min is above max, or a bound is no element of an integer dtype.
 */
export const clamp = (x: Tensor, options: ClampOptions): Tensor => {
  expectDType("clamp", "x", x.dtype, numericDTypes);
  const [least, greatest] = rangeOf(x.dtype);
  const { min = least, max = greatest } = options;
  expectElement("clamp", min, x.dtype);
  expectElement("clamp", max, x.dtype);
  if (!(min <= max)) throw new ArgumentError(`clamp: min ${min} is above max ${max}`);
  return dispatch(rule, [x], { min, max }, { shape: x.shape, dtype: x.dtype });
};
