import { ArgumentError, randomWords } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AugmentOptions, ImageBatch } from "./augment.js";
import { augment, augmentationBy, showImages } from "./augment.js";
import { imageDataset } from "./dataset.js";
import { colourComponents } from "./lighting.js";
import { normalizationTables, normalize } from "./normalize.js";
import { streams } from "./streams.js";

/** Images that are all different at every pixel (for fewer than 256 values each). */
const makeBatch = (count: number, channels = 2, height = 4, width = 5, first = 0): ImageBatch => ({
  images: Uint8Array.from({ length: count * channels * height * width }, (_, i) => (i * 37 + 11) % 251),
  channels,
  height,
  width,
  indices: Array.from({ length: count }, (_, i) => first + i),
});

const imageAt = ({ channels, height, width }: ImageBatch, images: Uint8Array, i: number): number[][][] =>
  Array.from({ length: channels }, (_, c) =>
    Array.from({ length: height }, (_, y) => {
      const begin = ((i * channels + c) * height + y) * width;
      return [...images.subarray(begin, begin + width)];
    }),
  );

const flipRows = (image: number[][][]): number[][][] => image.map((plane) => plane.map((row) => [...row].reverse()));

/** Which images of the batch come out mirrored; fails on any other change. */
const flippedIn = (batch: ImageBatch, images: Uint8Array): boolean[] =>
  Array.from({ length: batch.indices.length }, (_, i) => {
    const before = imageAt(batch, batch.images, i);
    const after = imageAt(batch, images, i);
    const same = JSON.stringify(after) === JSON.stringify(before);
    if (!same) expect(after).toEqual(flipRows(before));
    return !same;
  });

/** All crops of the padded image, by brute force. */
const cropsOf = (image: number[][][], padding: number, mode: "reflect" | "zero"): string[] => {
  const [height, width] = [image[0]?.length ?? 0, image[0]?.[0]?.length ?? 0];
  const at = (plane: number[][], y: number, x: number): number => {
    const inside = y >= 0 && y < height && x >= 0 && x < width;
    if (mode === "zero" && !inside) return 0;
    const reflect = (i: number, n: number): number => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i);
    return plane[reflect(y, height)]?.[reflect(x, width)] as number;
  };
  const crops: string[] = [];
  for (let down = -padding; down <= padding; down++)
    for (let right = -padding; right <= padding; right++)
      crops.push(
        JSON.stringify(image.map((plane) => plane.map((row, y) => row.map((_, x) => at(plane, y + down, x + right))))),
      );
  return crops;
};

const everything: AugmentOptions = {
  flip: "random",
  crop: { padding: 2, mode: "reflect" },
  brightness: 0.3,
  contrast: 0.3,
};

