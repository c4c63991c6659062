import { expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

test("fill", () => {
  expect(run1("fill", [], [3], { value: 2.5 })).toEqual([2.5, 2.5, 2.5]);
  expect(run1("fill", [], [2], { value: 1 }, "bool")).toEqual([1, 1]);
  expect(run1("fill", [], [1], { value: Number.NaN }, "float64")).toEqual([Number.NaN]);
});

test("cast truncates towards zero, and makes booleans of what is not zero", () => {
  const x = tensor([6], [-1.75, -0, 0, 0.5, 2.75, Number.NaN]);
  expect(run1("cast", [x], [6], {}, "int32")).toEqual([-1, 0, 0, 0, 2, 0]);
  expect(run1("cast", [x], [6], {}, "bool")).toEqual([1, 0, 0, 1, 1, 1]);
  expect(run1("cast", [x], [6], {}, "float64")).toEqual([-1.75, -0, 0, 0.5, 2.75, Number.NaN]);
  expect(run1("cast", [tensor([2], [2 ** 24 + 1, -7], "int32")], [2], {})).toEqual([2 ** 24, -7]);
  expect(run1("cast", [tensor([2], [0, 255], "uint8")], [2], {}, "bool")).toEqual([0, 1]);
});
