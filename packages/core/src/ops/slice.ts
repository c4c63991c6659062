import type { Shape } from "../backend.js";
import { constant, defineOp, dispatch, view } from "../dispatch.js";
import { ShapeError } from "../errors.js";
import { formatShape, normalizeAxes, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";

const along = (shape: Shape, axis: number, n: number): number[] => shape.map((m, i) => (i === axis ? n : m));

/** Positions begin, begin + step, … along `axis`, repeated over the other axes of `shape`. */
const positions = (like: Tensor, shape: Shape, axis: number, begin: number, step: number): Tensor => {
  const n = shape[axis] as number;
  const line = Int32Array.from({ length: n }, (_, i) => begin + i * step);
  return constant(
    like,
    {
      shape: along(
        shape.map(() => 1),
        axis,
        n,
      ),
      dtype: "int32",
    },
    line,
  ).expand(shape);
};

const rule = defineOp({
  name: "slice",
  gradient: (c) => {
    const { shape } = c.inputSpecs[0] as { shape: Shape };
    const { begin, step } = c.attrs;
    let g = c.grad();
    // Axes that skip elements are scattered, one by one; the others are padded, all at once.
    step.forEach((s, axis) => {
      if (Math.abs(s) === 1) return;
      const target = fill(g.runtime, along(g.shape, axis, shape[axis] as number), g.dtype, 0);
      g = target.scatterAdd(axis, positions(g, g.shape, axis, begin[axis] as number, s), g);
    });
    const flipped = step.flatMap((s, axis) => (s === -1 ? [axis] : []));
    if (flipped.length > 0) g = g.flip(flipped);
    const before = step.map((s, axis) => {
      const first = begin[axis] as number;
      const extent = g.shape[axis] as number;
      return s === 1 ? first : s === -1 ? first - extent + 1 : 0;
    });
    const after = before.map((b, axis) => (shape[axis] as number) - b - (g.shape[axis] as number));
    return [g.pad({ before, after })];
  },
});

const sliceOp = (x: Tensor, shape: Shape, begin: readonly number[], step: readonly number[]): Tensor =>
  dispatch(rule, [x], { begin, step }, { shape, dtype: x.dtype });

export interface SliceOptions {
  /** First index, an axis; missing axes start at 0. Negative counts from the end. */
  readonly begin?: readonly number[] | undefined;
  /** One past the last index, an axis; missing axes run to the end. Negative counts from the end. */
  readonly end?: readonly number[] | undefined;
  /** Distance between indices, an axis, at least 1; missing axes have 1. For backwards see `flip`. */
  readonly step?: readonly number[] | undefined;
}

/**
 * x[begin[i] : end[i] : step[i]] on every axis i. Bounds must lie inside the axis.
 *
 * @throws ShapeError for bounds outside the axis, a step below 1, or more entries than axes.
 */
export const slice = (x: Tensor, options: SliceOptions): Tensor => {
  for (const [name, list] of Object.entries(options) as [string, readonly number[] | undefined][])
    if (list && list.length > x.rank)
      throw new ShapeError(`slice: ${name} has ${list.length} entries, x ${formatShape(x.shape)} has rank ${x.rank}`);
  const begin: number[] = [];
  const step: number[] = [];
  const shape = x.shape.map((n, axis) => {
    const wrap = (i: number): number => (i < 0 ? i + n : i);
    const from = wrap(options.begin?.[axis] ?? 0);
    const to = wrap(options.end?.[axis] ?? n);
    const by = options.step?.[axis] ?? 1;
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to > n || from > to)
      throw new ShapeError(`slice: [${from}, ${to}) on axis ${axis} does not lie inside [0, ${n})`);
    if (!Number.isInteger(by) || by < 1)
      throw new ShapeError(`slice: step ${by} on axis ${axis}, expected an integer of at least 1`);
    begin.push(from);
    step.push(by);
    return Math.ceil((to - from) / by);
  });
  if (sameShape(shape, x.shape)) return view("slice", x, x.shape);
  return sliceOp(x, shape, begin, step);
};

/** Reverse the order along one axis or several. */
export const flip = (x: Tensor, axes: number | readonly number[]): Tensor => {
  const flipped = normalizeAxes("flip", axes, x.rank);
  const begin = x.shape.map((n, i) => (flipped.includes(i) ? n - 1 : 0));
  const step = x.shape.map((_, i) => (flipped.includes(i) ? -1 : 1));
  return sliceOp(x, x.shape, begin, step);
};
