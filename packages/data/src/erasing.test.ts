import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AugmentOptions, ImageBatch } from "./augment.js";
import { augment } from "./augment.js";

const makeBatch = (count: number, height: number, width: number): ImageBatch => ({
  images: new Uint8Array(count * 2 * height * width).fill(200),
  channels: 2,
  height,
  width,
  indices: Array.from({ length: count }, (_, i) => i),
  mean: [0.1, 0.2],
});

interface Box {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** The erased box of image `i`; fails unless both planes show one full box of their mean colour. */
const boxOf = ({ height, width }: ImageBatch, images: Uint8Array, i: number): Box | undefined => {
  const plane = height * width;
  const [first, second] = [0, 1].map((c) => [...images.subarray((2 * i + c) * plane, (2 * i + c + 1) * plane)]) as [
    number[],
    number[],
  ];
  expect(second).toEqual(first.map((value) => (value === 200 ? 200 : 51)));
  const places = first.flatMap((value, at) => (value === 200 ? [] : [at]));
  if (places.length === 0) return undefined;
  expect(new Set(places.map((at) => first[at]))).toEqual(new Set([26]));
  const [rows, columns] = [places.map((at) => Math.floor(at / width)), places.map((at) => at % width)];
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  const box = { top, left, height: Math.max(...rows) - top + 1, width: Math.max(...columns) - left + 1 };
  expect(places).toHaveLength(box.height * box.width);
  return box;
};

const boxesOf = (options: AugmentOptions, batch: ImageBatch, seed = 1, epoch = 0): (Box | undefined)[] => {
  const images = augment(batch, options, { seed, epoch });
  return batch.indices.length === 0 ? [] : Array.from(batch.indices as number[], (_, i) => boxOf(batch, images, i));
};

describe("cutout", () => {
  test("is a square with its centre in the image, cut off at the edges", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(), (size, seed) => {
        for (const box of boxesOf({ cutout: { size } }, makeBatch(6, 7, 5), seed)) {
          if (!box) throw new Error("nothing is erased");
          for (const [begin, length, side] of [
            [box.top, box.height, 7],
            [box.left, box.width, 5],
          ] as const) {
            const cutOff = begin === 0 || begin + length === side;
            if (cutOff) expect(length).toBeLessThanOrEqual(size);
            else expect(length).toBe(size);
            // The centre is inside, so about half of the square is.
            expect(length).toBeGreaterThanOrEqual(Math.min(Math.ceil(size / 2), side));
          }
        }
      }),
    );
  });

  test("reaches every pixel about equally often", () => {
    const batch = makeBatch(2000, 4, 5);
    const centres = new Array<number>(20).fill(0);
    for (const box of boxesOf({ cutout: { size: 1 } }, batch)) {
      const at = (box?.top as number) * 5 + (box?.left as number);
      (centres[at] as number)++;
    }
    for (const times of centres) expect(Math.abs(times - 100)).toBeLessThan(50);
  });

  test("without a mean is black", () => {
    const { mean: _, ...batch } = makeBatch(1, 3, 3);
    const images = augment(batch, { cutout: { size: 9 } }, { seed: 1, epoch: 0 });
    expect([...images]).toEqual(new Array(18).fill(0));
  });

  test("is another one in the next epoch", () => {
    const batch = makeBatch(8, 9, 9);
    expect(boxesOf({ cutout: { size: 2 } }, batch, 1, 0)).not.toEqual(boxesOf({ cutout: { size: 2 } }, batch, 1, 1));
  });
});

describe("random erasing", () => {
  test("takes a share of the images, within scale and ratio", () => {
    const batch = makeBatch(2000, 32, 32);
    const boxes = boxesOf({ erasing: {} }, batch).filter((box) => box !== undefined);
    // Five standard deviations of a fair coin.
    expect(Math.abs(boxes.length - 1000)).toBeLessThan(5 * Math.sqrt(500));
    for (const { height, width } of boxes) {
      // Each side is rounded to half a pixel.
      expect((height - 0.5) * (width - 0.5)).toBeLessThan(0.33 * 1024);
      expect((height + 0.5) * (width + 0.5)).toBeGreaterThan(0.02 * 1024);
      expect((height - 0.5) / (width + 0.5)).toBeLessThan(3.3);
      expect((height + 0.5) / (width - 0.5)).toBeGreaterThan(0.3);
    }
    const flat = boxes.filter(({ height, width }) => height < width).length;
    const tall = boxes.filter(({ height, width }) => height > width).length;
    expect(Math.abs(flat - tall)).toBeLessThan(5 * Math.sqrt(boxes.length));
  });

  test("prob 0 and 1", () => {
    const batch = makeBatch(50, 16, 16);
    expect(boxesOf({ erasing: { prob: 0 } }, batch)).toEqual(new Array(50).fill(undefined));
    const options = { erasing: { prob: 1, scale: [0.25, 0.25], ratio: [1, 1] } } as const;
    for (const box of boxesOf(options, batch)) expect(box).toMatchObject({ height: 8, width: 8 });
  });

  test("a rectangle that never fits erases nothing", () => {
    const options = { erasing: { prob: 1, scale: [1, 1], ratio: [1, 1] } } as const;
    expect(boxesOf(options, makeBatch(2, 8, 8))).toEqual([undefined, undefined]);
  });
});

test.each<[string, AugmentOptions]>([
  ["cutout.size", { cutout: { size: 0 } }],
  ["cutout.size", { cutout: { size: 1.5 } }],
  ["erasing.prob", { erasing: { prob: 1.1 } }],
  ["erasing.scale", { erasing: { scale: [0.5, 0.1] } }],
  ["erasing.scale", { erasing: { scale: [0.5, 1.1] } }],
  ["erasing.ratio", { erasing: { ratio: [0, 1] } }],
  ["erasing.ratio", { erasing: { ratio: [1, Number.NaN] } }],
])("refuses a wrong %s: %o", (argument, options) => {
  expect(() => boxesOf(options, makeBatch(1, 4, 4))).toThrow(`augment: ${argument}`);
});
