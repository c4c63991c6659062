import { describe, expect, test } from "vitest";
import { compareOutputs, tolerance } from "./agreement.js";

const outputs = (values: Readonly<Record<string, readonly number[]>>): Map<string, Float32Array> =>
  new Map(Object.entries(values).map(([name, data]) => [name, Float32Array.from(data)]));

const nothing = new Map<string, { data: Float32Array }>();

describe("compareOutputs", () => {
  test("names the output that differs the most, relative to its size", () => {
    const reference = outputs({ a: [100, -100], b: [1, -1] });
    const found = outputs({ a: [101, -100], b: [1.5, -1.5] });
    const { output, error } = compareOutputs(reference, found, nothing);
    expect(output).toBe("b");
    expect(error).toBeCloseTo(0.5);
  });

  test("equal outputs have no error, zeros included", () => {
    expect(compareOutputs(outputs({ y: [0, 0] }), outputs({ y: [0, 0] }), nothing)).toEqual({ output: "y", error: 0 });
  });

  test("a parameter counts by its update, not by its value", () => {
    const origin = new Map([["w", { data: Float32Array.of(1) }]]);
    const { error } = compareOutputs(outputs({ w: [1.25] }), outputs({ w: [1.375] }), origin);
    expect(error).toBeCloseTo(0.5);
  });

  test("an update without size, as of a bias behind a batch norm, may differ by rounding", () => {
    const origin = new Map(["w", "b"].map((name) => [name, { data: Float32Array.of(0) }]));
    const reference = outputs({ w: [1e-2], b: [1e-9] });
    expect(compareOutputs(reference, outputs({ w: [1e-2], b: [-1e-9] }), origin).error).toBeLessThan(tolerance);
    expect(compareOutputs(reference, outputs({ w: [1e-2], b: [1e-4] }), origin).error).toBeGreaterThan(tolerance);
  });

  test("a missing output, one too many, and one of another size are infinitely wrong", () => {
    const one = outputs({ y: [1] });
    for (const other of [outputs({}), outputs({ y: [1], z: [1] }), outputs({ y: [1, 1] })])
      expect(compareOutputs(one, other, nothing).error).toBe(Number.POSITIVE_INFINITY);
    expect(compareOutputs(outputs({}), outputs({}), nothing).error).toBe(Number.POSITIVE_INFINITY);
  });

  test("a NaN is an error, whoever has it", () => {
    const [good, bad] = [outputs({ x: [1], y: [1] }), outputs({ x: [1], y: [Number.NaN] })];
    expect(compareOutputs(good, bad, nothing)).toEqual({ output: "y", error: Number.NaN });
    expect(compareOutputs(bad, good, nothing)).toEqual({ output: "y", error: Number.NaN });
  });
});
