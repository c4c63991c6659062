import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage } from "@striate/core";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { type BatchOptions, batches } from "./batches.js";
import { type MixOptions, type Mixture, mixImages, mixTargets, mixtureOf } from "./mix.js";
import { syntheticDataset } from "./synthetic.js";

const size = { channels: 2, height: 8, width: 6 };
const address = { seed: 3, epoch: 1 };
const mixtures = (options: MixOptions, count = 4000): Mixture[] =>
  Array.from({ length: count }, (_, index) => mixtureOf(options, size, address, index));
const lambdas = (options: MixOptions): number[] =>
  mixtures(options).flatMap((mixture) => (mixture.kind === "none" ? [] : [mixture.lambda]));
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe("mixtureOf", () => {
  test.each([0.05, 0.2, 0.4, 1, 2, 8])("mixup's λ are from Beta(%d, same)", (alpha) => {
    const draws = lambdas({ mixupAlpha: alpha });
    for (const draw of draws) expect(draw >= 0 && draw <= 1).toBe(true);
    // Mean 1/2; variance 1 / (4 (2α + 1)); within five standard deviations of a mean of 4000.
    const variance = 1 / (4 * (2 * alpha + 1));
    expect(Math.abs(mean(draws) - 0.5)).toBeLessThan(5 * Math.sqrt(variance / draws.length));
    const squares = draws.map((draw) => (draw - 0.5) ** 2);
    expect(Math.abs(mean(squares) - variance)).toBeLessThan(5 * Math.sqrt(variance / 4 / draws.length));
  });

  test("Beta(1, 1) is even", () => {
    const draws = lambdas({ mixupAlpha: 1 }).sort((a, b) => a - b);
    // Kolmogorov and Smirnov, at a level of 1e-6.
    draws.forEach((draw, i) => {
      expect(Math.abs(draw - (i + 0.5) / draws.length)).toBeLessThan(2.7 / Math.sqrt(draws.length));
    });
  });

  test("extreme alphas give numbers", () => {
    for (const alpha of [1e-4, 1e6])
      for (const draw of lambdas({ mixupAlpha: alpha })) expect(draw >= 0 && draw <= 1).toBe(true);
  });

  test("CutMix's λ is the share that is left of the image", () => {
    for (const mixture of mixtures({ cutmixAlpha: 1 }, 500)) {
      if (mixture.kind !== "cutmix") throw new Error(mixture.kind);
      const { top, bottom, left, right, lambda } = mixture;
      expect([top >= 0, bottom <= 8, left >= 0, right <= 6, top <= bottom, left <= right]).not.toContain(false);
      expect(lambda).toBeCloseTo(1 - ((bottom - top) * (right - left)) / 48, 12);
    }
  });

  test("prob and switchProb are shares of the batches", () => {
    const kinds = mixtures({ mixupAlpha: 1, cutmixAlpha: 1, prob: 0.6, switchProb: 0.25 }).map(({ kind }) => kind);
    const share = (kind: string): number => kinds.filter((k) => k === kind).length / kinds.length;
    expect(share("none")).toBeCloseTo(0.4, 1);
    expect(share("cutmix")).toBeCloseTo(0.15, 1);
    expect(share("mixup")).toBeCloseTo(0.45, 1);
  });
});

/** Each image a constant: 1, 2, 3 … */
const constants = (count: number): Float32Array =>
  Float32Array.from({ length: count * 96 }, (_, i) => 1 + Math.floor(i / 96));

