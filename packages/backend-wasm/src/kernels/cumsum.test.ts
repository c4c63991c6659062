import type { DType, Shape } from "@striate/core/backend";
import { expect, test } from "vitest";
import { createComparison, edgeSizes, random, specials, tensor } from "../testing/compare.js";
import { cumsumKernels } from "./cumsum.js";

const { compare, run } = await createComparison(cumsumKernels);

const cumsum = (shape: Shape, axis: number, dtype: DType = "float32"): void => {
  const x = dtype === "float32" ? random(shape) : random(shape, 1, 0, dtype === "uint8" ? 256 : 2 ** 31, dtype);
  compare("cumsum", [x], [{ shape, dtype }], { axis });
};

test.each(["float32", "int32", "uint8"] as const)("of %s", (dtype) => {
  for (const size of edgeSizes) {
    cumsum([size], 0, dtype);
    cumsum([3, size], 1, dtype);
    cumsum([5, size], 0, dtype);
    cumsum([2, size, 7], 1, dtype);
  }
  cumsum([300, 301], 1, dtype);
  cumsum([301, 302], 0, dtype);
});

test("the running sum is not rounded in between", () => {
  const x = tensor([3], [2 ** 24, 1, 1]);
  expect(Array.from(run("cumsum", [x], [{ shape: [3], dtype: "float32" }], { axis: 0 })[0] ?? [])).toEqual([
    2 ** 24,
    2 ** 24,
    2 ** 24 + 2,
  ]);
});

test("special values", () => {
  const count = specials.length;
  for (const [shape, axis] of [
    [[count, 1], 1],
    [[1, count], 1],
    [[1, count], 0],
    [[1, count, 2], 1],
  ] as const) {
    const values = shape.length === 3 ? [...specials, ...specials] : specials;
    compare("cumsum", [tensor(shape, values)], [{ shape, dtype: "float32" }], { axis }, { signedZero: false });
  }
});
