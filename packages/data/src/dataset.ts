import { ArgumentError, IndexError, permutation } from "@striate/core";
import { expectCount, expectSeed } from "./arguments.js";
import { streams } from "./streams.js";

/** Labelled images in host memory, one byte a value. */
export interface ImageDataset {
  /** For people: `cifar10/train`, `synthetic/test`. */
  readonly name: string;
  /** `count` images one after the other, each as `channels` planes of `height` rows: NCHW. */
  readonly images: Uint8Array;
  /** `count` indices into `classes`. */
  readonly labels: Uint8Array;
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: readonly string[];
  /** Per channel, of value / 255 over the training images: what `batches` normalizes with. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** True only for `syntheticDataset`: numbers measured on it say nothing about real images. */
  readonly synthetic: boolean;
}

/** The fields of a dataset without `count` (that is `labels.length`) and `synthetic` (false). */
export type ImageDatasetFields = Omit<ImageDataset, "count" | "synthetic">;

const expectStatistics = (argument: string, values: readonly number[], channels: number): void => {
  if (values.length !== channels || !values.every(Number.isFinite))
    throw new ArgumentError(`imageDataset: ${argument} is [${values}], expected ${channels} finite numbers`);
};

/**
 * A dataset from one's own arrays, which are kept and not copied.
 * @throws ArgumentError where sizes do not fit each other, IndexError for a label outside `classes`
 */
export const imageDataset = (fields: ImageDatasetFields): ImageDataset => {
  const { name, images, labels, channels, height, width, classes, mean, std } = fields;
  for (const argument of ["channels", "height", "width"] as const)
    expectCount("imageDataset", argument, fields[argument], 1);
  const count = labels.length;
  if (classes.length < 1 || classes.length > 256)
    throw new ArgumentError(`imageDataset: ${classes.length} classes, expected 1 to 256`);
  if (images.length !== count * channels * height * width)
    throw new ArgumentError(
      `imageDataset: images has ${images.length} bytes, expected ${count} x ${channels} x ${height} x ${width} = ` +
        `${count * channels * height * width}`,
    );
  expectStatistics("mean", mean, channels);
  expectStatistics("std", std, channels);
  if (std.some((s) => s <= 0)) throw new ArgumentError(`imageDataset: std is [${std}], expected positive numbers`);
  const wrong = labels.findIndex((label) => label >= classes.length);
  if (wrong >= 0)
    throw new IndexError(`imageDataset: label ${wrong} is ${labels[wrong]}, expected less than ${classes.length}`);
  return { name, images, labels, count, channels, height, width, classes, mean, std, synthetic: false };
};

/** Bytes of one image. */
export const imageSize = ({ channels, height, width }: Pick<ImageDataset, "channels" | "height" | "width">): number =>
  channels * height * width;

/** Mean and (biased) standard deviation of value / 255 over all images, per channel. */
export const channelStatistics = (
  dataset: Pick<ImageDataset, "images" | "count" | "channels" | "height" | "width">,
): { mean: number[]; std: number[] } => {
  const { images, count, channels, height, width } = dataset;
  if (count < 1) throw new ArgumentError("channelStatistics: there are no images");
  const plane = height * width;
  const mean: number[] = [];
  const std: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    // A histogram is exact: its sums are integers far below 2^53.
    const histogram = new Float64Array(256);
    for (let image = 0; image < count; image++) {
      const begin = (image * channels + channel) * plane;
      for (let i = begin; i < begin + plane; i++) (histogram[images[i] as number] as number)++;
    }
    const n = count * plane;
    const m = histogram.reduce((sum, times, value) => sum + times * value, 0) / n;
    const variance = histogram.reduce((sum, times, value) => sum + times * (value - m) ** 2, 0) / n;
    mean.push(m / 255);
    std.push(Math.sqrt(variance) / 255);
  }
  return { mean, std };
};

/**
 * Copies of the images at `indices`, in that order.
 * @throws IndexError for an index outside the dataset
 */
export const subset = (
  dataset: ImageDataset,
  indices: ArrayLike<number>,
  name: string = dataset.name,
): ImageDataset => {
  const size = imageSize(dataset);
  const images = new Uint8Array(indices.length * size);
  const labels = new Uint8Array(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    if (!Number.isInteger(index) || index < 0 || index >= dataset.count)
      throw new IndexError(`subset: indices[${i}] is ${index}, expected 0 to ${dataset.count - 1}`);
    images.set(dataset.images.subarray(index * size, (index + 1) * size), i * size);
    labels[i] = dataset.labels[index] as number;
  }
  return { ...dataset, name, images, labels, count: indices.length };
};

export interface SplitOptions {
  /** Images to hold out. */
  readonly validation: number;
  readonly seed: number;
}

/** Shares of `total` in proportion to `sizes`, by largest remainder (ties to the lower class). */
const proportionalShares = (sizes: readonly number[], total: number): number[] => {
  const all = sizes.reduce((a, b) => a + b, 0);
  const shares = sizes.map((size) => Math.floor((size * total) / all));
  const left = total - shares.reduce((a, b) => a + b, 0);
  const byRemainder = sizes.map((size, label) => ({ label, rest: (size * total) % all }));
  byRemainder.sort((a, b) => b.rest - a.rest || a.label - b.label);
  for (const { label } of byRemainder.slice(0, left)) (shares[label] as number)++;
  return shares;
};

/**
 * Holds out `validation` images drawn by `seed`, stratified: each class gives its proportional share. Both parts keep
 * the order of the dataset. The statistics stay those of the whole.
 */
export const splitDataset = (
  dataset: ImageDataset,
  { validation, seed }: SplitOptions,
): { train: ImageDataset; validation: ImageDataset } => {
  expectSeed("splitDataset", seed);
  expectCount("splitDataset", "validation", validation, 0, dataset.count);
  const sizes = new Array<number>(dataset.classes.length).fill(0);
  for (const label of dataset.labels) (sizes[label] as number)++;
  const left = dataset.count === 0 ? sizes : proportionalShares(sizes, validation);
  const heldOut = new Uint8Array(dataset.count);
  for (const index of permutation(dataset.count, { seed, stream: streams.split })) {
    const label = dataset.labels[index] as number;
    if ((left[label] as number) === 0) continue;
    (left[label] as number)--;
    heldOut[index] = 1;
  }
  const part = (wanted: number): number[] => {
    const indices: number[] = [];
    heldOut.forEach((held, index) => {
      if (held === wanted) indices.push(index);
    });
    return indices;
  };
  return {
    train: subset(dataset, part(0), `${dataset.name}-fit`),
    validation: subset(dataset, part(1), `${dataset.name}-validation`),
  };
};
