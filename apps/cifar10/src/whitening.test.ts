import { type ImageDataset, subset, syntheticDataset } from "@striate/data";
import { describe, expect, test } from "vitest";
import { whiteningFilters } from "./whitening.js";

const dataset = syntheticDataset({ count: 60, seed: 1, height: 12, width: 9 });

/** All 2x2 patches, each as 12 values: channel, row, column. */
const patchesOf = ({ images, count, channels, height, width, mean, std }: ImageDataset): number[][] => {
  const patches: number[][] = [];
  for (let i = 0; i < count; i++)
    for (let y = 0; y + 1 < height; y++)
      for (let x = 0; x + 1 < width; x++)
        patches.push(
          Array.from({ length: 4 * channels }, (_, k) => {
            const c = k >> 2;
            const at = ((i * channels + c) * height + y + ((k >> 1) & 1)) * width + x + (k & 1);
            return ((images[at] as number) / 255 - (mean[c] as number)) / (std[c] as number);
          }),
        );
  return patches;
};

const filterRows = (filters: Float32Array): number[][] =>
  Array.from({ length: 24 }, (_, i) => [...filters.subarray(12 * i, 12 * (i + 1))]);

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);

const secondMoments = (rows: readonly number[][], patches: readonly number[][]): number[][] => {
  const answers = patches.map((patch) => rows.map((row) => dot(row, patch)));
  return rows.map((_, i) =>
    rows.map((_, j) => answers.reduce((sum, a) => sum + (a[i] as number) * (a[j] as number), 0) / patches.length),
  );
};

describe("whiteningFilters", () => {
  test("patches come out uncorrelated and of variance 1", () => {
    const rows = filterRows(whiteningFilters(dataset, dataset.count, 0)).slice(0, 12);
    secondMoments(rows, patchesOf(dataset)).forEach((moments, i) => {
      moments.forEach((moment, j) => {
        expect(moment).toBeCloseTo(i === j ? 1 : 0, 4);
      });
    });
  });

  test("eps damps: variance λ / (λ + eps), the largest λ first", () => {
    const eps = 0.5;
    const rows = filterRows(whiteningFilters(dataset, dataset.count, eps)).slice(0, 12);
    const variances = secondMoments(rows, patchesOf(dataset)).map((moments, i) => moments[i] as number);
    expect(variances).toEqual([...variances].sort((a, b) => b - a));
    rows.forEach((row, i) => {
      // A unit vector over √(λ + eps).
      const lambda = 1 / dot(row, row) - eps;
      expect(variances[i]).toBeCloseTo(lambda / (lambda + eps), 4);
    });
  });

  test("the other twelve are the negatives", () => {
    const rows = filterRows(whiteningFilters(dataset));
    expect(rows.slice(12)).toEqual(rows.slice(0, 12).map((row) => row.map((v) => -v)));
  });

  test("only the first images count", () => {
    const first = subset(dataset, [0, 1, 2]);
    expect(whiteningFilters(dataset, 3)).toEqual(whiteningFilters(first));
    expect(whiteningFilters(dataset, 3)).not.toEqual(whiteningFilters(dataset, 4));
  });

  test("images of one colour give finite filters", () => {
    const flat = { ...dataset, images: new Uint8Array(dataset.images.length).fill(127) };
    expect(whiteningFilters(flat).every(Number.isFinite)).toBe(true);
  });
});
