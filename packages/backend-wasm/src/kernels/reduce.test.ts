import type { DType, Shape } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { reduceKernels } from "./reduce.js";

const { compare, run } = await createComparison(reduceKernels);

const kinds = ["sum", "max", "min"] as const;
const dtypes = ["float32", "int32", "uint8"] as const;
const values = (shape: Shape, dtype: DType, seed = 1): HostTensor =>
  dtype === "float32"
    ? random(shape, seed)
    : random(shape, seed, dtype === "uint8" ? 0 : -(2 ** 31), dtype === "uint8" ? 256 : 2 ** 31, dtype);

const keptOf = (shape: Shape, axes: readonly number[]): number[] => shape.filter((_, axis) => !axes.includes(axis));

/** Sums of float32 differ in the order of float64 additions; those in several passes are rounded in between. */
const reduce = (x: HostTensor, axes: readonly number[], list: readonly (typeof kinds)[number][] = kinds): void => {
  for (const kind of list) {
    const options = kind === "sum" && x.dtype === "float32" ? { ulps: 1, absolute: 2e-6 } : { signedZero: false };
    compare("reduce", [x], [{ shape: keptOf(x.shape, axes), dtype: x.dtype }], { kind, axes }, options);
  }
};

const shapeAndAxes = (maxLength: number, max: number) =>
  fc
    .array(fc.tuple(fc.integer({ min: 1, max }), fc.boolean()), { minLength: 1, maxLength })
    .filter((list) => list.some(([, reduced]) => reduced))
    .map((list) => ({
      shape: list.map(([n]) => n),
      axes: list.flatMap(([, reduced], axis) => (reduced ? [axis] : [])),
    }));

describe("reduce", () => {
  test("any axes", () => {
    fc.assert(
      fc.property(shapeAndAxes(4, 9), fc.constantFrom(...dtypes), ({ shape, axes }, dtype) =>
        reduce(values(shape, dtype), axes),
      ),
    );
  });

  test.each(dtypes)("of %s, in edge sizes", (dtype) => {
    for (const size of edgeSizes) {
      reduce(values([size], dtype), [0]);
      reduce(values([3, size], dtype), [1]);
      reduce(values([5, size], dtype), [0]);
      reduce(values([2, 3, size], dtype), [0, 2]);
      reduce(values([2, size, 5], dtype), [1]);
    }
  });

  test.each([
    ["all in parts", [300_007], [0]],
    ["the bias of a convolution", [16, 16, 32, 32], [0, 2, 3]],
    ["few channels, in parts of the batch", [64, 2, 64, 64], [0, 2, 3]],
    ["few channels of large images", [2, 2, 300, 301], [0, 2, 3]],
    ["the bias of a linear layer", [128, 1000], [0]],
    ["a narrow one, in parts", [40_000, 10], [0]],
    ["rows", [1500, 67], [1]],
    ["planes", [70, 33, 7, 7], [2, 3]],
    ["the axis between", [9, 65, 133], [1]],
    ["an outer axis of many", [70, 5, 3, 700], [0, 2]],
    ["more groups of axes than one pass takes", [5, 6, 7, 8, 9], [0, 2, 4]],
    ["as many, kept ones outside", [5, 6, 7, 8, 9], [1, 3]],
  ] as const)("%s", (_, shape, axes) => {
    reduce(values(shape, "float32"), axes);
  });

  test("integers in parts", () => {
    for (const dtype of ["int32", "uint8"] as const) {
      reduce(values([150_001], dtype), [0]);
      reduce(values([40_000, 3], dtype), [0]);
      reduce(values([3, 4, 3, 4, 3], dtype), [0, 2, 4]);
    }
  });

  test("special values", () => {
    const count = specials.length;
    for (const axes of [[0], [1]]) {
      const x = tensor(
        [count, 2],
        specials.flatMap((v) => [v, 3]),
      );
      reduce(x, axes);
      reduce(tensor([2, count], [...specials.map(() => 1), ...specials.filter((v) => !Number.isNaN(v)), 0]), axes, [
        "max",
        "min",
      ]);
    }
    for (let place = 0; place < 37; place++) {
      const data = new Array<number>(37).fill(-1);
      data[place] = Number.NaN;
      for (const kind of kinds)
        expect(
          run("reduce", [tensor([37], data)], [{ shape: [], dtype: "float32" }], { kind, axes: [0] })[0]?.[0],
        ).toBeNaN();
    }
    const all = (value: number): HostTensor => tensor([9], new Array<number>(9).fill(value));
    for (const value of [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]) reduce(all(value), [0]);
  });

  test("large sums lose nothing in between", () => {
    const x = tensor([6], [2 ** 30, 1, 1, 1, 1, -(2 ** 30)]);
    expect(run("reduce", [x], [{ shape: [], dtype: "float32" }], { kind: "sum", axes: [0] })[0]?.[0]).toBe(4);
  });
});

describe("variance", () => {
  const variance = (x: HostTensor, axes: readonly number[]): void => {
    compare("variance", [x], [{ shape: keptOf(x.shape, axes), dtype: x.dtype }], { axes }, { ulps: 1 });
  };
  const fits = (shape: Shape, axes: readonly number[]): boolean => {
    const [input, output] = [
      { shape, dtype: "float32" },
      { shape: keptOf(shape, axes), dtype: "float32" },
    ] as const;
    const runtime = {} as Parameters<typeof reduceKernels>[0];
    return (
      reduceKernels(runtime).variance?.supports?.({
        op: "variance",
        inputs: [input],
        outputs: [output],
        attrs: { axes },
      }) ?? true
    );
  };

  test("any axes that one pass takes; others are declined", () => {
    fc.assert(
      fc.property(
        shapeAndAxes(4, 9).filter(({ shape, axes }) => fits(shape, axes)),
        ({ shape, axes }) => variance(random(shape), axes),
      ),
    );
    expect(fits([2, 3, 2, 3, 2], [1, 3])).toBe(false);
    expect(fits([2, 3, 2, 3, 1], [1, 3])).toBe(true);
  });

  test("of many elements", () => {
    variance(random([200_001]), [0]);
    variance(random([40_000, 5]), [0]);
    variance(random([20, 3, 60, 60]), [0, 2, 3]);
    variance(random([400, 300]), [1]);
  });

  test("keeps its precision far from zero", () => {
    variance(random([3, 1000], 1, 10_000, 10_003.5), [1]);
    variance(random([1000, 3], 1, 10_000, 10_003.5), [0]);
  });

  test("special values", () => {
    variance(
      tensor(
        [specials.length, 1, 2],
        specials.flatMap((v) => [v, 1]),
      ),
      [1, 2],
    );
    variance(tensor([2, 16], new Array<number>(32).fill(3.5)), [1]);
  });
});