describe("augment", () => {
  test("without options is a copy", () => {
    const batch = makeBatch(3);
    const images = augment(batch, {}, { seed: 1, epoch: 0 });
    expect(images).toEqual(batch.images);
    expect(images).not.toBe(batch.images);
  });

  test("leaves its input alone", () => {
    const batch = makeBatch(8);
    const before = batch.images.slice();
    augment(batch, everything, { seed: 1, epoch: 0 });
    expect(batch.images).toEqual(before);
  });

  test("random flip: half of the images, others in the next epoch", () => {
    const batch = makeBatch(2000, 1, 1, 3);
    const flips = [0, 1].map((epoch) => flippedIn(batch, augment(batch, { flip: "random" }, { seed: 5, epoch })));
    for (const flipped of flips) {
      const count = flipped.filter(Boolean).length;
      // Five standard deviations of a fair coin.
      expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(500));
    }
    const both = flips[0]?.filter((flipped, i) => flipped && flips[1]?.[i]).length as number;
    expect(Math.abs(both - 500)).toBeLessThan(5 * Math.sqrt(375));
  });

  test("the same flip twice is the identity", () => {
    const batch = makeBatch(50);
    const address = { seed: 5, epoch: 3 };
    const once = augment(batch, { flip: "random" }, address);
    expect(once).not.toEqual(batch.images);
    expect(augment({ ...batch, images: once }, { flip: "random" }, address)).toEqual(batch.images);
  });

  test("alternating flip: a random half first, then every image every other epoch", () => {
    const batch = makeBatch(1000, 1, 1, 3);
    const flips = [0, 1, 2, 3].map((epoch) =>
      flippedIn(batch, augment(batch, { flip: "alternating" }, { seed: 5, epoch })),
    );
    const count = flips[0]?.filter(Boolean).length as number;
    expect(Math.abs(count - 500)).toBeLessThan(5 * Math.sqrt(250));
    expect(flips[1]).toEqual(flips[0]?.map((flipped) => !flipped));
    expect(flips[2]).toEqual(flips[0]);
    expect(flips[3]).toEqual(flips[1]);
  });

  test.each(["reflect", "zero"] as const)("a %s crop is a window of the padded image", (mode) => {
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 1000 }), fc.integer({ min: 0, max: 3 }), (seed, epoch, padding) => {
        const batch = makeBatch(4);
        const images = augment(batch, { crop: { padding, mode } }, { seed, epoch });
        for (let i = 0; i < 4; i++)
          expect(cropsOf(imageAt(batch, batch.images, i), padding, mode)).toContain(
            JSON.stringify(imageAt(batch, images, i)),
          );
      }),
    );
  });

  test("crops reach every window about equally often", () => {
    const batch = makeBatch(2500, 1, 4, 5);
    const one = { ...batch, images: makeBatch(1, 1, 4, 5).images };
    const many = { ...batch, images: Uint8Array.from(batch.images, (_, i) => one.images[i % 20] as number) };
    const images = augment(many, { crop: { padding: 2 } }, { seed: 9, epoch: 0 });
    const crops = cropsOf(imageAt(one, one.images, 0), 2, "reflect");
    const hits = new Array<number>(25).fill(0);
    for (let i = 0; i < 2500; i++) {
      const place = crops.indexOf(JSON.stringify(imageAt(many, images, i)));
      hits[place] = (hits[place] as number) + 1;
    }
    for (const times of hits) expect(Math.abs(times - 100)).toBeLessThan(50);
  });

  test("flip and crop together are a crop of the mirrored image", () => {
    const batch = makeBatch(20);
    const address = { seed: 2, epoch: 1 };
    const flipped = augment(batch, { flip: "alternating" }, address);
    const images = augment(batch, { flip: "alternating", crop: { padding: 1 } }, address);
    for (let i = 0; i < 20; i++)
      expect(cropsOf(imageAt(batch, flipped, i), 1, "reflect")).toContain(JSON.stringify(imageAt(batch, images, i)));
  });

  test("depends on (seed, epoch, index) alone, not on the batch", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 1 }), fc.nat(), (order, seed) => {
        const whole = makeBatch(8);
        const size = 40;
        const part = {
          ...whole,
          indices: order,
          images: Uint8Array.from(order.flatMap((i) => [...whole.images.subarray(i * size, (i + 1) * size)])),
        };
        const address = { seed, epoch: 4 };
        const expected = augment(whole, everything, address);
        const images = augment(part, everything, address);
        order.forEach((index, i) => {
          expect(images.subarray(i * size, (i + 1) * size)).toEqual(
            expected.subarray(index * size, (index + 1) * size),
          );
        });
      }),
    );
  });

  test("draws are the words of randomWords(seed, stream, epoch), four an image", () => {
    const batch = makeBatch(6, 1, 1, 3);
    const words = randomWords(77, streams.flip, 12, 24);
    const flipped = flippedIn(batch, augment(batch, { flip: "random" }, { seed: 77, epoch: 12 }));
    expect(flipped).toEqual(Array.from({ length: 6 }, (_, i) => (words[4 * i] as number) >= 2 ** 31));
  });

  test("a seed beyond 32 bits counts in full", () => {
    const batch = makeBatch(64);
    const images = [7, 7 + 2 ** 40].map((seed) => augment(batch, { flip: "random" }, { seed, epoch: 0 }));
    expect(images[0]).not.toEqual(images[1]);
  });

  test("brightness scales an image by one factor within bounds", () => {
    const batch = { ...makeBatch(40, 3, 2, 2), images: new Uint8Array(40 * 12).fill(100) };
    const images = augment(batch, { brightness: 0.25 }, { seed: 3, epoch: 0 });
    const values = new Set<number>();
    for (let i = 0; i < 40; i++) {
      const image = images.subarray(i * 12, (i + 1) * 12);
      expect(new Set(image).size).toBe(1);
      expect(image[0]).toBeGreaterThanOrEqual(75);
      expect(image[0]).toBeLessThanOrEqual(125);
      values.add(image[0] as number);
    }
    expect(values.size).toBeGreaterThan(10);
  });

  test("contrast keeps a uniform image, and values within 0 to 255", () => {
    const grey = { ...makeBatch(5, 3, 2, 2), images: new Uint8Array(60).fill(100) };
    expect(augment(grey, { contrast: 0.9 }, { seed: 3, epoch: 0 })).toEqual(grey.images);
    const extreme = { ...makeBatch(50, 1, 1, 2), images: Uint8Array.from({ length: 100 }, (_, i) => (i % 2) * 255) };
    const images = augment(extreme, { contrast: 1 }, { seed: 3, epoch: 0 });
    for (let i = 0; i < 100; i += 2) expect(images[i] as number).toBeLessThanOrEqual(images[i + 1] as number);
    expect(new Set(images).size).toBeGreaterThan(10);
    expect([...images]).toContain(0);
  });

  test("is its parts, one after the other", () => {
    const components = { values: [0.2, 0.02, 0.01], vectors: [0, 1, 2].map((i) => [0, 1, 2].map((j) => i - j + 0.5)) };
    const parts: readonly AugmentOptions[] = [
      { flip: "random", crop: { padding: 3, mode: "zero" } },
      { brightness: 0.4 },
      { contrast: 0.6 },
      { lighting: { components } },
      { cutout: { size: 2 }, erasing: { prob: 0.5 } },
    ];
    fc.assert(
      fc.property(fc.subarray([...parts]), fc.nat(), fc.nat(9), (some, seed, epoch) => {
        const batch = makeBatch(6, 3, 5, 4);
        const address = { seed, epoch };
        const whole = augment(batch, Object.assign({}, ...some), address);
        const apart = some.reduce((images, part) => augment({ ...batch, images }, part, address), batch.images);
        expect(whole).toEqual(apart);
      }),
    );
  });

  test.each<[string, AugmentOptions]>([
    ["flip", { flip: "sometimes" as "random" }],
    ["crop.mode", { crop: { padding: 1, mode: "wrap" as "zero" } }],
    ["crop.padding", { crop: { padding: -1 } }],
    ["crop.padding", { crop: { padding: 1.5 } }],
    ["crop.padding", { crop: { padding: 4 } }],
    ["brightness", { brightness: -0.1 }],
    ["contrast", { contrast: 1.1 }],
    ["contrast", { contrast: Number.NaN }],
  ])("refuses a wrong %s", (argument, options) => {
    const act = (): Uint8Array => augment(makeBatch(1), options, { seed: 1, epoch: 0 });
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(argument);
  });

  test.each([{ seed: -1 }, { seed: 0.5 }, { epoch: -1 }, { epoch: 2 ** 32 }])("refuses %o", (wrong) => {
    expect(() => augment(makeBatch(1), {}, { seed: 1, epoch: 0, ...wrong })).toThrow(ArgumentError);
  });

  test("refuses images and indices that do not fit", () => {
    expect(() => augment({ ...makeBatch(2), indices: [0] }, {}, { seed: 1, epoch: 0 })).toThrow("80 image bytes");
  });
});

