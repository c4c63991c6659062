import {
  at,
  build,
  forEachIndex,
  type NdArray,
  ndarray,
  offsetOf,
  reshape,
  resolveAxes,
  resolveAxis,
  withAxis,
} from "./ndarray.js";

export interface ReduceOptions {
  readonly axes?: number | readonly number[];
  readonly keepDims?: boolean;
}

/** `f` of the elements that fall together, in row-major order. */
export const reduce = (
  x: NdArray,
  { axes, keepDims = false }: ReduceOptions,
  f: (values: readonly number[]) => number,
): NdArray => {
  const reduced = resolveAxes(axes, x.shape.length);
  const kept = x.shape.map((n, axis) => (reduced.includes(axis) ? 1 : n));
  const window = x.shape.map((n, axis) => (reduced.includes(axis) ? n : 1));
  const values: number[] = [];
  const result = build(kept, (corner) => {
    values.length = 0;
    forEachIndex(window, (step) =>
      values.push(
        at(
          x,
          corner.map((n, axis) => n + (step[axis] as number)),
        ),
      ),
    );
    return f(values);
  });
  return keepDims
    ? result
    : reshape(
        result,
        x.shape.filter((_, axis) => !reduced.includes(axis)),
      );
};

export const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
export const average = (values: readonly number[]): number => total(values) / values.length;

/** Two passes; divides by n, or by n-1. */
export const varianceOf = (values: readonly number[], unbiased = false): number => {
  const mean = average(values);
  return total(values.map((value) => (value - mean) ** 2)) / (values.length - (unbiased ? 1 : 0));
};

export const maximumOf = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
export const minimumOf = (values: readonly number[]): number =>
  values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

export const logSumExpOf = (values: readonly number[]): number => {
  const most = maximumOf(values);
  if (!Number.isFinite(most)) return most;
  return most + Math.log(total(values.map((value) => Math.exp(value - most))));
};

/** Position of the first largest; a NaN counts as the largest. */
export const argMaxOf = (values: readonly number[]): number => {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(maximumOf(values));
};

export const argMinOf = (values: readonly number[]): number => {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : values.indexOf(minimumOf(values));
};

export const cumsum = (x: NdArray, axis: number): NdArray => {
  const along = resolveAxis(axis, x.shape.length);
  return build(x.shape, (index) => {
    let sum = 0;
    for (let i = 0; i <= (index[along] as number); i++) sum += at(x, withAxis(index, along, i));
    return sum;
  });
};

/** Every line of `x` along `axis` through `f`, which returns a line of the same length. */
const mapLines = (x: NdArray, axis: number, f: (values: readonly number[]) => readonly number[]): NdArray => {
  const along = resolveAxis(axis, x.shape.length);
  const length = x.shape[along] as number;
  const result = ndarray(x.shape);
  forEachIndex(withAxis(x.shape, along, 1), (start) => {
    const positions = Array.from({ length }, (_, i) => offsetOf(x.shape, withAxis(start, along, i)));
    f(positions.map((p) => x.data[p] as number)).forEach((value, i) => {
      result.data[positions[i] as number] = value;
    });
  });
  return result;
};

export const logSoftmax = (x: NdArray, axis: number): NdArray =>
  mapLines(x, axis, (line) => {
    const normalizer = logSumExpOf(line);
    return line.map((value) => value - normalizer);
  });

export const softmax = (x: NdArray, axis: number): NdArray =>
  mapLines(x, axis, (line) => {
    const most = maximumOf(line);
    const powers = line.map((value) => Math.exp(value - most));
    const sum = total(powers);
    return powers.map((power) => power / sum);
  });

/** The largest of each `pieces` neighbours along `axis`. */
export const maxout = (x: NdArray, pieces: number, axis: number): NdArray => {
  const along = resolveAxis(axis, x.shape.length);
  return build(withAxis(x.shape, along, (x.shape[along] as number) / pieces), (index) =>
    maximumOf(
      Array.from({ length: pieces }, (_, i) => at(x, withAxis(index, along, (index[along] as number) * pieces + i))),
    ),
  );
};
