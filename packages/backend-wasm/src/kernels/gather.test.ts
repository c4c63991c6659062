import { type DType, IndexError, type Shape, sizeOf } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, tensor } from "../testing/compare.js";
import { randomNumbers } from "../testing/random.js";
import { gatherKernels } from "./gather.js";

const { compare, run } = await createComparison(gatherKernels);

const indicesInto = (shape: Shape, extent: number, seed = 1): HostTensor =>
  tensor(
    shape,
    randomNumbers(sizeOf(shape), seed).map((u) => Math.floor(u * extent)),
    "int32",
  );

const values = (shape: Shape, dtype: DType = "float32", seed = 2): HostTensor =>
  random(shape, seed, dtype === "uint8" ? 0 : -100, 250, dtype);

/** Both ops, with an index of shape `indexShape`. Sums of float32 are rounded once, where many terms meet. */
const both = (shape: Shape, axis: number, indexShape: Shape, dtype: DType = "float32"): void => {
  const x = values(shape, dtype);
  const index = indicesInto(indexShape, shape[axis] as number);
  compare("gather", [x, index], [{ shape: indexShape, dtype }], { axis });
  const source = values(indexShape, dtype, 3);
  const terms = indexShape[axis] as number;
  const options = dtype === "float32" && terms <= 16 ? { absolute: terms * 250 * 2 ** -20 } : {};
  compare("scatterAdd", [x, index, source], [x], { axis }, options);
};

test("any shapes", () => {
  const axis = fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 0, max: 3 }));
  const cases = fc.record({
    axes: fc.array(axis, { minLength: 1, maxLength: 4 }),
    axis: fc.nat(),
    length: fc.integer({ min: 1, max: 20 }),
    dtype: fc.constantFrom("float32", "int32", "uint8"),
  });
  fc.assert(
    fc.property(cases, ({ axes, axis, length, dtype }) => {
      const along = axis % axes.length;
      const shape = axes.map(([n, more], i) => (i === along ? n : n + more));
      both(
        shape,
        along,
        axes.map(([n], i) => (i === along ? length : n)),
        dtype,
      );
    }),
  );
});

test("edge sizes on either side of the axis", () => {
  for (const size of edgeSizes) {
    both([size], 0, [2 * size]);
    both([3, size], 0, [5, size]);
    both([size, 4], 1, [size, 40]);
    both([5, size, 3], 1, [4, 33, 3]);
  }
});

test("in tasks", () => {
  both([70_001], 0, [90_001]);
  both([50, 300], 0, [400, 300]);
  both([500, 90], 1, [500, 90]);
  both([3, 20, 900], 1, [3, 40, 900]);
  both([20_000, 10], 1, [20_000, 1]);
});

test("many terms of one sum are added in order, in more than float32", () => {
  const count = 100_000;
  const x = tensor([1], [2 ** 24]);
  const index = indicesInto([count], 1);
  const source = tensor([count], new Array(count).fill(1));
  expect(run("scatterAdd", [x, index, source], [x], { axis: 0 })[0]?.[0]).toBe(2 ** 24 + count);
  compare("scatterAdd", [x, index, random([count])], [x], { axis: 0 });
});

test("integers wrap", () => {
  const index = tensor([2], [0, 0], "int32");
  for (const [dtype, big] of [
    ["int32", 2 ** 31 - 1],
    ["uint8", 255],
  ] as const) {
    const x = tensor([1], [big], dtype);
    compare("scatterAdd", [x, index, tensor([2], [1, 3], dtype)], [x], { axis: 0 });
  }
});

describe("an index outside the axis is refused, not clamped", () => {
  const x = values([2, 3]);
  const source = values([1, 2]);

  test.each([3, -1, -(2 ** 31), 2 ** 31 - 1])("%d", (bad) => {
    const index = tensor([1, 2], [0, bad], "int32");
    const message = `index[1] (flat) is ${bad}, expected 0 to 2 on axis 1`;
    expect(() => run("gather", [x, index], [index], { axis: 1 })).toThrow(IndexError);
    expect(() => run("gather", [x, index], [source], { axis: 1 })).toThrow(`gather: ${message}`);
    expect(() => run("scatterAdd", [x, index, source], [x], { axis: 1 })).toThrow(IndexError);
    expect(() => run("scatterAdd", [x, index, source], [x], { axis: 1 })).toThrow(`scatterAdd: ${message}`);
  });

  test("the first of several is named, whichever task meets it", () => {
    const big = values([4, 60_000]);
    const { shape, data } = indicesInto([30, 60_000], 4);
    for (const at of [1_234_567, 700_001, 700_003]) data[at] = -7;
    const index = tensor(shape, data as Int32Array, "int32");
    const message = "index[700001] (flat) is -7, expected 0 to 3 on axis 0";
    expect(() => run("gather", [big, index], [{ shape, dtype: "float32" }], { axis: 0 })).toThrow(message);
    expect(() => run("scatterAdd", [big, index, values(shape)], [big], { axis: 0 })).toThrow(message);
  });
});
