import { expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();
const nan = Number.NaN;

test("argmax and argmin along each axis, ties to the first", () => {
  const x = tensor([2, 3], [1, 5, 5, 4, 0, 0]);
  expect(run1("argReduce", [x], [2], { kind: "argmax", axis: 1 }, "int32")).toEqual([1, 0]);
  expect(run1("argReduce", [x], [2], { kind: "argmin", axis: 1 }, "int32")).toEqual([0, 1]);
  expect(run1("argReduce", [x], [3], { kind: "argmax", axis: 0 }, "int32")).toEqual([1, 0, 0]);
  expect(run1("argReduce", [x], [3], { kind: "argmin", axis: 0 }, "int32")).toEqual([0, 1, 1]);
});

test("the first NaN is the extreme", () => {
  const x = tensor([3, 3], [1, nan, nan, nan, 9, -9, -Infinity, -Infinity, nan]);
  for (const kind of ["argmax", "argmin"] as const)
    expect(run1("argReduce", [x], [3], { kind, axis: 1 }, "int32")).toEqual([1, 0, 2]);
});

test("int32 to its limits", () => {
  const x = tensor([3], [0, -(2 ** 31), 2 ** 31 - 1], "int32");
  expect(run1("argReduce", [x], [], { kind: "argmin", axis: 0 }, "int32")).toEqual([1]);
  expect(run1("argReduce", [x], [], { kind: "argmax", axis: 0 }, "int32")).toEqual([2]);
});
