import { describe, expect, test } from "vitest";
import { DataError } from "./errors.js";
import { parseIdxImages, parseIdxLabels } from "./idx.js";

const images = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 11, 12, 20, 21, 22];
const labels = [0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9];

describe("parseIdxImages", () => {
  test("reads dimensions and values", () => {
    expect(parseIdxImages(Uint8Array.from(images))).toEqual({
      images: Uint8Array.from([10, 11, 12, 20, 21, 22]),
      count: 2,
      height: 1,
      width: 3,
    });
  });

  test("reads from the middle of a buffer", () => {
    const bytes = Uint8Array.from([1, 2, 3, ...images]).subarray(3);
    expect(parseIdxImages(bytes).count).toBe(2);
  });

  test.each([
    ["nothing", []],
    ["half a header", images.slice(0, 10)],
    ["a byte missing", images.slice(0, -1)],
    ["a byte too many", [...images, 0]],
    ["the labels' magic number", [0, 0, 8, 1, ...images.slice(4)]],
    ["another dtype", [0, 0, 9, 3, ...images.slice(4)]],
    ["dimensions that overflow", [0, 0, 8, 3, ...new Array<number>(12).fill(255)]],
  ])("refuses %s", (_, bytes) => {
    expect(() => parseIdxImages(Uint8Array.from(bytes))).toThrow(DataError);
  });
});

describe("parseIdxLabels", () => {
  test("reads values", () => {
    expect(parseIdxLabels(Uint8Array.from(labels))).toEqual(Uint8Array.from([7, 0, 9]));
  });

  test("refuses images", () => {
    expect(() => parseIdxLabels(Uint8Array.from(images))).toThrow("magic number is 2051, expected 2049");
  });

  test("refuses a wrong count", () => {
    expect(() => parseIdxLabels(Uint8Array.from([...labels, 1]))).toThrow("12 bytes, expected 11");
  });
});
