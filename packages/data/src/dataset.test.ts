import { ArgumentError, IndexError } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { channelStatistics, imageDataset, splitDataset, subset } from "./dataset.js";

const fields = {
  name: "tiny",
  images: Uint8Array.from([0, 255, 51, 51, 0, 0, 255, 255]),
  labels: Uint8Array.from([1, 0]),
  channels: 2,
  height: 1,
  width: 2,
  classes: ["a", "b"],
  mean: [0.5, 0.5],
  std: [1, 1],
};

/** 1x1 images whose value is their index, with the given labels. */
const numbered = (labels: readonly number[], classes = 3) =>
  imageDataset({
    name: "numbered",
    images: Uint8Array.from(labels, (_, i) => i),
    labels: Uint8Array.from(labels),
    channels: 1,
    height: 1,
    width: 1,
    classes: Array.from({ length: classes }, (_, i) => `${i}`),
    mean: [0],
    std: [1],
  });

describe("imageDataset", () => {
  test("counts by the labels and is not synthetic", () => {
    expect(imageDataset(fields)).toEqual({ ...fields, count: 2, synthetic: false });
  });

  test.each([
    ["images", { images: new Uint8Array(7) }],
    ["channels", { channels: 0 }],
    ["height", { height: 1.5 }],
    ["mean", { mean: [0.5] }],
    ["mean", { mean: [0.5, Number.NaN] }],
    ["std", { std: [1, 0] }],
    ["classes", { classes: [] }],
  ])("refuses wrong %s", (argument, change) => {
    expect(() => imageDataset({ ...fields, ...change })).toThrow(ArgumentError);
    expect(() => imageDataset({ ...fields, ...change })).toThrow(argument);
  });

  test("refuses a label outside the classes", () => {
    expect(() => imageDataset({ ...fields, labels: Uint8Array.from([1, 2]) })).toThrow(IndexError);
  });
});

describe("channelStatistics", () => {
  test("is per channel, of value / 255, biased", () => {
    const { mean, std } = channelStatistics(imageDataset(fields));
    expect(mean[0]).toBeCloseTo(255 / 4 / 255, 12);
    expect(mean[1]).toBeCloseTo((51 + 51 + 255 + 255) / 4 / 255, 12);
    expect(std[0]).toBeCloseTo(Math.sqrt(3) / 4, 12);
    expect(std[1]).toBeCloseTo(0.4, 12);
  });

  test("refuses no images", () => {
    expect(() => channelStatistics({ ...fields, images: new Uint8Array(0), count: 0 })).toThrow(ArgumentError);
  });
});

describe("subset", () => {
  test("copies in the given order", () => {
    const part = subset(imageDataset(fields), [1, 0, 1]);
    expect(part.count).toBe(3);
    expect([...part.labels]).toEqual([0, 1, 0]);
    expect([...part.images]).toEqual([0, 0, 255, 255, 0, 255, 51, 51, 0, 0, 255, 255]);
  });

  test.each([-1, 2, 0.5, Number.NaN])("refuses index %d", (index) => {
    expect(() => subset(imageDataset(fields), [0, index])).toThrow(IndexError);
  });
});

describe("splitDataset", () => {
  test("is a partition, stratified, in order, and a function of the seed", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(),
        (labels, share, seed) => {
          const dataset = numbered(labels);
          const held = Math.floor(share * labels.length);
          const { train, validation } = splitDataset(dataset, { validation: held, seed });
          expect(validation.count).toBe(held);
          expect([...train.images, ...validation.images].sort((a, b) => a - b)).toEqual(labels.map((_, i) => i));
          for (const part of [train, validation]) {
            expect([...part.images]).toEqual([...part.images].sort((a, b) => a - b));
            expect([...part.labels]).toEqual([...part.images].map((i) => labels[i]));
          }
          for (const label of [0, 1, 2]) {
            const all = labels.filter((l) => l === label).length;
            const taken = validation.labels.filter((l) => l === label).length;
            expect(Math.abs(taken - (all * held) / labels.length)).toBeLessThan(1);
          }
          expect(splitDataset(dataset, { validation: held, seed }).validation.images).toEqual(validation.images);
        },
      ),
    );
  });

  test("another seed holds out others", () => {
    const dataset = numbered(Array.from({ length: 90 }, (_, i) => i % 3));
    const [a, b] = [1, 2].map((seed) => splitDataset(dataset, { validation: 30, seed }).validation.images);
    expect(a).not.toEqual(b);
  });

  test.each([{ validation: 4 }, { validation: -1 }, { validation: 1.5 }, { seed: -1 }])("refuses %o", (wrong) => {
    expect(() => splitDataset(numbered([0, 1, 2]), { validation: 1, seed: 0, ...wrong })).toThrow(ArgumentError);
  });
});
