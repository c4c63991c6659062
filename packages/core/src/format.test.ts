import { describe, expect, test } from "vitest";
import { encode } from "./dtype.js";
import { formatData, formatHeader } from "./format.js";

const float = (values: number[], shape = [values.length]) =>
  formatData({ shape, dtype: "float32" }, Float32Array.from(values));

describe("formatData", () => {
  test("aligns columns and keeps four digits", () => {
    expect(float([1, -20, 0.123456, 3e-10], [2, 2])).toBe("[[    1.,   -20.],\n [0.1235,  3e-10]]");
  });

  test("shows special values", () => {
    expect(float([Number.NaN, Number.NEGATIVE_INFINITY])).toBe("[      NaN, -Infinity]");
    expect(formatData({ shape: [2], dtype: "bool" }, Uint8Array.of(1, 0))).toBe("[ true, false]");
    expect(formatData({ shape: [2], dtype: "int32" }, Int32Array.of(10, -5))).toBe("[10, -5]");
    expect(formatData({ shape: [2], dtype: "float16" }, encode("float16", [1.5, -2]))).toBe("[1.5, -2.]");
  });

  test("rank 0 is a number, no elements are empty brackets", () => {
    expect(float([2.5], [])).toBe("2.5");
    expect(float([], [0])).toBe("[]");
    expect(float([], [2, 0])).toBe("[[],\n []]");
  });

  test("a blank line parts the blocks of rank 3", () => {
    expect(float([1, 2, 3, 4], [2, 2, 1])).toBe("[[[1.],\n  [2.]],\n\n [[3.],\n  [4.]]]");
  });

  test("shortens long axes and aligns by what it shows", () => {
    const long = Float32Array.from({ length: 100 }, (_, i) => (i === 50 ? 123456 : i));
    const spec = { shape: [100], dtype: "float32" } as const;
    expect(formatData(spec, long)).toBe("[ 0.,  1.,  2., …, 97., 98., 99.]");
    expect(formatData(spec, long, { edge: 1, threshold: 2 })).toBe("[ 0., …, 99.]");
    expect(formatData({ ...spec, shape: [7] }, long.subarray(0, 7), { edge: 4 })).toBe("[0., 1., 2., 3., 4., 5., 6.]");
    expect(formatData({ ...spec, shape: [1] }, Float32Array.of(1 / 3), { precision: 2 })).toBe("[0.33]");
  });
});

test("the header names dtype, shape and backend", () => {
  expect(formatHeader({ shape: [2, 3], dtype: "int32" }, "cpu")).toBe("int32 [2, 3] on cpu");
});
