import { ArgumentError, randomWords } from "@striate/core";
import { expectCount, expectNumber, expectSeed } from "./arguments.js";
import type { ImageDataset } from "./dataset.js";
import { imageSize } from "./dataset.js";
import { streams, uniformNumber } from "./streams.js";

export interface SyntheticOptions {
  readonly count: number;
  readonly seed: number;
  /** `test` has the patterns of `train` under other noise. Default: train. */
  readonly split?: "train" | "test" | undefined;
  /** Number of classes. Default: 10. */
  readonly classes?: number | undefined;
  /** Defaults: 3, 32, 32, as CIFAR-10. */
  readonly channels?: number | undefined;
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  /** Share of noise in an image, from 0 (each image is its class's pattern) to 1 (nothing to learn). Default: 0.5. */
  readonly noise?: number | undefined;
}

/** Grid points along each side of a pattern: coarse, so that shifted and pooled images still show it. */
const gridSize = 5;

/** A smooth pattern: random grid values with bilinear interpolation between them, in [0, 1). CHW. */
const classPattern = (
  seed: number,
  label: number,
  { channels, height, width }: Pick<ImageDataset, "channels" | "height" | "width">,
): Float64Array => {
  const grid = randomWords(seed, streams.pattern, label, channels * gridSize * gridSize);
  const pattern = new Float64Array(channels * height * width);
  const place = (i: number, size: number): [cell: number, share: number] => {
    const at = size === 1 ? 0 : (i * (gridSize - 1)) / (size - 1);
    const cell = Math.min(Math.floor(at), gridSize - 2);
    return [cell, at - cell];
  };
  for (let channel = 0, out = 0; channel < channels; channel++) {
    const value = (row: number, column: number): number =>
      uniformNumber(grid[(channel * gridSize + row) * gridSize + column] as number);
    for (let y = 0; y < height; y++) {
      const [row, down] = place(y, height);
      for (let x = 0; x < width; x++, out++) {
        const [column, right] = place(x, width);
        const above = value(row, column) * (1 - right) + value(row, column + 1) * right;
        const below = value(row + 1, column) * (1 - right) + value(row + 1, column + 1) * right;
        pattern[out] = above * (1 - down) + below * down;
      }
    }
  }
  return pattern;
};

const sampleStreams: Readonly<Record<string, number>> = { train: streams.sample, test: streams.testSample };

/** Mean and standard deviation that the patterns under noise have on average: the same for both splits. */
const statistics = (
  patterns: readonly Float64Array[],
  noise: number,
  { channels, height, width }: Pick<ImageDataset, "channels" | "height" | "width">,
): { mean: number[]; std: number[] } => {
  const plane = height * width;
  const mean: number[] = [];
  const std: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    const values = patterns.flatMap((pattern) => [...pattern.subarray(channel * plane, (channel + 1) * plane)]);
    const m = values.reduce((a, b) => a + b, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - m) ** 2, 0) / values.length;
    // A uniform number has mean 1/2 and variance 1/12.
    mean.push(m * (1 - noise) + noise / 2);
    std.push(Math.sqrt(variance * (1 - noise) ** 2 + noise ** 2 / 12) || 1);
  }
  return { mean, std };
};

/**
 * Made-up images for tests and demos without data: each class is a smooth random pattern, an image is its pattern
 * under uniform noise. Classes are balanced and learnable. The same on every platform: only arithmetic that IEEE 754
 * fixes. `synthetic` is true and the name says so.
 */
export const syntheticDataset = (options: SyntheticOptions): ImageDataset => {
  const { count, seed, split = "train", classes = 10, channels = 3, height = 32, width = 32, noise = 0.5 } = options;
  expectSeed("syntheticDataset", seed);
  expectCount("syntheticDataset", "count", count, 1);
  expectCount("syntheticDataset", "classes", classes, 1, 256);
  for (const [argument, value] of Object.entries({ channels, height, width }))
    expectCount("syntheticDataset", argument, value, 1);
  expectNumber("syntheticDataset", "noise", noise, 0, 1);
  const stream = sampleStreams[split];
  if (stream === undefined)
    throw new ArgumentError(`syntheticDataset: split is ${JSON.stringify(split)}, expected train or test`);
  const geometry = { channels, height, width };
  const size = imageSize(geometry);
  const patterns = Array.from({ length: classes }, (_, label) => classPattern(seed, label, geometry));
  const images = new Uint8Array(count * size);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const label = i % classes;
    labels[i] = label;
    const pattern = patterns[label] as Float64Array;
    const words = randomWords(seed, stream, i, size);
    for (let j = 0; j < size; j++)
      images[i * size + j] = Math.floor(
        256 * ((pattern[j] as number) * (1 - noise) + uniformNumber(words[j] as number) * noise),
      );
  }
  return {
    name: `synthetic/${split}`,
    images,
    labels,
    count,
    ...geometry,
    classes: Array.from({ length: classes }, (_, label) => `pattern ${label}`),
    ...statistics(patterns, noise, geometry),
    synthetic: true,
  };
};
