import type { Shape } from "../backend.js";
import { defineOp, dispatch, view } from "../dispatch.js";
import { ShapeError } from "../errors.js";
import { expectShape, formatShape, padRank, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { unbroadcast } from "./unbroadcast.js";

const rule = defineOp({
  name: "expand",
  gradient: (c) => [unbroadcast(c.grad(), (c.inputSpecs[0] as { shape: Shape }).shape)],
});

/** Broadcast to `shape`: axes of size 1 repeat, missing ones are added in front. @throws ShapeError if it cannot. */
export const expand = (x: Tensor, shape: Shape): Tensor => {
  expectShape("expand", shape);
  const padded = x.rank <= shape.length ? padRank(x.shape, shape.length) : null;
  if (!padded?.every((n, i) => n === 1 || n === shape[i]))
    throw new ShapeError(`expand: ${formatShape(x.shape)} does not broadcast to ${formatShape(shape)}`);
  if (sameShape(padded, shape)) return view("expand", x, [...shape]);
  return dispatch(rule, [x], {}, { shape: [...shape], dtype: x.dtype }, { inputs: [padded] });
};
