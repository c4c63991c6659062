import type { Shape } from "@striate/core/backend";

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

/**
 * Calls `visit` once for each index of the nest's first `axes` axes, in row-major order, with `offsets` (updated in
 * place) at that index: `offsets[k] += Σ index · strides[k]`.
 */
export const walk = ({ shape, strides }: Nest, axes: number, offsets: number[], visit: () => void): void => {
  const index = new Array<number>(axes).fill(0);
  const move = (axis: number, steps: number): void => {
    for (let k = 0; k < offsets.length; k++)
      offsets[k] = (offsets[k] as number) + steps * (strides[k]?.[axis] as number);
  };
  for (;;) {
    visit();
    let axis = axes - 1;
    while (axis >= 0 && index[axis] === (shape[axis] as number) - 1) {
      move(axis, -(index[axis] as number));
      index[axis] = 0;
      axis--;
    }
    if (axis < 0) return;
    index[axis] = (index[axis] as number) + 1;
    move(axis, 1);
  }
};

/** Calls `run` for each innermost run of the nest: its length, and each array's offset and step. */
export const eachRun = (
  shape: Shape,
  strides: readonly (readonly number[])[],
  run: (length: number, offsets: readonly number[], steps: readonly number[]) => void,
): void => {
  const nest = mergeAxes(shape, strides);
  const inner = nest.shape.length - 1;
  const length = nest.shape[inner] as number;
  const steps = nest.strides.map((s) => s[inner] as number);
  const offsets = nest.strides.map(() => 0);
  walk(nest, inner, offsets, () => run(length, offsets, steps));
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