describe("mixing", () => {
  test("mixup is with the image before, the first with the last", () => {
    const values = constants(3);
    mixImages(values, { kind: "mixup", lambda: 0.75 }, size);
    expect([values[0], values[96], values[192]]).toEqual([0.75 + 0.75, 1.5 + 0.25, 2.25 + 0.5]);
    expect([...mixTargets([0, 2, 2], 3, { kind: "mixup", lambda: 0.75 })]).toEqual([
      0.75, 0, 0.25, 0.25, 0, 0.75, 0, 0, 1,
    ]);
  });

  test("CutMix pastes a rectangle, and targets follow the area", () => {
    const values = constants(3);
    const mixture: Mixture = { kind: "cutmix", lambda: 0.75, top: 1, bottom: 5, left: 2, right: 5 };
    mixImages(values, mixture, size);
    values.forEach((value, at) => {
      const [own, y, x] = [1 + Math.floor(at / 96), Math.floor(at / 6) % 8, at % 6];
      const pasted = y >= 1 && y < 5 && x >= 2 && x < 5;
      expect(value).toBe(pasted ? (own === 1 ? 3 : own - 1) : own);
    });
  });

  test("keeps the mean of a batch, and targets are a distribution", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }), fc.nat(100), (labels, index) => {
        const mixture = mixtureOf({ mixupAlpha: 0.4, cutmixAlpha: 1 }, size, address, index);
        const values = constants(labels.length);
        const before = mean([...values]);
        mixImages(values, mixture, size);
        expect(mean([...values])).toBeCloseTo(before, 4);
        const targets = [...mixTargets(labels, 5, mixture)];
        for (let i = 0; i < labels.length; i++)
          expect(targets.slice(5 * i, 5 * i + 5).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
        const shares = [0, 1, 2, 3, 4].map((c) => labels.filter((label) => label === c).length);
        shares.forEach((share, c) => {
          expect(targets.filter((_, at) => at % 5 === c).reduce((a, b) => a + b, 0)).toBeCloseTo(share, 5);
        });
      }),
    );
  });

  test("none leaves all as it is", () => {
    const values = constants(2);
    mixImages(values, { kind: "none" }, size);
    expect(values).toEqual(constants(2));
    expect([...mixTargets([1, 0], 2, { kind: "none" })]).toEqual([0, 1, 1, 0]);
  });
});

describe("batches with mix", () => {
  const dataset = syntheticDataset({ count: 22, seed: 1, classes: 4, channels: 2, height: 8, width: 6 });
  let backend: Backend;
  beforeEach(async () => {
    backend = await createCpuBackend();
  });

  const read = async (options: Partial<BatchOptions>) => {
    const all = [];
    for (const { images, labels, targets, index } of batches(dataset, {
      backend,
      size: 8,
      seed: 2,
      epoch: 1,
      ...options,
    }))
      all.push({
        index,
        images: [...(await images.data())],
        labels: [...(await labels.data())],
        targets: targets && { shape: targets.shape, values: [...(await targets.data())] },
      });
    return all;
  };

  test("targets and images are mixed alike, labels stay, and a start in the middle changes nothing", async () => {
    const mix = { mixupAlpha: 1 };
    const plain = await read({});
    const mixed = await read({ mix });
    expect(plain.map(({ targets }) => targets)).toEqual([undefined, undefined, undefined]);
    mixed.forEach(({ images, labels, targets, index }, i) => {
      const mixture = mixtureOf(mix, dataset, { seed: 2, epoch: 1 }, index);
      const expected = Float32Array.from(plain[i]?.images as number[]);
      mixImages(expected, mixture, dataset);
      expect(images).toEqual([...expected]);
      expect(labels).toEqual(plain[i]?.labels);
      expect(targets).toEqual({ shape: [labels.length, 4], values: [...mixTargets(labels, 4, mixture)] });
    });
    expect(await read({ mix, start: 1 })).toEqual(mixed.slice(1));
  });

  test("batches that are not mixed have targets of 0 and 1", async () => {
    for (const { targets } of await read({ mix: { mixupAlpha: 1, prob: 0 } }))
      expect(new Set(targets?.values)).toEqual(new Set([0, 1]));
  });

  test("frees the targets", () => {
    for (const _ of batches(dataset, { backend, size: 8, seed: 2, mix: { cutmixAlpha: 1 } }));
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test.each<[Partial<BatchOptions>, string]>([
    [{ mix: {} }, "mix has neither mixupAlpha nor cutmixAlpha"],
    [{ mix: { mixupAlpha: -1 } }, "mix.mixupAlpha is -1"],
    [{ mix: { cutmixAlpha: Number.NaN } }, "mix.cutmixAlpha is NaN"],
    [{ mix: { mixupAlpha: 1, prob: 2 } }, "mix.prob is 2"],
    [{ mix: { mixupAlpha: 1, switchProb: -1 } }, "mix.switchProb is -1"],
    [{ mix: { mixupAlpha: 1 }, seed: undefined }, "mix needs a seed"],
  ])("refuses %o", (options, message) => {
    const act = (): unknown => batches(dataset, { backend, size: 8, seed: 2, ...options });
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(message);
  });
});
