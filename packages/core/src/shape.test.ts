import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ShapeError } from "./errors.js";
import {
  around,
  broadcastShapes,
  broadcastStrides,
  collapseAxes,
  expectShape,
  formatShape,
  mergeAxes,
  normalizeAxes,
  normalizeAxis,
  padRank,
  reducedShape,
  rowMajorStrides,
  sameShape,
  sizeOf,
} from "./shape.js";

const settings = { seed: 1 };
const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 5 });

/** A row-major array of 0, 1, 2 … summed over `axes`, by coordinates. */
const naiveSum = (shape: readonly number[], axes: readonly number[]): number[] => {
  const kept = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const totals = new Array<number>(sizeOf(kept.map((i) => shape[i] as number))).fill(0);
  for (let flat = 0; flat < sizeOf(shape); flat++) {
    const index: number[] = [];
    for (let rest = flat, axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % (shape[axis] as number);
      rest = Math.floor(rest / (shape[axis] as number));
    }
    const to = kept.reduce((at, axis) => at * (shape[axis] as number) + (index[axis] as number), 0);
    totals[to] = (totals[to] as number) + flat;
  }
  return totals;
};

describe("collapseAxes", () => {
  test("sums to the same, and neighbours differ in kind", () => {
    const arbitrary = shapes.chain((shape) => fc.tuple(fc.constant(shape), fc.subarray(shape.map((_, i) => i))));
    fc.assert(
      fc.property(arbitrary, ([shape, axes]) => {
        const collapsed = collapseAxes(shape, axes);
        expect(naiveSum(collapsed.shape, collapsed.axes)).toEqual(naiveSum(shape, axes));
        expect(collapsed.shape).not.toContain(1);
        for (let i = 1; i < collapsed.shape.length; i++)
          expect(collapsed.axes.includes(i)).not.toBe(collapsed.axes.includes(i - 1));
      }),
      settings,
    );
  });

  test("[N, C, H, W] over all but channels", () => {
    expect(collapseAxes([2, 3, 4, 5], [0, 2, 3])).toEqual({ shape: [2, 3, 20], axes: [0, 2] });
  });
});

describe("broadcasting", () => {
  test("of a shape and a shape with ones and fewer axes is the shape, in either order", () => {
    const arbitrary = shapes.chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }),
        fc.nat(shape.length),
      ),
    );
    fc.assert(
      fc.property(arbitrary, ([shape, ones, drop]) => {
        const smaller = shape.map((n, i) => (ones[i] ? 1 : n)).slice(drop);
        expect(broadcastShapes("op", shape, smaller)).toEqual(shape);
        expect(broadcastShapes("op", smaller, shape)).toEqual(shape);
        const strides = broadcastStrides(padRank(smaller, shape.length), shape);
        strides.forEach((stride, i) => {
          if ((padRank(smaller, shape.length)[i] as number) < (shape[i] as number)) expect(stride).toBe(0);
        });
      }),
      settings,
    );
  });

  test("takes any number of shapes, and sizes 0", () => {
    expect(broadcastShapes("op")).toEqual([]);
    expect(broadcastShapes("op", [2, 1, 1], [3, 1], [4])).toEqual([2, 3, 4]);
    expect(broadcastShapes("op", [0], [1])).toEqual([0]);
  });

  test("names the op, the shapes and the sizes that meet", () => {
    expect(() => broadcastShapes("add", [2, 3], [4, 3])).toThrow(
      new ShapeError("add: shapes [2, 3] and [4, 3] do not broadcast: 4 meets 2"),
    );
    expect(() => broadcastShapes("add", [0], [2])).toThrow(ShapeError);
  });
});

describe("axes", () => {
  test("count from either end", () => {
    expect([normalizeAxis("op", 1, 3), normalizeAxis("op", -3, 3)]).toEqual([1, 0]);
    expect(normalizeAxes("op", [-1, 0], 3)).toEqual([0, 2]);
    expect(normalizeAxes("op", undefined, 2)).toEqual([0, 1]);
    expect(normalizeAxes("op", [], 2)).toEqual([]);
  });

  test.each([[3], [-4], [0.5], [Number.NaN]])("%s is none of rank 3", (axis) => {
    expect(() => normalizeAxis("op", axis, 3)).toThrow(new ShapeError(`op: axis ${axis} is out of range for rank 3`));
  });

  test("may not be named twice, by whatever name", () => {
    expect(() => normalizeAxes("sum", [0, -2], 2)).toThrow(new ShapeError("sum: axes [0, -2] name an axis twice"));
  });

  test("reducing leaves ones or nothing", () => {
    expect(reducedShape([2, 3, 4], [0, 2], false)).toEqual([3]);
    expect(reducedShape([2, 3, 4], [0, 2], true)).toEqual([1, 3, 1]);
  });
});

describe("shapes", () => {
  test.each([[[-1]], [[1.5]], [[Number.NaN]], [[2 ** 53]], [[2 ** 30, 2 ** 30]]])("%j is none", (shape) => {
    expect(() => expectShape("op", shape)).toThrow(ShapeError);
  });

  test("of rank 0 and of size 0 are legal", () => {
    expect(() => expectShape("op", [])).not.toThrow();
    expect(() => expectShape("op", [0, 3])).not.toThrow();
    expect([sizeOf([]), sizeOf([0, 3]), formatShape([]), formatShape([2, 3])]).toEqual([1, 0, "[]", "[2, 3]"]);
    expect([sameShape([2], [2]), sameShape([2], [2, 1]), sameShape([2], [3])]).toEqual([true, false, false]);
    expect(rowMajorStrides([2, 3, 4])).toEqual([12, 4, 1]);
  });
});

describe("mergeAxes", () => {
  test("joins what every array walks as one, and drops axes of size 1", () => {
    expect(
      mergeAxes(
        [2, 1, 3, 4],
        [
          [12, 5, 4, 1],
          [12, 9, 4, 1],
        ],
      ),
    ).toEqual({ shape: [24], strides: [[1], [1]] });
  });

  test("keeps an axis apart if one array jumps there", () => {
    expect(
      mergeAxes(
        [2, 3, 4],
        [
          [12, 4, 1],
          [0, 1, 0],
        ],
      ),
    ).toEqual({
      shape: [2, 3, 4],
      strides: [
        [12, 4, 1],
        [0, 1, 0],
      ],
    });
    expect(
      mergeAxes(
        [2, 3, 4],
        [
          [12, 4, 1],
          [1, 0, 0],
        ],
      ),
    ).toEqual({
      shape: [2, 12],
      strides: [
        [12, 1],
        [1, 0],
      ],
    });
  });

  test("leaves one axis of a scalar", () => {
    expect(mergeAxes([1, 1], [[1, 1]])).toEqual({ shape: [1], strides: [[0]] });
    expect(mergeAxes([], [[]])).toEqual({ shape: [1], strides: [[0]] });
  });
});

test("around splits a shape at an axis", () => {
  expect(around([2, 3, 4, 5], 1)).toEqual({ outer: 2, extent: 3, inner: 20 });
});
