/** Geometry of sliding windows as the public ops take it. */

export type PairLike = number | readonly [number, number];
export type PaddingLike = PairLike | readonly [number, number, number, number];

export const pair = (value: PairLike): readonly [number, number] =>
  typeof value === "number" ? [value, value] : value;

/** [top, bottom, left, right] */
export const sides = (padding: PaddingLike): readonly [number, number, number, number] => {
  if (typeof padding === "number") return [padding, padding, padding, padding];
  return padding.length === 4 ? padding : [padding[0], padding[0], padding[1], padding[1]];
};

export interface WindowOptions {
  readonly stride?: PairLike;
  readonly padding?: PaddingLike;
  readonly dilation?: PairLike;
}

/** One axis of a window. */
export interface Axis {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly before: number;
  readonly after: number;
  readonly dilation: number;
  /** Number of windows. */
  readonly count: number;
}

/** floor((n + p - d(k-1) - 1)/s) + 1; ceil mode drops a last window that would start in the padding behind. */
const countOf = (axis: Omit<Axis, "count">, ceilMode: boolean): number => {
  const { size, kernel, stride, before, after, dilation } = axis;
  const steps = (size + before + after - dilation * (kernel - 1) - 1) / stride;
  if (!ceilMode) return Math.floor(steps) + 1;
  const count = Math.ceil(steps) + 1;
  return (count - 1) * stride >= size + before ? count - 1 : count;
};

export const windowAxes = (
  shape: readonly number[],
  kernel: PairLike,
  { stride = 1, padding = 0, dilation = 1 }: WindowOptions,
  ceilMode = false,
): readonly [Axis, Axis] => {
  const [top, bottom, left, right] = sides(padding);
  const axis = (i: 0 | 1, before: number, after: number): Axis => {
    const geometry = {
      size: shape[shape.length - 2 + i] as number,
      kernel: pair(kernel)[i],
      stride: pair(stride)[i],
      before,
      after,
      dilation: pair(dilation)[i],
    };
    return { ...geometry, count: countOf(geometry, ceilMode) };
  };
  return [axis(0, top, bottom), axis(1, left, right)];
};

/** Where tap `tap` of window `window` reads; undefined in the padding. */
export const source = (axis: Axis, window: number, tap: number): number | undefined => {
  const position = window * axis.stride - axis.before + tap * axis.dilation;
  return position >= 0 && position < axis.size ? position : undefined;
};
