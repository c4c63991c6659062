import type { AvgPoolAttrs, Pair } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, type HostTensor, integers, random, specials, tensor } from "../testing/compare.js";
import { pool2dKernels } from "./pool2d.js";

const { compare } = await createComparison(pool2dKernels);

const attrsOf = (kernel: Pair, stride: Pair, options: Partial<AvgPoolAttrs> = {}): AvgPoolAttrs => ({
  kernel,
  stride,
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
  ceilMode: false,
  countIncludePad: true,
  ...options,
});

const square = (kernel: number, stride: number, padding = 0, options: Partial<AvgPoolAttrs> = {}): AvgPoolAttrs =>
  attrsOf([kernel, kernel], [stride, stride], { padding: [padding, padding, padding, padding], ...options });

/** Output sizes as PyTorch's; null where there are none, or where a window would see nothing of the image. */
const outputSize = (attrs: AvgPoolAttrs, image: Pair): Pair | null => {
  const sizes = image.map((n, axis) => {
    const [before, after] = [attrs.padding[2 * axis] as number, attrs.padding[2 * axis + 1] as number];
    const [k, s, d] = [attrs.kernel[axis] as number, attrs.stride[axis] as number, attrs.dilation[axis] as number];
    const span = n + before + after - d * (k - 1) - 1;
    let count = (attrs.ceilMode ? Math.ceil(span / s) : Math.floor(span / s)) + 1;
    if ((count - 1) * s >= n + before) count--;
    for (let o = 0; o < count; o++) {
      const seen = Array.from({ length: k }, (_, j) => o * s - before + j * d).filter((p) => p >= 0 && p < n);
      if (seen.length === 0) return 0;
    }
    return count;
  }) as unknown as Pair;
  return sizes[0] > 0 && sizes[1] > 0 ? sizes : null;
};

/** All four kernels on x; the gradients' terms are integers, so that sums are exact but for the division. */
const pool = (x: HostTensor, attrs: AvgPoolAttrs): void => {
  const size = outputSize(attrs, x.shape.slice(2) as unknown as Pair);
  expect(size, JSON.stringify(attrs)).not.toBeNull();
  const shape = [...x.shape.slice(0, 2), ...(size as Pair)];
  const y = { shape, dtype: "float32" } as const;
  const { countIncludePad, ...maxAttrs } = attrs;
  const [, indices] = compare("maxPool2d", [x], [y, { shape, dtype: "int32" }], maxAttrs);
  const gy = integers(shape, 3);
  compare("maxPool2dGrad", [gy, tensor(shape, indices as Int32Array, "int32")], [x], maxAttrs);
  compareAverages(x, gy, attrs);
};

const compareAverages = (x: HostTensor, gy: HostTensor, attrs: AvgPoolAttrs): void => {
  const area = attrs.kernel[0] * attrs.kernel[1];
  const tolerance = ({ data }: HostTensor): number => {
    const finite = Array.from(data).filter(Number.isFinite);
    return 2 ** -22 * Math.sqrt(area) * finite.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
  };
  const absolute = tolerance(x);
  compare("avgPool2d", [x], [gy], attrs, { absolute });
  compare("avgPool2dGrad", [gy], [x], attrs, { absolute: tolerance(gy) });
};

const pair = (min: number, max: number) => fc.tuple(fc.integer({ min, max }), fc.integer({ min, max }));

test("any geometry", () => {
  const cases = fc
    .record({
      image: pair(1, 14),
      kernel: pair(1, 5),
      stride: pair(1, 4),
      dilation: pair(1, 3),
      padding: fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2)),
      ceilMode: fc.boolean(),
      countIncludePad: fc.boolean(),
    })
    .filter(({ image, ...attrs }) => outputSize(attrs, image) !== null);
  fc.assert(
    fc.property(cases, ({ image, ...attrs }) => pool(integers([1, 2, ...image], image[0] * 16 + image[1]), attrs)),
    { numRuns: 300 },
  );
});

