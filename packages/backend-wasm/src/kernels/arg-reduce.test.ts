import type { DType, Shape } from "@striate/core/backend";
import { expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { argReduceKernels } from "./arg-reduce.js";

const { compare, run } = await createComparison(argReduceKernels);

const kinds = ["argmax", "argmin"] as const;
const argReduce = (x: HostTensor, axis: number): void => {
  const shape = x.shape.filter((_, i) => i !== axis);
  for (const kind of kinds) compare("argReduce", [x], [{ shape, dtype: "int32" }], { kind, axis });
};
const values = (shape: Shape, dtype: DType): HostTensor =>
  dtype === "float32"
    ? random(shape)
    : random(shape, 1, dtype === "uint8" ? 0 : -(2 ** 31), dtype === "uint8" ? 256 : 2 ** 31, dtype);

test.each(["float32", "int32", "uint8"] as const)("of %s", (dtype) => {
  for (const size of edgeSizes) {
    argReduce(values([size], dtype), 0);
    argReduce(values([3, size], dtype), 1);
    argReduce(values([5, size], dtype), 0);
    argReduce(values([2, size, 7], dtype), 1);
  }
  argReduce(values([300, 301], dtype), 1);
  argReduce(values([301, 302], dtype), 0);
});

test("ties go to the first", () => {
  const { data } = random([40, 41], 1, 0, 2, "int32");
  for (const dtype of ["float32", "int32", "uint8"] as const)
    for (const axis of [0, 1]) argReduce(tensor([40, 41], data, dtype), axis);
  argReduce(tensor([4], [0, -0, 0, -0]), 0);
  argReduce(tensor([4, 1], [-0, 0, -0, 0]), 0);
});

test("special values, the first NaN first of all", () => {
  const n = specials.length;
  for (let turn = 0; turn < n; turn++) {
    const turned = [...specials.slice(turn), ...specials.slice(0, turn), Number.NaN];
    argReduce(tensor([n + 1], turned), 0);
    argReduce(
      tensor(
        [n + 1, 2],
        turned.flatMap((v) => [v, 1]),
      ),
      0,
    );
  }
  const x = tensor(
    [3, 3],
    [1, Number.NaN, Number.NaN, Number.NaN, 9, -9, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN],
  );
  expect(
    Array.from(run("argReduce", [x], [{ shape: [3], dtype: "int32" }], { kind: "argmax", axis: 1 })[0] ?? []),
  ).toEqual([1, 0, 2]);
  for (const value of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    argReduce(tensor([5], new Array<number>(5).fill(value)), 0);
});
