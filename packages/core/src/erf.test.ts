import { expect, test } from "vitest";
import { erf, erfc } from "./erf.js";

// From Taylor series in 2400-bit arithmetic.
test.each([
  [0.1, 0.1124629160182849],
  [0.46875, 0.49261347321793797],
  [0.5, 0.5204998778130465],
  [1, 0.8427007929497149],
  [2, 0.9953222650189527],
  [3, 0.9999779095030014],
  [4.5, 0.9999999998033839],
])("erf(%f)", (x, expected) => {
  expect(Math.abs(erf(x) / expected - 1)).toBeLessThan(5e-16);
  expect(erf(-x)).toBe(-erf(x));
});

test.each([
  [-3, 1.9999779095030015],
  [0.25, 0.7236736098317631],
  [4, 1.541725790028002e-8],
  [10, 2.088487583762545e-45],
  [26, 5.663192408856143e-296],
])("erfc(%f)", (x, expected) => {
  expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-13);
});

test("limits", () => {
  expect([erf(Infinity), erf(-Infinity), erfc(Infinity), erfc(-Infinity)]).toEqual([1, -1, 0, 2]);
  expect([erf(0), erf(-0), erf(Number.NaN), erfc(Number.NaN)]).toEqual([0, -0, Number.NaN, Number.NaN]);
  expect(erf(1e-310)).toBeCloseTo(1.1283791670955126e-310, 320);
});
