import { expect, test } from "vitest";
import { createComparison, edgeSizes } from "../testing/compare.js";
import { randomBitsKernels } from "./random-bits.js";

const { compare } = await createComparison(randomBitsKernels);

const bits = (count: number, seed: number, stream = 0, offset = 0): number[] =>
  Array.from(
    compare("randomBits", [], [{ shape: [count], dtype: "int32" }], { seed, stream, offset })[0] as Int32Array,
  );

test("known answers of Philox4x32-10", () => {
  expect(bits(4, 0)).toEqual([0x6627e8, 0xe169c5, 0xbc57ac, 0x9b00db]);
});

test("sizes around those of vectors, and of several tasks", () => {
  for (const size of [...edgeSizes, 8191, 8192, 8193, 30001]) bits(size, 5);
});

test("seeds, streams and offsets of 32 bits and more", () => {
  bits(65, 2 ** 53 - 1, 2 ** 32 - 1, 2 ** 32 - 1);
  bits(65, 2 ** 40 + 5, 3, 7);
  bits(65, 2 ** 31, 2 ** 31, 2 ** 31);
});
