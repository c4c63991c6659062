import { IndexError } from "@striate/core/backend";
import { expect, test } from "vitest";
import { counting, createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const x = counting([2, 3]);

test("gather, with an index smaller than the array", () => {
  const index = tensor([2, 2], [2, 0, 1, 1], "int32");
  expect(run1("gather", [x, index], [2, 2], { axis: 1 })).toEqual([3, 1, 5, 5]);
  expect(run1("gather", [x, tensor([1, 2], [1, 0], "int32")], [1, 2], { axis: 0 })).toEqual([4, 2]);
});

test("scatterAdd is the adjoint: what is named twice adds up", () => {
  const index = tensor([2, 2], [2, 0, 1, 1], "int32");
  const source = tensor([2, 2], [10, 20, 30, 40]);
  expect(run1("scatterAdd", [x, index, source], [2, 3], { axis: 1 })).toEqual([21, 2, 13, 4, 75, 6]);
});

test.each([3, -1, -(2 ** 31)])("index %d is refused, not clamped", (bad) => {
  const index = tensor([1, 2], [0, bad], "int32");
  const source = tensor([1, 2], [1, 1]);
  expect(() => run1("gather", [x, index], [1, 2], { axis: 1 })).toThrow(IndexError);
  expect(() => run1("scatterAdd", [x, index, source], [2, 3], { axis: 1 })).toThrow(
    `scatterAdd: index[1] (flat) is ${bad}, expected 0 to 2 on axis 1`,
  );
});
