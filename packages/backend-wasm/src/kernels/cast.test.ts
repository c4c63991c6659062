import type { DType } from "@striate/core/backend";
import { expect, test } from "vitest";
import { createComparison, edgeSizes, random, specials, tensor } from "../testing/compare.js";
import { castKernels } from "./cast.js";

const { compare } = await createComparison(castKernels);

const dtypes: readonly DType[] = ["float32", "int32", "uint8", "bool"];

/** What each dtype can hold, and every other one too. */
const range: Readonly<Record<string, readonly [number, number]>> = {
  float32: [0, 255.9],
  int32: [0, 256],
  uint8: [0, 256],
  bool: [0, 2],
};

test.each(dtypes.flatMap((from) => dtypes.map((to) => [from, to] as const)))("%s to %s", (from, to) => {
  const [low, high] = range[from] as readonly [number, number];
  for (const size of [...edgeSizes, 140003]) {
    const x = random([size], size, low, high, from);
    compare("cast", [x], [{ shape: [size], dtype: to }], {});
  }
});

test("float32 to int32 truncates towards zero, to the ends of the range", () => {
  const x = tensor([8], [-1.75, -0.75, 0.75, 1.75, 2147483520, -2147483648, 2 ** -149, -0]);
  const [y] = compare("cast", [x], [{ shape: [8], dtype: "int32" }], {});
  expect([...(y as Int32Array)]).toEqual([-1, 0, 0, 1, 2147483520, -2147483648, 0, 0]);
});

test("int32 to float32 rounds to even", () => {
  const x = tensor([5], [2 ** 24 + 1, 2 ** 24 + 3, 2147483647, -2147483648, -1], "int32");
  const [y] = compare("cast", [x], [{ shape: [5], dtype: "float32" }], {});
  expect([...(y as Float32Array)]).toEqual([2 ** 24, 2 ** 24 + 4, 2 ** 31, -(2 ** 31), -1]);
});

test("to bool: all but zero, NaN included", () => {
  const x = tensor([specials.length], specials);
  const [y] = compare("cast", [x], [{ shape: x.shape, dtype: "bool" }], {});
  expect([...(y as Uint8Array)]).toEqual(specials.map((v) => (v === 0 ? 0 : 1)));
});

test("int32 to uint8 takes the lowest byte", () => {
  const x = tensor([4], [256, -1, 300, 65535], "int32");
  const [y] = compare("cast", [x], [{ shape: [4], dtype: "uint8" }], {});
  expect([...(y as Uint8Array)]).toEqual([0, 255, 44, 255]);
});
