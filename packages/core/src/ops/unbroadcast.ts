import type { Shape } from "../backend.js";
import { padRank, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

/** The adjoint of broadcasting `shape` to g's: sums over the axes that were stretched or added. */
export const unbroadcast = (g: Tensor, shape: Shape): Tensor => {
  if (sameShape(g.shape, shape)) return g;
  const padded = padRank(shape, g.rank);
  const axes = padded.flatMap((n, i) => (n === 1 && g.shape[i] !== 1 ? [i] : []));
  return g.sum(axes, { keepDims: true }).reshape(shape);
};
