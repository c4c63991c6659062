import type { AvgPoolAttrs, PoolAttrs } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { counting, createHarness, tensor } from "../testing/harness.js";

const { run, run1 } = await createHarness();

const attrsOf = (kernel: number, stride: number, options: Partial<AvgPoolAttrs> = {}): AvgPoolAttrs => ({
  kernel: [kernel, kernel],
  stride: [stride, stride],
  padding: [0, 0, 0, 0],
  dilation: [1, 1],
  ceilMode: false,
  countIncludePad: true,
  ...options,
});

const maxPool = (x: Parameters<typeof run>[1][number], size: readonly [number, number], attrs: PoolAttrs) => {
  const shape = [...x.shape.slice(0, 2), ...size];
  const [y, indices] = run(
    "maxPool2d",
    [x],
    [
      { shape, dtype: "float32" },
      { shape, dtype: "int32" },
    ],
    attrs,
  );
  return { y, indices };
};

const { NaN: nan, NEGATIVE_INFINITY: minusInfinity } = Number;

describe("maxPool2d", () => {
  const x = tensor([1, 1, 4, 4], [1, 1, 2, 4, 2, 4, 7, 8, 3, 2, 1, 0, 1, 1, 2, 4]);

  test("worked examples", () => {
    expect(maxPool(x, [2, 2], attrsOf(2, 2))).toEqual({ y: [4, 8, 3, 4], indices: [5, 7, 8, 15] });
    expect(maxPool(x, [3, 3], attrsOf(2, 1)).y).toEqual([4, 7, 8, 4, 7, 8, 3, 2, 4]);
  });

  test("ties go to the first, in each plane", () => {
    const ones = tensor([1, 2, 2, 2], [1, 1, 1, 1, 0, 5, 5, 5]);
    expect(maxPool(ones, [1, 1], attrsOf(2, 2)).indices).toEqual([0, 1]);
  });

  test("padding is never the maximum", () => {
    const negative = tensor([1, 1, 2, 2], [-4, -3, minusInfinity, minusInfinity]);
    const pooled = maxPool(negative, [2, 2], attrsOf(2, 2, { padding: [1, 1, 1, 1] }));
    expect(pooled).toEqual({ y: [-4, -3, minusInfinity, minusInfinity], indices: [0, 1, 2, 3] });
  });

  test("the first NaN of a window wins", () => {
    const withNaN = tensor([1, 1, 2, 3], [9, 1, nan, 1, nan, 2]);
    expect(maxPool(withNaN, [1, 2], attrsOf(2, 1))).toEqual({ y: [nan, nan], indices: [4, 2] });
  });

  test("dilation, and a last window that ceil mode clips", () => {
    const attrs = attrsOf(2, 2, { dilation: [2, 2], ceilMode: true });
    expect(maxPool(counting([1, 1, 4, 4]), [2, 2], attrs)).toEqual({ y: [11, 11, 11, 11], indices: [10, 10, 10, 10] });
    const row = tensor([1, 1, 1, 5], [5, 1, 2, 0, 3]);
    const flat = { ...attrsOf(1, 2, { ceilMode: true }), kernel: [1, 2] } as const;
    expect(maxPool(row, [1, 3], flat).y).toEqual([5, 2, 3]);
  });

  test("a window of padding only has no maximum, and sends no gradient", () => {
    const attrs: PoolAttrs = { ...attrsOf(1, 1), kernel: [1, 2], dilation: [1, 2], padding: [0, 0, 1, 1] };
    const pooled = maxPool(tensor([1, 1, 1, 1], [5]), [1, 1], attrs);
    expect(pooled).toEqual({ y: [minusInfinity], indices: [-1] });
    const inputs = [tensor([1, 1, 1, 1], [3]), tensor([1, 1, 1, 1], [-1], "int32")];
    expect(run1("maxPool2dGrad", inputs, [1, 1, 1, 1], attrs)).toEqual([0]);
  });
});

describe("maxPool2dGrad", () => {
  test("the worked example", () => {
    const gy = tensor([1, 1, 2, 2], [4, 12, 8, 16]);
    const indices = tensor([1, 1, 2, 2], [0, 7, 9, 14], "int32");
    expect(run1("maxPool2dGrad", [gy, indices], [1, 1, 4, 4], attrsOf(2, 2))).toEqual([
      4, 0, 0, 0, 0, 0, 0, 12, 0, 8, 0, 0, 0, 0, 16, 0,
    ]);
  });

  test("windows that share a maximum add up, planes do not mix", () => {
    const gy = tensor([1, 2, 1, 2], [1, 2, 4, 8]);
    const indices = tensor([1, 2, 1, 2], [1, 1, 0, 2], "int32");
    expect(run1("maxPool2dGrad", [gy, indices], [1, 2, 1, 3], attrsOf(2, 1))).toEqual([0, 3, 0, 4, 0, 8]);
  });
});

describe("avgPool2d", () => {
  test("the worked example, and back", () => {
    const x = tensor([1, 1, 4, 4], [1, 1, 2, 3, 2, 4, 7, 8, 3, 2, 1, 3, 1, 2, 2, 4]);
    expect(run1("avgPool2d", [x], [1, 1, 2, 2], attrsOf(2, 2))).toEqual([2, 5, 2, 2.5]);
    const gy = tensor([1, 1, 2, 2], [4, 12, 8, 16]);
    expect(run1("avgPool2dGrad", [gy], [1, 1, 4, 4], attrsOf(2, 2))).toEqual([
      1, 1, 3, 3, 1, 1, 3, 3, 2, 2, 4, 4, 2, 2, 4, 4,
    ]);
  });

  // A row of 3 with 1 of padding at either end, windows of 3 at 0, 2 and (ceil mode) 4: [p 6 2], [2 4 p], [p].
  const row = tensor([1, 1, 1, 4], [6, 2, 4, 8]);
  const flat = (options: Partial<AvgPoolAttrs>): AvgPoolAttrs =>
    attrsOf(1, 1, { kernel: [1, 3], stride: [1, 2], padding: [0, 0, 1, 1], ceilMode: true, ...options });

  test("countIncludePad: padding counts, what lies beyond it does not", () => {
    expect(run1("avgPool2d", [row], [1, 1, 1, 3], flat({}))).toEqual([8 / 3, 14 / 3, 4].map(Math.fround));
    expect(run1("avgPool2d", [row], [1, 1, 1, 3], flat({ countIncludePad: false }))).toEqual(
      [4, 14 / 3, 8].map(Math.fround),
    );
  });

  test("the gradient divides likewise", () => {
    const gy = tensor([1, 1, 1, 3], [3, 6, 2]);
    expect(run1("avgPool2dGrad", [gy], [1, 1, 1, 4], flat({}))).toEqual([1, 3, 2, 3]);
    expect(run1("avgPool2dGrad", [gy], [1, 1, 1, 4], flat({ countIncludePad: false }))).toEqual([1.5, 3.5, 2, 4]);
  });

  test("a window without a pixel is 0", () => {
    const attrs = attrsOf(1, 1, { kernel: [1, 2], dilation: [1, 2], padding: [0, 0, 1, 1], countIncludePad: false });
    expect(run1("avgPool2d", [tensor([1, 1, 1, 1], [5])], [1, 1, 1, 1], attrs)).toEqual([0]);
    expect(run1("avgPool2dGrad", [tensor([1, 1, 1, 1], [5])], [1, 1, 1, 1], attrs)).toEqual([0]);
  });
});
