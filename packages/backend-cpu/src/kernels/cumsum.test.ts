import { expect, test } from "vitest";
import { counting, createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

test("cumsum along each axis", () => {
  expect(run1("cumsum", [counting([2, 3])], [2, 3], { axis: 1 })).toEqual([1, 3, 6, 4, 9, 15]);
  expect(run1("cumsum", [counting([2, 3])], [2, 3], { axis: 0 })).toEqual([1, 2, 3, 5, 7, 9]);
});

test("the running sum is not rounded in between", () => {
  expect(run1("cumsum", [tensor([3], [2 ** 24, 1, 1])], [3], { axis: 0 })).toEqual([2 ** 24, 2 ** 24, 2 ** 24 + 2]);
});
