import { describe, expect, test } from "vitest";
import { decimal, duration, percent, probability, roundPercent, whole } from "./format.js";

test("what is not there, or no number, is a dash", () => {
  for (const format of [percent, roundPercent, probability, decimal, whole, duration])
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) expect(format(value)).toBe("–");
});

describe("figures", () => {
  test.each([
    [percent(0.72431), "72.43 %"],
    [roundPercent(0.7), "70 %"],
    [roundPercent(0.72431), "72.4 %"],
    [probability(0.72431), "72.4 %"],
    [probability(1), "100.0 %"],
    [probability(0.0005), "0.1 %"],
    [probability(0.00000344), "< 0.1 %"],
    [probability(0), "0.0 %"],
    [decimal(0), "0"],
    [decimal(0.123456), "0.1235"],
    [decimal(-12345.6), "-12350"],
    [decimal(0.00001234), "1.234e-5"],
    [decimal(12345678), "1.235e+7"],
    [whole(0), "0"],
    [whole(1234567.8), "1,234,568"],
    [whole(-1234), "-1,234"],
    [duration(0), "0.0 s"],
    [duration(59.94), "59.9 s"],
    [duration(59.96), "1:00"],
    [duration(754), "12:34"],
    [duration(3723), "1:02:03"],
  ])("%s", (shown, expected) => {
    expect(shown).toBe(expected);
  });
});
