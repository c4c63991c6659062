import { at, build, map, type NdArray, reshape, withAxis } from "./ndarray.js";
import { average, reduce, varianceOf } from "./reduce.js";

export interface BatchNormOptions {
  readonly training: boolean;
  readonly momentum?: number;
  readonly eps?: number;
}

export interface BatchNormInputs {
  readonly x: NdArray;
  readonly weight?: NdArray;
  readonly bias?: NdArray;
  readonly runningMean?: NdArray;
  readonly runningVar?: NdArray;
}

/** Channels on axis 1. Biased variance normalises, the unbiased one goes into the running variance. */
export const batchNorm = (
  { x, weight, bias, runningMean, runningVar }: BatchNormInputs,
  { training, momentum = 0.1, eps = 1e-5 }: BatchNormOptions,
): { y: NdArray; runningMean: NdArray | undefined; runningVar: NdArray | undefined } => {
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const mean = training ? reduce(x, { axes }, average) : (runningMean as NdArray);
  const variance = training ? reduce(x, { axes }, varianceOf) : (runningVar as NdArray);
  const y = build(x.shape, (index) => {
    const c = index[1] as number;
    const normalized = (at(x, index) - (mean.data[c] as number)) / Math.sqrt((variance.data[c] as number) + eps);
    return normalized * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
  });
  if (!training) return { y, runningMean, runningVar };
  const blend = (old: NdArray | undefined, batch: NdArray): NdArray | undefined =>
    old &&
    build(
      old.shape,
      ([c]) => (1 - momentum) * (old.data[c as number] as number) + momentum * (batch.data[c as number] as number),
    );
  const unbiased = reduce(x, { axes }, (values) => varianceOf(values, true));
  return { y, runningMean: blend(runningMean, mean), runningVar: blend(runningVar, unbiased) };
};

/** Each row of a matrix to mean 0 and variance 1. */
const normalizeRows = (x: NdArray, rows: number, eps: number): NdArray => {
  const matrix = reshape(x, [rows, x.data.length / rows]);
  const mean = reduce(matrix, { axes: 1 }, average);
  const variance = reduce(matrix, { axes: 1 }, varianceOf);
  const normalized = build(
    matrix.shape,
    ([r, c]) =>
      (at(matrix, [r as number, c as number]) - (mean.data[r as number] as number)) /
      Math.sqrt((variance.data[r as number] as number) + eps),
  );
  return reshape(normalized, x.shape);
};

/** Over the last axes, as many as `weight` has. */
export const layerNorm = (
  x: NdArray,
  weight: NdArray | undefined,
  bias: NdArray | undefined,
  { dimensions, eps = 1e-5 }: { readonly dimensions: number; readonly eps?: number },
): NdArray => {
  const lead = x.shape.length - dimensions;
  const rows = x.shape.slice(0, lead).reduce((a, b) => a * b, 1);
  const normalized = normalizeRows(x, rows, eps);
  return build(x.shape, (index) => {
    const own = index.slice(lead);
    return at(normalized, index) * (weight ? at(weight, own) : 1) + (bias ? at(bias, own) : 0);
  });
};

export const groupNorm = (
  x: NdArray,
  weight: NdArray | undefined,
  bias: NdArray | undefined,
  { groups, eps = 1e-5 }: { readonly groups: number; readonly eps?: number },
): NdArray => {
  const normalized = normalizeRows(x, (x.shape[0] as number) * groups, eps);
  return build(x.shape, (index) => {
    const c = index[1] as number;
    return at(normalized, index) * (weight?.data[c] ?? 1) + (bias?.data[c] ?? 0);
  });
};

export interface LocalResponseNormOptions {
  readonly size: number;
  readonly alpha?: number;
  readonly beta?: number;
  readonly k?: number;
  readonly divideBySize?: boolean;
}

/** Channel c looks at channels c - floor(size/2) … c + floor((size-1)/2), as PyTorch. */
export const localResponseNorm = (
  x: NdArray,
  { size, alpha = 1e-4, beta = 0.75, k = 1, divideBySize = true }: LocalResponseNormOptions,
): NdArray => {
  const channels = x.shape[1] as number;
  const squares = map(x, (value) => value * value);
  return build(x.shape, (index) => {
    const c = index[1] as number;
    let sum = 0;
    for (let i = c - Math.floor(size / 2); i <= c + Math.floor((size - 1) / 2); i++)
      if (i >= 0 && i < channels) sum += at(squares, withAxis(index, 1, i));
    return at(x, index) / (k + (divideBySize ? alpha / size : alpha) * sum) ** beta;
  });
};
