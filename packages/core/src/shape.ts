import { ShapeError } from "./errors.js";

type Shape = readonly number[];

/** Number of elements; 1 for rank 0. */
export const sizeOf = (shape: Shape): number => {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
};

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

/** `[2, 3]`; rank 0 prints as `[]`. */
export const formatShape = (shape: Shape): string => `[${shape.join(", ")}]`;

/** @throws ShapeError unless every dimension is a non-negative safe integer, and so is their product. */
export const expectShape = (op: string, shape: Shape): void => {
  if (!shape.every((n) => Number.isSafeInteger(n) && n >= 0) || !Number.isSafeInteger(sizeOf(shape)))
    throw new ShapeError(`${op}: ${formatShape(shape)} is not a shape; expected non-negative integers`);
};

/** Steps between neighbours along each axis of a contiguous row-major array. */
export const rowMajorStrides = (shape: Shape): number[] => {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i] as number;
  }
  return strides;
};

/** Row-major strides of `from`, 0 along the axes that broadcast to `to` (same rank). */
export const broadcastStrides = (from: Shape, to: Shape): number[] =>
  rowMajorStrides(from).map((stride, i) => (from[i] === 1 && to[i] !== 1 ? 0 : stride));

/** NumPy's broadcasting rule. @throws ShapeError naming both shapes. */
export const broadcastShapes = (op: string, ...shapes: readonly Shape[]): number[] => {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const axis = rank - shape.length + i;
      const n = shape[i] as number;
      if (n === 1 || n === result[axis]) continue;
      if (result[axis] !== 1)
        throw new ShapeError(
          `${op}: shapes ${shapes.map(formatShape).join(" and ")} do not broadcast: ${n} meets ${result[axis]}`,
        );
      result[axis] = n;
    }
  }
  return result;
};

/** `shape` with ones in front up to `rank`. */
export const padRank = (shape: Shape, rank: number): Shape =>
  shape.length === rank ? shape : [...new Array<number>(rank - shape.length).fill(1), ...shape];

/** A single axis, negative counted from the end. @throws ShapeError */
export const normalizeAxis = (op: string, axis: number, rank: number): number => {
  const normalized = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || normalized < 0 || normalized >= rank)
    throw new ShapeError(`${op}: axis ${axis} is out of range for rank ${rank}`);
  return normalized;
};

/** Axes to reduce: sorted and without repeats; undefined means all. @throws ShapeError */
export const normalizeAxes = (op: string, axes: number | readonly number[] | undefined, rank: number): number[] => {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof axes === "number" ? [axes] : axes).map((a) => normalizeAxis(op, a, rank));
  if (new Set(list).size !== list.length)
    throw new ShapeError(`${op}: axes [${[axes].flat().join(", ")}] name an axis twice`);
  return list.sort((a, b) => a - b);
};

/** Shape after reducing `axes` (normalized): without them, or with ones in their place. */
export const reducedShape = (shape: Shape, axes: readonly number[], keepDims: boolean): number[] =>
  keepDims ? shape.map((n, i) => (axes.includes(i) ? 1 : n)) : shape.filter((_, i) => !axes.includes(i));

/**
 * Merge neighbouring axes that are both reduced or both kept, and drop axes of size 1: any reduction of a row-major
 * array becomes one over alternating axes. Sum over (0, 2, 3) of NCHW becomes [N, C, H*W] over (0, 2).
 */
export const collapseAxes = (shape: Shape, axes: readonly number[]): { shape: number[]; axes: number[] } => {
  const merged: number[] = [];
  const reduced: boolean[] = [];
  shape.forEach((n, i) => {
    if (n === 1) return;
    const r = axes.includes(i);
    if (merged.length > 0 && reduced[reduced.length - 1] === r)
      merged[merged.length - 1] = (merged[merged.length - 1] as number) * n;
    else {
      merged.push(n);
      reduced.push(r);
    }
  });
  return { shape: merged, axes: reduced.flatMap((r, i) => (r ? [i] : [])) };
};

/** A loop nest over several arrays at once: `strides[k][axis]` is array k's step along `axis`. */
export interface Nest {
  readonly shape: number[];
  readonly strides: number[][];
}

/**
 * The same nest with axes of size 1 dropped, and neighbours merged that every array walks as one. At least one axis is
 * left. An element-wise op on arrays of equal shape becomes a single run this way.
 */
export const mergeAxes = (shape: Shape, strides: readonly (readonly number[])[]): Nest => {
  const merged: number[] = [];
  const mergedStrides = strides.map((): number[] => []);
  shape.forEach((extent, axis) => {
    if (extent === 1) return;
    const last = merged.length - 1;
    const joins = last >= 0 && strides.every((s, k) => mergedStrides[k]?.[last] === (s[axis] as number) * extent);
    if (joins) merged[last] = (merged[last] as number) * extent;
    else merged.push(extent);
    strides.forEach((s, k) => {
      (mergedStrides[k] as number[])[joins ? last : last + 1] = s[axis] as number;
    });
  });
  if (merged.length > 0) return { shape: merged, strides: mergedStrides };
  return { shape: [1], strides: strides.map(() => [0]) };
};

/** A row-major array as [outer, extent, inner] around `axis`. */
export const around = (shape: Shape, axis: number): { outer: number; extent: number; inner: number } => {
  let outer = 1;
  let inner = 1;
  shape.forEach((n, i) => {
    if (i < axis) outer *= n;
    if (i > axis) inner *= n;
  });
  return { outer, extent: shape[axis] as number, inner };
};
