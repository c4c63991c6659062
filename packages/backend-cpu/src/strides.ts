import { mergeAxes, type Nest, type Shape } from "@striate/core/backend";

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
