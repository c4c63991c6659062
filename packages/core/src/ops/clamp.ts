import { defineOp, dispatch } from "../dispatch.js";
import { expectDType, numericDTypes } from "../dtype.js";
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
  /** Default -Infinity. */
  readonly min?: number;
  /** Default Infinity. */
  readonly max?: number;
}

const limits = { int32: [-(2 ** 31), 2 ** 31 - 1], uint8: [0, 255] } as const;

/** x clipped to [min, max]; NaN stays. The gradient passes at the bounds themselves, as PyTorch. */
export const clamp = (x: Tensor, options: ClampOptions): Tensor => {
  expectDType("clamp", "x", x.dtype, numericDTypes);
  const [lowest, highest] =
    x.dtype === "int32" || x.dtype === "uint8" ? limits[x.dtype] : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const { min = lowest, max = highest } = options;
  if (!(min <= max)) throw new ArgumentError(`clamp: min ${min} is above max ${max}`);
  return dispatch(rule, [x], { min, max }, { shape: x.shape, dtype: x.dtype });
};
