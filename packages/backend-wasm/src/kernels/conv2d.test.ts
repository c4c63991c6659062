import type { Conv2dAttrs, Padding2d, Pair } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, integers, random } from "../testing/compare.js";
import { conv2dKernels } from "./conv2d.js";

const { compare, run } = await createComparison(conv2dKernels);

interface Problem extends Omit<Conv2dAttrs, "groups"> {
  readonly images: number;
  readonly groups: number;
  /** Of a group. */
  readonly channels: number;
  readonly outputs: number;
  readonly image: Pair;
  readonly kernel: Pair;
}

const outputOf = ({ image, kernel, stride, padding, dilation }: Problem): Pair => {
  const along = (axis: 0 | 1): number => {
    const size = image[axis] + (padding[2 * axis] as number) + (padding[2 * axis + 1] as number);
    return Math.floor((size - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis]) + 1;
  };
  return [along(0), along(1)];
};

/** All convolutions, with and without bias and ReLU, on integers: exact, as long as no sum reaches 2^24. */
const convolve = (problem: Problem): void => {
  const { images, groups, channels, outputs, image, kernel, stride, padding, dilation } = problem;
  const [oh, ow] = outputOf(problem);
  if (oh < 1 || ow < 1) return;
  const attrs = { stride, padding, dilation, groups };
  const x = integers([images, groups * channels, ...image], 1);
  const w = integers([groups * outputs, channels, ...kernel], 2);
  const bias = integers([groups * outputs], 3);
  const gy = integers([images, groups * outputs, oh, ow], 4);
  const options = { signedZero: false };
  const spec = (shape: readonly number[]) => [{ shape, dtype: "float32" as const }];
  compare("conv2d", [x, w, bias], spec(gy.shape), attrs, options);
  compare("conv2d", [x, w], spec(gy.shape), attrs, options);
  for (const inputs of [
    [x, w, bias],
    [x, w],
  ]) {
    const [y] = run("conv2d", inputs, spec(gy.shape), attrs) as [Float32Array];
    expect(run("conv2dRelu", inputs, spec(gy.shape), attrs)).toEqual([y.map((value) => Math.max(value, 0))]);
  }
  compare("conv2dGradInput", [w, gy], spec(x.shape), attrs, options);
  compare("conv2dGradWeight", [x, gy], spec(w.shape), attrs, options);
};

const upTo = (max: number, min = 1) => fc.integer({ min, max });
const pair = (max: number): fc.Arbitrary<Pair> => fc.tuple(upTo(max), upTo(max));
const paddings: fc.Arbitrary<Padding2d> = fc.tuple(upTo(4, 0), upTo(4, 0), upTo(4, 0), upTo(4, 0));

test("any geometry", () => {
  fc.assert(
    fc.property(
      fc.record({
        images: upTo(5),
        groups: fc.constantFrom(1, 1, 2, 3),
        channels: upTo(7),
        outputs: upTo(10),
        image: fc.tuple(upTo(16), upTo(34)),
        kernel: pair(5),
        stride: pair(3),
        padding: paddings,
        dilation: pair(3),
      }),
      convolve,
    ),
    { numRuns: 80 },
  );
});

const plain = { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1] } as const;

test("3x3 kernels with enough channels for Winograd's filtering", () => {
  fc.assert(
    fc.property(
      fc.record({
        images: upTo(5),
        channels: upTo(40, 6),
        outputs: upTo(70, 6),
        image: fc.tuple(upTo(20), fc.constantFrom(6, 7, 8, 14, 15, 16, 30, 31, 32)),
        padding: paddings,
      }),
      (problem) => convolve({ ...plain, groups: 1, kernel: [3, 3], ...problem }),
    ),
    { numRuns: 25 },
  );
});

describe("shapes of networks", () => {
  test.each([
    [
      "LeNet-5's first",
      { images: 70, channels: 3, outputs: 6, image: [32, 32], kernel: [5, 5], padding: [0, 0, 0, 0] },
    ],
    [
      "a stem of stride 2",
      { images: 2, channels: 3, outputs: 24, image: [40, 40], kernel: [7, 7], stride: [2, 2], padding: [3, 3, 3, 3] },
    ],
    [
      "a projection",
      { images: 3, channels: 32, outputs: 64, image: [16, 16], kernel: [1, 1], stride: [2, 2], padding: [0, 0, 0, 0] },
    ],
    ["depthwise", { images: 2, groups: 33, channels: 1, outputs: 1, image: [14, 14], kernel: [3, 3] }],
    [
      "as large as the image",
      { images: 9, channels: 16, outputs: 120, image: [5, 5], kernel: [5, 5], padding: [0, 0, 0, 0] },
    ],
    ["many channels on few pixels", { images: 3, channels: 200, outputs: 130, image: [4, 4], kernel: [3, 3] }],
    ["tiles beyond a block", { images: 1, channels: 64, outputs: 24, image: [50, 56], kernel: [3, 3] }],
  ] as const)("%s", (_name, shape) => {
    convolve({ ...plain, groups: 1, ...shape });
  });
});

describe("rounding stays within the bound of a sum in float32", () => {
  const [images, channels, outputs, size] = [2, 48, 40, 16];
  const attrs = { ...plain, groups: 1 };
  const x = random([images, channels, size, size], 1);
  const w = random([outputs, channels, 3, 3], 2);
  const gy = random([images, outputs, size, size], 3);
  // Values are below 2: terms of up to 4.
  const bound = (terms: number) => ({ absolute: (2 * Math.sqrt(terms) + 4) * 2 ** -24 * terms * 4 * 0.25 });
  const one = (shape: readonly number[]) => [{ shape, dtype: "float32" as const }];

  test("forward", () => {
    compare("conv2d", [x, w], one(gy.shape), attrs, bound(9 * channels));
  });
  test("input gradient", () => {
    compare("conv2dGradInput", [w, gy], one(x.shape), attrs, bound(9 * outputs));
  });
  test("weight gradient", () => {
    compare("conv2dGradWeight", [x, gy], one(w.shape), attrs, bound(images * size * size));
  });
});

test("NaN reaches its outputs, and beyond them at most those that share a tile", () => {
  // 32 channels go through Winograd's tiles of 2x2 outputs.
  for (const channels of [3, 32]) {
    const x = integers([2, channels, 16, 16], 1);
    x.data[(channels + 1) * 256 + 8 * 16 + 8] = Number.NaN;
    const w = integers([channels, channels, 3, 3], 2);
    const [output] = run("conv2d", [x, w], [{ shape: x.shape, dtype: "float32" }], { ...plain, groups: 1 });
    const y = output as Float32Array;
    for (let i = 0; i < y.length; i++) {
      const image = Math.floor(i / (channels * 256));
      const [row, column] = [Math.floor(i / 16) % 16, i % 16];
      const near = image === 1 && Math.abs(row - 8) <= 1 && Math.abs(column - 8) <= 1;
      const far = image === 0 || Math.abs(row - 8) > 2 || Math.abs(column - 8) > 2;
      if (near) expect(y[i]).toBeNaN();
      if (far) expect(Number.isFinite(y[i])).toBe(true);
    }
  }
});