describe("the usual windows", () => {
  test.each([
    ["2x2/2", square(2, 2)],
    ["3x3/2", square(3, 2)],
    ["3x3/2 padded", square(3, 2, 1)],
    ["3x3/2 to the ceiling", square(3, 2, 0, { ceilMode: true })],
    ["3x3/1 padded", square(3, 1, 1, { countIncludePad: false })],
    ["2x2/1", square(2, 1)],
    ["5x5/3", square(5, 3, 2)],
    ["7x7/1 padded", square(7, 1, 3)],
    ["13x13/1 padded", square(13, 1, 6, { countIncludePad: false })],
    ["3x1/1 dilated", attrsOf([3, 1], [1, 1], { dilation: [2, 1] })],
    ["3x3/2 dilated", square(3, 2, 2, { dilation: [2, 2] })],
    ["1x20/7", attrsOf([1, 20], [1, 7], { padding: [0, 0, 9, 5] })],
    ["10x10/2 padded", square(10, 2, 4)],
  ] as const)("%s", (_, attrs) => {
    for (const size of [3, 4, 5, 8, 15, 16, 17, 32, 33]) {
      if (outputSize(attrs, [size, size + 1]) === null) continue;
      pool(random([2, 3, size, size + 1], size), attrs);
    }
  });

  test("in tasks, batches of several sizes", () => {
    for (const n of [1, 7]) {
      pool(random([n, 16, 32, 32]), square(2, 2));
      pool(random([n, 16, 32, 32]), square(3, 2, 1));
    }
  });

  test("global", () => {
    for (const size of [1, 2, 3, 7, 8, 9, 14]) pool(random([3, 17, size, size]), square(size, size));
    pool(random([2, 300, 8, 8]), square(8, 8));
    pool(random([1, 2, 100, 90]), attrsOf([100, 90], [1, 1]));
  });
});

describe("maxPool2d", () => {
  const maxPool = (x: HostTensor, attrs: AvgPoolAttrs): void => {
    const shape = [...x.shape.slice(0, 2), ...(outputSize(attrs, x.shape.slice(2) as unknown as Pair) as Pair)];
    compare(
      "maxPool2d",
      [x],
      [
        { shape, dtype: "float32" },
        { shape, dtype: "int32" },
      ],
      attrs,
    );
  };
  const windows = [square(2, 2), square(3, 2, 1), square(3, 1, 1), square(9, 1, 4), square(3, 3)];

  test.each([1, 2, 3, 4])("NaN, infinities and zeros of either sign: mixture %d", (seed) => {
    const order = random([2, 2, 16, 16], seed, 0, specials.length, "int32").data;
    const mixed = tensor(
      [2, 2, 16, 16],
      Array.from(order, (i) => specials[i] as number),
    );
    for (const attrs of windows) maxPool(mixed, attrs);
  });

  test("few NaN, one to a window or several", () => {
    const { data } = random([1, 1, 24, 24], 5);
    const positions = [3, 4, 27, 100, 101, 125, 300, 301, 324, 325, 575];
    const holed = tensor(
      [1, 1, 24, 24],
      Array.from(data, (v, i) => (positions.includes(i) ? Number.NaN : v)),
    );
    for (const attrs of windows) maxPool(holed, attrs);
  });

  test.each([0, -0, -3, Number.NEGATIVE_INFINITY, Number.NaN])("ties of %d go to the first", (value) => {
    const flat = tensor([1, 1, 16, 16], new Array(256).fill(value));
    for (const attrs of windows) maxPool(flat, attrs);
  });

  test("ties of 0 and -0", () => {
    const zeros = random([1, 2, 16, 16], 9, 0, 2, "int32").data;
    const mixed = tensor(
      [1, 2, 16, 16],
      Array.from(zeros, (bit) => (bit === 1 ? 0 : -0)),
    );
    for (const attrs of windows) maxPool(mixed, attrs);
  });
});

test("NaN and infinities pass through averages and their gradients", () => {
  const order = random([1, 2, 12, 12], 7, 0, 40, "int32").data;
  const x = tensor(
    [1, 2, 12, 12],
    Array.from(order, (i) => (i < 3 ? (specials[i] as number) : i)),
  );
  for (const attrs of [square(2, 2), square(3, 1, 1), square(12, 12)]) {
    const shape = [1, 2, ...(outputSize(attrs, [12, 12]) as Pair)];
    const size = shape.reduce((a, n) => a * n, 1);
    const gy = tensor(shape, x.data.subarray(0, size));
    compareAverages(x, gy, attrs);
  }
});
