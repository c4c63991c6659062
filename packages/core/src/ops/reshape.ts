import type { Shape } from "../backend.js";
import { view } from "../dispatch.js";
import { ShapeError } from "../errors.js";
import { expectShape, formatShape, normalizeAxis, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";

/**
 * The same elements in row-major order under another shape; shares storage. One dimension may be -1: whatever is left.
 *
 * @throws ShapeError if the sizes differ.
 */
export const reshape = (x: Tensor, shape: Shape): Tensor => {
  const free = shape.indexOf(-1);
  let resolved = [...shape];
  if (free >= 0) {
    const others = sizeOf(shape.filter((_, i) => i !== free));
    resolved = shape.map((n, i) => (i === free ? (others === 0 ? 0 : x.size / others) : n));
  }
  if (resolved.some((n) => !Number.isInteger(n) || n < 0) || sizeOf(resolved) !== x.size)
    throw new ShapeError(`reshape: ${formatShape(x.shape)} has ${x.size} elements, ${formatShape(shape)} does not`);
  expectShape("reshape", resolved);
  return view("reshape", x, resolved);
};

/** Merge all axes from `startAxis` (default 0) to the last. Rank 0 becomes [1]. */
export const flatten = (x: Tensor, startAxis = 0): Tensor => {
  if (x.rank === 0) return reshape(x, [1]);
  const start = normalizeAxis("flatten", startAxis, x.rank);
  return view("flatten", x, [...x.shape.slice(0, start), sizeOf(x.shape.slice(start))]);
};

/** Remove `axis`, which must have size 1; without it, all axes of size 1. */
export const squeeze = (x: Tensor, axis?: number): Tensor => {
  if (axis === undefined)
    return view(
      "squeeze",
      x,
      x.shape.filter((n) => n !== 1),
    );
  const a = normalizeAxis("squeeze", axis, x.rank);
  if (x.shape[a] !== 1)
    throw new ShapeError(`squeeze: axis ${axis} of ${formatShape(x.shape)} has size ${x.shape[a]}, expected 1`);
  return view(
    "squeeze",
    x,
    x.shape.filter((_, i) => i !== a),
  );
};

/** Insert an axis of size 1 before `axis`; -1 appends one. */
export const unsqueeze = (x: Tensor, axis: number): Tensor => {
  const a = normalizeAxis("unsqueeze", axis, x.rank + 1);
  return view("unsqueeze", x, [...x.shape.slice(0, a), 1, ...x.shape.slice(a)]);
};
