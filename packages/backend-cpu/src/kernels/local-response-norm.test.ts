import { expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

test("divides by the squares of neighbouring channels, alpha per element", () => {
  const x = tensor([1, 4, 1], [1, 2, 3, 4], "float64");
  const y = run1("localResponseNorm", [x], [1, 4, 1], { size: 3, alpha: 0.5, beta: 1, k: 2 }, "float64");
  expect(y).toEqual([1 / 4.5, 2 / 9, 3 / 16.5, 4 / 14.5]);
});

test("an even window reaches further back, as PyTorch's", () => {
  const x = tensor([1, 3, 2], [1, 1, 2, 2, 3, 3], "float64");
  const y = run1("localResponseNorm", [x], [1, 3, 2], { size: 2, alpha: 1, beta: 1, k: 1 }, "float64");
  expect(y).toEqual([1 / 2, 1 / 2, 2 / 6, 2 / 6, 3 / 14, 3 / 14]);
});
