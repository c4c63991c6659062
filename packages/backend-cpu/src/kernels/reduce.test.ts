import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at, createHarness, indicesOf, integers, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const shapeAndAxes = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean()), { minLength: 1, maxLength: 5 })
  .filter((list) => list.some(([, reduced]) => reduced))
  .map((list) => ({
    shape: list.map(([n]) => n),
    axes: list.flatMap(([, reduced], axis) => (reduced ? [axis] : [])),
  }));

test("sum, max and min over any axes", () => {
  const combine = {
    sum: (list: number[]) => list.reduce((s, v) => s + v, 0),
    max: (list: number[]) => Math.max(...list),
    min: (list: number[]) => Math.min(...list),
  };
  fc.assert(
    fc.property(shapeAndAxes, fc.constantFrom("sum", "max", "min"), ({ shape, axes }, kind) => {
      const x = integers(shape, 3);
      const kept = shape.filter((_, axis) => !axes.includes(axis));
      const groups = new Map<string, number[]>();
      for (const index of indicesOf(shape)) {
        const key = index.filter((_, axis) => !axes.includes(axis)).join();
        groups.set(key, [...(groups.get(key) ?? []), at(x, index)]);
      }
      const expected = [...groups.values()].map(combine[kind]);
      expect(run1("reduce", [x], kept, { kind, axes })).toEqual(expected.map((v) => v + 0));
    }),
    { numRuns: 80 },
  );
});

describe("reduce", () => {
  test("max and min propagate NaN", () => {
    const x = tensor([2, 2], [1, Number.NaN, 2, 3]);
    for (const kind of ["max", "min"] as const) {
      expect(run1("reduce", [x], [2], { kind, axes: [1] })).toEqual([Number.NaN, kind === "max" ? 3 : 2]);
      expect(run1("reduce", [x], [2], { kind, axes: [0] })[1]).toBeNaN();
    }
  });

  test("sums in double precision, int32 wraps", () => {
    const x = tensor([4], [2 ** 24, 1, 1, 1]);
    expect(run1("reduce", [x], [], { kind: "sum", axes: [0] })).toEqual([2 ** 24 + 4]);
    const i = tensor([3], [2 ** 31 - 1, 2 ** 31 - 1, 3], "int32");
    expect(run1("reduce", [i], [], { kind: "sum", axes: [0] }, "int32")).toEqual([1]);
  });
});

describe("variance", () => {
  test("is biased", () => {
    const x = tensor([2, 3], [1, 2, 3, 4, 4, 7]);
    const [first, second] = run1("variance", [x], [2], { axes: [1] }, "float64") as [number, number];
    expect(first).toBeCloseTo(2 / 3, 14);
    expect(second).toBe(2);
    expect(run1("variance", [x], [3], { axes: [0] })).toEqual([2.25, 1, 4]);
  });

  test("keeps its precision far from zero", () => {
    const x = tensor([4], [10001, 10002, 10003, 10004]);
    expect(run1("variance", [x], [], { axes: [0] })).toEqual([1.25]);
  });
});
