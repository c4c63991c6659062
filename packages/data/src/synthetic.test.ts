import { ArgumentError } from "@striate/core";
import { describe, expect, test } from "vitest";
import { channelStatistics } from "./dataset.js";
import { syntheticDataset } from "./synthetic.js";

/** Accuracy on `test` of the nearest class mean of `train`: what the simplest classifier learns. */
const nearestMeanAccuracy = (
  train: ReturnType<typeof syntheticDataset>,
  testing: ReturnType<typeof syntheticDataset>,
): number => {
  const size = train.images.length / train.count;
  const means = train.classes.map(() => new Float64Array(size));
  const counts = train.classes.map(() => 0);
  train.labels.forEach((label, i) => {
    counts[label] = (counts[label] as number) + 1;
    const mean = means[label] as Float64Array;
    for (let j = 0; j < size; j++) mean[j] = (mean[j] as number) + (train.images[i * size + j] as number);
  });
  const distance = (image: Uint8Array, label: number): number => {
    const mean = means[label] as Float64Array;
    return image.reduce((sum, value, j) => sum + (value - (mean[j] as number) / (counts[label] as number)) ** 2, 0);
  };
  let right = 0;
  testing.labels.forEach((label, i) => {
    const image = testing.images.subarray(i * size, (i + 1) * size);
    const distances = train.classes.map((_, l) => distance(image, l));
    if (distances.indexOf(Math.min(...distances)) === label) right++;
  });
  return right / testing.count;
};

describe("syntheticDataset", () => {
  test("says what it is", () => {
    const dataset = syntheticDataset({ count: 20, seed: 1 });
    expect(dataset.synthetic).toBe(true);
    expect(dataset.name).toBe("synthetic/train");
    expect(dataset.images.length).toBe(20 * 3 * 32 * 32);
    expect(dataset.classes.length).toBe(10);
  });

  test("is a function of the seed, and a longer one begins with a shorter one", () => {
    const small = { channels: 1, height: 8, width: 8, classes: 3 };
    const a = syntheticDataset({ count: 9, seed: 4, ...small });
    expect(syntheticDataset({ count: 9, seed: 4, ...small })).toEqual(a);
    expect(syntheticDataset({ count: 9, seed: 5, ...small }).images).not.toEqual(a.images);
    expect(syntheticDataset({ count: 12, seed: 4, ...small }).images.subarray(0, a.images.length)).toEqual(a.images);
  });

  test("has balanced classes", () => {
    const { labels } = syntheticDataset({ count: 30, seed: 1, height: 4, width: 4 });
    for (let label = 0; label < 10; label++) expect(labels.filter((l) => l === label).length).toBe(3);
  });

  test("can be learnt: test images differ from training images and share their patterns", () => {
    const options = { count: 100, seed: 2, height: 8, width: 8 };
    const train = syntheticDataset(options);
    const testing = syntheticDataset({ ...options, split: "test" });
    expect(testing.images).not.toEqual(train.images);
    expect(nearestMeanAccuracy(train, testing)).toBeGreaterThan(0.9);
    const noise = { ...options, noise: 1 };
    expect(nearestMeanAccuracy(syntheticDataset(noise), syntheticDataset({ ...noise, split: "test" }))).toBeLessThan(
      0.3,
    );
  });

  test("declares the statistics that it has", () => {
    const dataset = syntheticDataset({ count: 500, seed: 6, height: 16, width: 16 });
    const { mean, std } = channelStatistics(dataset);
    for (let channel = 0; channel < 3; channel++) {
      expect(Math.abs((dataset.mean[channel] as number) - (mean[channel] as number))).toBeLessThan(0.01);
      expect(Math.abs((dataset.std[channel] as number) - (std[channel] as number))).toBeLessThan(0.01);
    }
  });

  test("works for one pixel", () => {
    const dataset = syntheticDataset({ count: 2, seed: 1, classes: 1, channels: 1, height: 1, width: 1, noise: 0 });
    expect(dataset.images[0]).toBe(dataset.images[1]);
    expect(dataset.std).toEqual([1]);
  });

  test.each([
    { count: 0 },
    { count: 1.5 },
    { seed: -1 },
    { classes: 0 },
    { classes: 257 },
    { channels: 0 },
    { height: -1 },
    { width: 0 },
    { noise: 1.1 },
    { noise: Number.NaN },
    { split: "validation" as "test" },
  ])("refuses %o", (wrong) => {
    expect(() => syntheticDataset({ count: 1, seed: 1, ...wrong })).toThrow(ArgumentError);
  });
});
