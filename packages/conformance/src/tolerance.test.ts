import { describe, expect, test } from "vitest";
import { boundConstant, judge } from "./tolerance.js";

const allow = (allowed: number) => ({ allowed: () => allowed });

describe("judge", () => {
  test("the ratio is the worst error over the allowed one", () => {
    const { ratio, failures, worst } = judge([1, 2.5, 3], [1, 2, 3.25], "float64", allow(1));
    expect(ratio).toBe(0.25);
    expect(failures).toBe(0);
    expect(worst).toBe(1);
  });

  test("more than allowed fails, at the right element", () => {
    expect(judge([1, 2, 9], [1, 2, 3], "float32", allow(1))).toMatchObject({
      failures: 1,
      worst: 2,
      error: 6,
      allowed: 1,
    });
  });

  test("float64 has twice the room", () => {
    expect(judge([1.5], [1], "float32", allow(0.25)).failures).toBe(1);
    expect(judge([1.5], [1], "float64", allow(0.25)).failures).toBe(0);
  });

  test("what the dtype cannot hold is rounded first", () => {
    expect(judge([Math.fround(0.1)], [0.1], "float32", allow(0)).failures).toBe(0);
    expect(judge([Number.POSITIVE_INFINITY], [1e39], "float32", allow(0)).failures).toBe(0);
  });

  test.each([
    [Number.NaN, 1],
    [1, Number.NaN],
    [0, Number.NaN],
    [Number.POSITIVE_INFINITY, 1],
    [1, Number.POSITIVE_INFINITY],
    [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
  ])("%d is not %d, however much is allowed", (actual, expected) => {
    expect(judge([actual], [expected], "float32", allow(1e30)).ratio).toBe(Number.POSITIVE_INFINITY);
  });

  test("an allowance that is no number allows nothing", () => {
    expect(judge([1.5], [1], "float32", allow(Number.NaN)).failures).toBe(1);
  });

  test("the sign of zero counts only where it is asked for", () => {
    expect(judge([-0], [0], "float32", allow(0)).failures).toBe(0);
    expect(judge([-0], [0], "float32", { ...allow(0), signedZero: true }).failures).toBe(1);
  });

  test("the constant is the error in units of eps·S", () => {
    const { constant } = judge([1.5], [1], "float32", { ...allow(10), magnitude: () => 0.125 });
    expect(constant).toBe(4);
    expect(judge([1.5], [1], "float32", allow(10)).constant).toBeNaN();
  });
});

test("the bound grows with the root of the terms", () => {
  expect(boundConstant(0)).toBe(4);
  expect(boundConstant(100)).toBe(24);
});
