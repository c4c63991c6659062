import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decode, encode, formats, fromHalf, toHalf, ulp } from "./number-format.js";

describe("half precision", () => {
  test("every finite half comes back as it was", () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromHalf(toHalf(value)))).toBe(true);
      else expect(toHalf(value)).toBe(bits);
    }
  });

  test("rounding goes to the nearest half, ties to even", () => {
    fc.assert(
      fc.property(fc.double({ min: -65000, max: 65000, noNaN: true }), (value) => {
        const bits = toHalf(value);
        const distance = (other: number): number => Math.abs(fromHalf(other) - Math.fround(value));
        for (const neighbour of [bits - 1, bits + 1].filter((b) => (b & 0x7fff) < 0x7c00 && b >= 0))
          expect(distance(bits)).toBeLessThanOrEqual(distance(neighbour));
      }),
    );
    expect(toHalf(1 + 2 ** -11)).toBe(toHalf(1));
    expect(toHalf(1 + 3 * 2 ** -11)).toBe(toHalf(1 + 2 ** -9));
  });

  test.each([
    [65519, 65504],
    [65520, Number.POSITIVE_INFINITY],
    [-1e9, Number.NEGATIVE_INFINITY],
    [2 ** -25, 0],
    [2 ** -24, 2 ** -24],
    [2 ** -14 - 2 ** -25, 2 ** -14],
  ])("%d rounds to %d", (value, rounded) => {
    expect(formats.float16.round(value)).toBe(rounded);
  });
});

test("ulp is the distance to the next number", () => {
  expect(ulp("float32", 1)).toBe(2 ** -23);
  expect(ulp("float32", -1.5)).toBe(2 ** -23);
  expect(ulp("float32", 0)).toBe(2 ** -149);
  expect(ulp("float32", 2 ** -130)).toBe(2 ** -149);
  expect(ulp("float64", 2 ** 10)).toBe(2 ** -42);
  expect(ulp("float32", 0.3)).toBe(2 ** -25);
});

test("encode and decode carry every dtype", () => {
  expect(encode("float16", [1, -2])).toEqual(Uint16Array.of(0x3c00, 0xc000));
  expect([...decode("float16", encode("float16", [1, -2]))]).toEqual([1, -2]);
  expect(encode("int32", [-7])).toEqual(Int32Array.of(-7));
  expect(encode("bool", [0, 1])).toEqual(Uint8Array.of(0, 1));
});
