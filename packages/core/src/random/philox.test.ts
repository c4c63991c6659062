import { describe, expect, test } from "vitest";
import { ArgumentError } from "../errors.js";
import { philox4x32, randomWords } from "./philox.js";

const hex = (words: Uint32Array): string => [...words].map((word) => word.toString(16).padStart(8, "0")).join(" ");

describe("philox4x32", () => {
  test("known answers of the Random123 library", () => {
    const ones = 0xffffffff;
    expect(hex(philox4x32([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
    expect(hex(philox4x32([ones, ones, ones, ones], [ones, ones]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
    expect(hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    );
  });

  test("writes where it is told", () => {
    const out = new Uint32Array(6).fill(7);
    expect(philox4x32([1, 2, 3, 4], [5, 6], out, 1)).toBe(out);
    expect([out[0], out[5]]).toEqual([7, 7]);
    expect([...out.subarray(1, 5)]).toEqual([...philox4x32([1, 2, 3, 4], [5, 6])]);
  });
});

describe("randomWords", () => {
  test("word i is word i % 4 of counter [i / 4, offset, stream, 0] under the seed's two halves", () => {
    const words = randomWords(3 * 2 ** 32 + 9, 5, 8, 6);
    expect(words).toHaveLength(6);
    expect([...words.subarray(4)]).toEqual([...philox4x32([1, 8, 5, 0], [9, 3])].slice(0, 2));
  });

  test("a shorter draw is the beginning of a longer one", () => {
    const long = randomWords(1, 2, 3, 11);
    for (let n = 0; n < 11; n++) expect([...randomWords(1, 2, 3, n)]).toEqual([...long.subarray(0, n)]);
  });

  test.each([
    [-1, 0, 0, 1, /seed is -1/],
    [2 ** 53, 0, 0, 1, /seed/],
    [0.5, 0, 0, 1, /seed/],
    [0, 2 ** 32, 0, 1, /stream is 4294967296/],
    [0, 0, Number.NaN, 1, /offset is NaN/],
    [0, 0, 0, -1, /count is -1/],
  ])("refuses (%s, %s, %s, %s)", (seed, stream, offset, count, message) => {
    expect(() => randomWords(seed, stream, offset, count)).toThrow(message);
    expect(() => randomWords(seed, stream, offset, count)).toThrow(ArgumentError);
  });
});
