import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesPerElement, type DType, decode, encode, expectElement, hostArray, isFloat, rangeOf } from "./dtype.js";
import { ArgumentError } from "./errors.js";

const bits = (value: number): number => encode("float16", [value])[0] as number;
const value = (bits: number): number => decode("float16", Uint16Array.of(bits))[0] as number;

describe("float16 on the host", () => {
  test.each([
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [1e300, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [2 ** -25, 0x0000],
    [1.5 * 2 ** -24, 0x0002],
    [2 ** -14 - 2 ** -25, 0x0400],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
    [2 - 2 ** -12, 0x4000],
  ])("%s has bits %s", (number, expected) => {
    expect(bits(number)).toBe(expected);
  });

  test("NaN stays NaN", () => {
    expect(value(bits(Number.NaN))).toBeNaN();
    expect(value(0x7c01)).toBeNaN();
  });

  test("all 65,536 patterns survive the way to a number and back", () => {
    const patterns = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    const numbers = decode("float16", patterns);
    const back = encode("float16", numbers);
    expect(patterns.filter((pattern, i) => !Number.isNaN(numbers[i]) && back[i] !== pattern)).toHaveLength(0);
  });

  test("rounds to the nearest", () => {
    fc.assert(
      fc.property(fc.double({ min: -65504, max: 65504, noNaN: true }), (x) => {
        const pattern = bits(x);
        const error = Math.abs(value(pattern) - x);
        for (const neighbour of [pattern - 1, pattern + 1].map((p) => value(p & 0xffff)))
          if (Number.isFinite(neighbour)) expect(error).toBeLessThanOrEqual(Math.abs(neighbour - x));
      }),
      { seed: 1 },
    );
  });
});

describe("dtypes", () => {
  test.each(["float32", "float64", "float16", "int32", "uint8", "bool"] as const)(
    "%s has a carrier of its size",
    (d) => {
      const array = hostArray(d, 3);
      expect(array.byteLength).toBe(3 * bytesPerElement[d]);
      expect(encode(d, [0, 1, 1]).constructor).toBe(array.constructor);
      expect([...Array.from(decode(d, encode(d, [0, 1, 1])))]).toEqual([0, 1, 1]);
      expect(isFloat(d)).toBe(d.startsWith("float"));
    },
  );

  test.each<[DType, number]>([
    ["int32", 0.5],
    ["int32", 2 ** 31],
    ["int32", Number.NaN],
    ["uint8", -1],
    ["uint8", 256],
    ["bool", 2],
  ])("%s does not hold %s", (dtype, number) => {
    expect(() => expectElement("full", number, dtype)).toThrow(new ArgumentError(`full: ${number} is no ${dtype}`));
  });

  test("integers hold their range, floats everything", () => {
    for (const dtype of ["int32", "uint8", "bool", "float32"] as const)
      for (const number of rangeOf(dtype)) expect(() => expectElement("op", number, dtype)).not.toThrow();
  });
});
