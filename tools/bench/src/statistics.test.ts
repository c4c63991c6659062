import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { median, summarize, summarizeRatio } from "./statistics.js";

const samples = fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 });

describe("median", () => {
  test("is the middle value, or the mean of the two middle ones", () => {
    expect(median([3])).toBe(3);
    expect(median([10, 9, 1])).toBe(9);
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });

  test("sorts by value, not by text, and leaves its argument alone", () => {
    const values = [100, 20, 3];
    expect(median(values)).toBe(20);
    expect(values).toEqual([100, 20, 3]);
  });

  test("has as many values above as below", () => {
    fc.assert(
      fc.property(samples, (values) => {
        const m = median(values);
        expect(values.filter((v) => v < m).length).toBeLessThanOrEqual(values.length / 2);
        expect(values.filter((v) => v > m).length).toBeLessThanOrEqual(values.length / 2);
      }),
    );
  });

  test("refuses no values", () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

test("summarize gives the median between the extremes", () => {
  expect(summarize([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
});

describe("summarizeRatio", () => {
  test("compares values of the same round", () => {
    expect(summarizeRatio([10, 5, 20], [5, 5, 5])).toEqual({ median: 2, min: 1, max: 4 });
  });

  test("uses the rounds that both have", () => {
    expect(summarizeRatio([10, 8, 100], [5, 4])).toEqual({ median: 2, min: 2, max: 2 });
  });

  test("what slows both down in a round cancels", () => {
    const slowdowns = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(slowdowns, (rounds) => {
        const fast = rounds.map((slowdown) => 8 / slowdown);
        const slow = rounds.map((slowdown) => 2 / slowdown);
        const { median, min, max } = summarizeRatio(fast, slow);
        for (const ratio of [median, min, max]) expect(ratio).toBeCloseTo(4, 10);
      }),
    );
  });

  test("refuses no common round", () => {
    expect(() => summarizeRatio([1], [])).toThrow(RangeError);
  });
});
