import { ArgumentError } from "@striate/core";
import { describe, expect, test } from "vitest";
import { sampleStatistics, studentQuantile } from "./statistics.js";

describe("sampleStatistics", () => {
  // By hand: mean 4, squares 4 + 0 + 4, t(2) = 4.3027.
  test("of 2, 4, 6", () => {
    const { mean, standardDeviation, interval } = sampleStatistics([2, 4, 6]);
    expect([mean, standardDeviation]).toEqual([4, 2]);
    expect(interval[0]).toBeCloseTo(4 - (4.3027 * 2) / Math.sqrt(3), 10);
    expect(interval[1]).toBeCloseTo(4 + (4.3027 * 2) / Math.sqrt(3), 10);
  });

  test("of equal values has no width", () => {
    expect(sampleStatistics([0.5, 0.5])).toMatchObject({ mean: 0.5, standardDeviation: 0, interval: [0.5, 0.5] });
  });

  test.each([[[]], [[1]]])("of %j is refused", (values) => {
    expect(() => sampleStatistics(values)).toThrow(ArgumentError);
  });
});

test.each([
  [1, 12.7062],
  [4, 2.7764],
  [30, 2.0423],
  // Tables of Student's t.
  [31, 2.0395],
  [40, 2.0211],
  [100, 1.984],
  [1e6, 1.96],
])("the 95 %% point with %d degrees of freedom", (freedom, expected) => {
  expect(studentQuantile(freedom)).toBeCloseTo(expected, 3);
});
