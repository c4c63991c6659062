import type { DType, Shape } from "@striate/core/backend";
import { expect, test } from "vitest";
import { createComparison, edgeSizes, random, specials, tensor } from "../testing/compare.js";
import { whereKernels } from "./where.js";

const { compare } = await createComparison(whereKernels);

const mask = (shape: Shape, seed = 1) => random(shape, seed, 0, 2, "bool");

test.each<DType>(["float32", "int32", "uint8", "bool"])("%s", (dtype) => {
  const high = dtype === "bool" ? 2 : 200;
  for (const size of [...edgeSizes, 140003]) {
    const shape = [size];
    const [a, b] = [random(shape, 2, 0, high, dtype), random(shape, 3, 0, high, dtype)];
    compare("where", [mask(shape), a, b], [{ shape, dtype }], {});
  }
});

test("broadcasts all three operands", () => {
  const shapes: readonly (readonly [Shape, Shape, Shape, Shape])[] = [
    [
      [2, 1],
      [1, 3],
      [1, 1],
      [2, 3],
    ],
    [
      [1, 1],
      [4, 5],
      [4, 1],
      [4, 5],
    ],
    [
      [3, 4, 5],
      [1, 1, 1],
      [1, 1, 1],
      [3, 4, 5],
    ],
    [
      [2, 70001],
      [1, 1],
      [1, 70001],
      [2, 70001],
    ],
  ];
  for (const [c, a, b, y] of shapes)
    compare("where", [mask(c), random(a, 2), random(b, 3)], [{ shape: y, dtype: "float32" }], {});
});

test("what was not selected does not leak; the bits of what was are kept", () => {
  const size = specials.length;
  const a = tensor([2 * size], [...specials, ...specials.map(() => Number.NaN)]);
  const b = tensor([2 * size], [...specials.map(() => Number.NaN), ...specials]);
  const condition = tensor([2 * size], [...specials.map(() => 1), ...specials.map(() => 0)], "bool");
  const [y] = compare("where", [condition, a, b], [a], {});
  expect([...(y as Float32Array)]).toEqual([...specials, ...specials].map(Math.fround));
});
