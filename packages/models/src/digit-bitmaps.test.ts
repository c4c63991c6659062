import { describe, expect, test } from "vitest";
import { digitBitmapSize, digitBitmaps } from "./index.js";

const distance = (a: readonly number[], b: readonly number[]): number => a.filter((value, i) => value !== b[i]).length;

describe("the bitmaps of the digits", () => {
  test("are ten codes of ±1 for the 84 units of F6", () => {
    expect(digitBitmaps.length).toBe(10);
    for (const bitmap of digitBitmaps) {
      expect(bitmap.length).toBe(84);
      expect([...new Set(bitmap)].sort()).toEqual([-1, 1]);
    }
    expect(digitBitmapSize[0] * digitBitmapSize[1]).toBe(84);
  });

  test("differ in 21 places at least, each two of them", () => {
    const distances = digitBitmaps.flatMap((a, i) => digitBitmaps.slice(i + 1).map((b) => distance(a, b)));
    expect(distances.length).toBe(45);
    expect(Math.min(...distances)).toBe(21);
  });

  test("are upright: the first is a ring with nothing inside, the second a stroke", () => {
    const [, width] = digitBitmapSize;
    const row = (digit: number, y: number): number[] =>
      digitBitmaps[digit]?.slice(y * width, (y + 1) * width) as number[];
    expect(row(0, 5)).toEqual([1, 1, -1, -1, -1, 1, 1]);
    expect(row(1, 5)).toEqual([-1, -1, -1, 1, 1, -1, -1]);
    expect(row(7, 0)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(row(7, 11)).toEqual([-1, 1, 1, -1, -1, -1, -1]);
  });
});
