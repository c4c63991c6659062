import { defineOp, dispatch, view } from "../dispatch.js";
import { ShapeError } from "../errors.js";
import { formatShape, normalizeAxis } from "../shape.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({
  name: "permute",
  gradient: (c) => {
    const { perm } = c.attrs;
    return [
      permute(
        c.grad(),
        perm.map((_, i) => perm.indexOf(i)),
      ),
    ];
  },
});

/** Axis i of the result is axis perm[i] of x. @throws ShapeError unless `perm` names every axis once. */
export const permute = (x: Tensor, perm: readonly number[]): Tensor => {
  const axes = perm.map((a) => normalizeAxis("permute", a, x.rank));
  if (axes.length !== x.rank || new Set(axes).size !== x.rank)
    throw new ShapeError(`permute: ${formatShape(perm)} is no permutation of the axes of ${formatShape(x.shape)}`);
  if (axes.every((a, i) => a === i)) return view("permute", x, x.shape);
  return dispatch(rule, [x], { perm: axes }, { shape: axes.map((a) => x.shape[a] as number), dtype: x.dtype });
};

/** Swap two axes, by default the last two. */
export const transpose = (x: Tensor, a = -2, b = -1): Tensor => {
  const [i, j] = [normalizeAxis("transpose", a, x.rank), normalizeAxis("transpose", b, x.rank)];
  return permute(
    x,
    x.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis)),
  );
};
