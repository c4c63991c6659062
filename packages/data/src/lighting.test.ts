import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, randn } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { augment } from "./augment.js";
import type { ImageDataset } from "./dataset.js";
import { imageDataset } from "./dataset.js";
import { colourComponents, colourShift, type LightingOptions } from "./lighting.js";
import { streams } from "./streams.js";
import { syntheticDataset } from "./synthetic.js";

/** Images of one pixel each. */
const pixels = (colours: readonly (readonly number[])[]): ImageDataset => {
  const channels = colours[0]?.length as number;
  return imageDataset({
    name: "pixels",
    images: Uint8Array.from(colours.flat()),
    labels: new Uint8Array(colours.length),
    channels,
    height: 1,
    width: 1,
    classes: ["one"],
    mean: new Array(channels).fill(0),
    std: new Array(channels).fill(1),
  });
};

describe("colourComponents", () => {
  test("of greys and one other direction", () => {
    // Variances 100², 50² / 2 along (1, 1) / √2 and (1, -1) / √2.
    const { values, vectors } = colourComponents(
      pixels([
        [50, 50],
        [250, 250],
        [125, 175],
        [175, 125],
      ]),
    );
    const root = Math.SQRT1_2;
    expect(values[0]).toBeCloseTo(100 ** 2 / 255 ** 2, 12);
    expect(values[1]).toBeCloseTo(25 ** 2 / 255 ** 2, 12);
    expect(vectors[0]?.map((x) => Math.abs(x))).toEqual([expect.closeTo(root, 12), expect.closeTo(root, 12)]);
    expect((vectors[0]?.[0] as number) * (vectors[0]?.[1] as number)).toBeCloseTo(0.5, 12);
    expect((vectors[1]?.[0] as number) * (vectors[1]?.[1] as number)).toBeCloseTo(-0.5, 12);
  });

  test("V·diag(λ)·Vᵀ is the covariance, V is orthogonal, λ falls and is not negative", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }).chain((channels) =>
          fc.array(fc.array(fc.nat(255), { minLength: channels, maxLength: channels }), {
            minLength: 1,
            maxLength: 9,
          }),
        ),
        (colours) => {
          const channels = colours[0]?.length as number;
          const { values, vectors } = colourComponents(pixels(colours));
          const mean = (f: (colour: readonly number[]) => number): number =>
            colours.reduce((sum, colour) => sum + f(colour), 0) / colours.length;
          for (let a = 0; a < channels; a++) {
            expect(values[a]).toBeGreaterThanOrEqual(0);
            expect(values[a]).toBeLessThanOrEqual(values[a - 1] ?? Number.POSITIVE_INFINITY);
            for (let b = 0; b < channels; b++) {
              const [ma, mb] = [a, b].map((c) => mean((colour) => colour[c] as number)) as [number, number];
              const covariance =
                mean((colour) => ((colour[a] as number) - ma) * ((colour[b] as number) - mb)) / 255 ** 2;
              const rebuilt = values.reduce(
                (sum, value, i) => sum + value * (vectors[i]?.[a] as number) * (vectors[i]?.[b] as number),
                0,
              );
              expect(rebuilt).toBeCloseTo(covariance, 10);
              const dot = (vectors[a] as number[]).reduce((sum, x, i) => sum + x * (vectors[b]?.[i] as number), 0);
              expect(dot).toBeCloseTo(Number(a === b), 10);
            }
          }
        },
      ),
    );
  });

  test("refuses a dataset without images", () => {
    const empty = { ...pixels([[1, 2, 3]]), images: new Uint8Array(0), labels: new Uint8Array(0), count: 0 };
    expect(() => colourComponents(empty)).toThrow(ArgumentError);
  });
});

describe("lighting", () => {
  const dataset = syntheticDataset({ count: 20, seed: 1, height: 4, width: 4 });
  const lighting: LightingOptions = { components: colourComponents(dataset), std: 0.4 };

  test("adds the same to all pixels of a channel, rounded and clamped", () => {
    const indices = Array.from({ length: 20 }, (_, i) => i);
    const address = { seed: 5, epoch: 2 };
    const images = augment({ ...dataset, indices }, { lighting }, address);
    images.forEach((value, at) => {
      const [index, channel] = [Math.floor(at / 48), Math.floor(at / 16) % 3];
      const shift = colourShift(lighting, address, index)[channel] as number;
      const [expected] = Uint8ClampedArray.of((dataset.images[at] as number) + shift);
      expect(value).toBe(expected);
    });
    expect(images).not.toEqual(dataset.images);
  });

  test("the factors are standard normal numbers times std, those of core's randn", async () => {
    const backend = await createCpuBackend();
    const identity = {
      values: [1, 1, 1],
      vectors: [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ],
    };
    // Four words an image: the normal numbers 4·index and on of this stream, at this epoch.
    const numbers = await randn([12], {
      backend,
      dtype: "float64",
      seed: 7,
      stream: streams.lighting,
      offset: 3,
    }).data();
    for (const index of [0, 1, 2])
      colourShift({ components: identity }, { seed: 7, epoch: 3 }, index).forEach((shift, i) => {
        expect(shift).toBeCloseTo(25.5 * (numbers[4 * index + i] as number), 6);
      });
  });

  test.each<[Partial<LightingOptions>, string]>([
    [{ std: -1 }, "lighting.std is -1"],
    [{ std: Number.NaN }, "lighting.std is NaN"],
    [{ components: { values: [1], vectors: [[1]] } }, "lighting.components has 1 values and 1 vectors"],
    [{ components: { values: [1, 1, Number.NaN], vectors: lighting.components.vectors } }, "lighting.components"],
  ])("refuses %o", (wrong, message) => {
    const batch = { ...dataset, indices: Array.from({ length: 20 }, (_, i) => i) };
    const act = (): Uint8Array => augment(batch, { lighting: { ...lighting, ...wrong } }, { seed: 1, epoch: 0 });
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(message);
  });
});
