import { expect, test } from "vitest";
import { createHarness } from "../testing/harness.js";

const { run1 } = await createHarness();

const bits = (count: number, seed: number, stream = 0, offset = 0) =>
  run1("randomBits", [], [count], { seed, stream, offset }, "int32");

test("the upper 24 bits of Philox4x32-10, known answers", () => {
  expect(bits(4, 0)).toEqual([0x6627e8, 0xe169c5, 0xbc57ac, 0x9b00db]);
});

test("element i is word i%4 of counter [i/4, offset, stream, 0] under the seed's two words", () => {
  const long = bits(11, 2 ** 40 + 5, 3, 7);
  expect(bits(4, 2 ** 40 + 5, 3, 7)).toEqual(long.slice(0, 4));
  expect(new Set(long).size).toBe(11);
  for (const other of [bits(11, 5, 3, 7), bits(11, 2 ** 40 + 5, 7, 3), bits(11, 2 ** 40 + 5, 3, 8)])
    expect(other).not.toEqual(long);
  for (const b of long) expect(b >= 0 && b < 2 ** 24).toBe(true);
});