describe("showImages", () => {
  const batch = makeBatch(9, 3, 7, 6);
  const dataset = imageDataset({
    ...batch,
    name: "shown",
    labels: new Uint8Array(9),
    classes: ["one"],
    mean: [0.4, 0.5, 0.6],
    std: [0.2, 0.25, 0.3],
  });
  const optional = <T>(...values: T[]) => fc.constantFrom<T | undefined>(undefined, ...values);

  test("is augment, then normalize, bit for bit, for all options", () => {
    const options = fc.record({
      flip: optional("none", "random", "alternating"),
      crop: optional(
        { padding: 0 },
        { padding: 2 },
        { padding: 5 },
        { padding: 3, mode: "zero" },
        { padding: 9, mode: "zero" },
      ),
      brightness: optional(0.3),
      contrast: optional(0.3),
      lighting: optional({ components: colourComponents(dataset) }),
      cutout: optional({ size: 3 }),
      erasing: optional({ prob: 0.8 }),
    }) as fc.Arbitrary<AugmentOptions>;
    const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8], { minLength: 1 });
    fc.assert(
      fc.property(options, order, fc.nat(), fc.nat(9), (given, indices, seed, epoch) => {
        const size = 126;
        const images = Uint8Array.from(indices.flatMap((i) => [...batch.images.subarray(i * size, (i + 1) * size)]));
        const augmented = augment({ ...dataset, images, indices }, given, { seed, epoch });
        const expected = normalize({ ...dataset, images: augmented }, dataset);
        const target = new Float32Array(indices.length * size).fill(Number.NaN);
        const augmentation = augmentationBy(given, dataset, { seed, epoch });
        showImages(dataset, Int32Array.from(indices), augmentation, normalizationTables(dataset), target);
        expect(target).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test("without augmentation is normalize", () => {
    const target = new Float32Array(batch.images.length);
    showImages(
      dataset,
      Int32Array.from({ length: 9 }, (_, i) => i),
      undefined,
      normalizationTables(dataset),
      target,
    );
    expect(target).toEqual(normalize(batch, dataset));
  });
});

describe("normalize", () => {
  test("is (value / 255 - mean) / std by channel", () => {
    const batch = { images: Uint8Array.from([0, 255, 51, 102, 255, 0, 102, 51]), channels: 2, height: 1, width: 2 };
    const values = normalize(batch, { mean: [0.5, 0.2], std: [0.5, 0.1] });
    [-1, 1, 0, 2, 1, -1, 2, 0].forEach((expected, i) => {
      expect(values[i]).toBeCloseTo(expected, 6);
    });
  });

  test("writes into the array that it is given", () => {
    const batch = { images: Uint8Array.from([255, 0]), channels: 1, height: 1, width: 2 };
    const out = new Float32Array(2);
    expect(normalize(batch, { mean: [0], std: [1] }, out)).toBe(out);
    expect([...out]).toEqual([1, 0]);
    expect(() => normalize(batch, { mean: [0], std: [1] }, new Float32Array(3))).toThrow("out has 3 values");
  });

  test.each([{ mean: [0] }, { std: [1, 1, 1] }, { std: [1, 0] }, { mean: [0, Number.NaN] }])("refuses %o", (wrong) => {
    const batch = { images: new Uint8Array(2), channels: 2, height: 1, width: 1 };
    expect(() => normalize(batch, { mean: [0, 0], std: [1, 1], ...wrong })).toThrow(ArgumentError);
  });
});
