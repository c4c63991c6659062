import type { Pair, Window2d } from "@striate/core/backend";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createComparison, integers } from "../testing/compare.js";
import { unfold2dKernels } from "./unfold2d.js";

const { compare } = await createComparison(unfold2dKernels);

const outputSize = (window: Window2d, image: Pair): Pair =>
  image.map((n, axis) => {
    const padded = n + (window.padding[2 * axis] as number) + (window.padding[2 * axis + 1] as number);
    const span = padded - (window.dilation[axis] as number) * ((window.kernel[axis] as number) - 1) - 1;
    return Math.floor(span / (window.stride[axis] as number)) + 1;
  }) as unknown as Pair;

/** Both ops on integers, whose sums are exact. */
const both = (planes: Pair, image: Pair, window: Window2d): void => {
  const output = outputSize(window, image);
  expect(Math.min(...output)).toBeGreaterThan(0);
  const x = integers([...planes, ...image], 1);
  const columns = integers([planes[0], planes[1] * window.kernel[0] * window.kernel[1], output[0] * output[1]], 2);
  const attrs = { window, outputSize: output };
  compare("unfold2d", [x], [columns], attrs);
  compare("fold2d", [columns], [x], attrs);
};

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

test("any geometry, kernels larger than the image included", () => {
  const cases = fc
    .record({
      image: pair(1, 12),
      kernel: pair(1, 4),
      stride: pair(1, 4),
      dilation: pair(1, 3),
      padding: fc.oneof(fc.constant([0, 0, 0, 0] as const), fc.tuple(fc.nat(5), fc.nat(5), fc.nat(5), fc.nat(5))),
    })
    .filter(({ image, ...window }) => Math.min(...outputSize(window, image)) > 0);
  fc.assert(
    fc.property(cases, ({ image, ...window }) => both([2, 3], image, window)),
    { numRuns: 300 },
  );
});

test.each([1, 2, 3])("wide images, stride %d", (step) => {
  const window = { kernel: [3, 3], stride: [1, step], padding: [1, 1, 1, 1], dilation: [1, 1] } as const;
  for (const width of [15, 16, 17, 63, 64, 65, 130]) {
    both([1, 2], [3, width], window);
    both([1, 2], [3, width], { ...window, padding: [0, 0, 0, 0] });
  }
});

test("in tasks", () => {
  const window = { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1] } as const;
  both([9, 8], [32, 32], window);
});
