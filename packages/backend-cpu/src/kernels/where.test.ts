import { expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

test("where selects, and broadcasts all three operands", () => {
  const condition = tensor([2, 1], [1, 0], "bool");
  const a = tensor([1, 3], [1, 2, 3]);
  const b = tensor([1, 1], [-1]);
  expect(run1("where", [condition, a, b], [2, 3], {})).toEqual([1, 2, 3, -1, -1, -1]);
});

test("an element that was not selected does not leak", () => {
  const nan = tensor([2], [Number.NaN, Number.NaN]);
  const b = tensor([2], [1, 2]);
  expect(run1("where", [tensor([2], [0, 1], "bool"), nan, b], [2], {})).toEqual([1, Number.NaN]);
});

test("where on int32", () => {
  const [a, b] = [tensor([2], [2 ** 31 - 1, 1], "int32"), tensor([2], [0, -(2 ** 31)], "int32")];
  const y = run1("where", [tensor([2], [1, 0], "bool"), a, b], [2], {}, "int32");
  expect(y).toEqual([2 ** 31 - 1, -(2 ** 31)]);
});
