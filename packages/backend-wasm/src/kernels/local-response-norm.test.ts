import type { Attrs, Shape } from "@striate/core/backend";
import { expect, test } from "vitest";
import { createComparison, random, specials, tensor } from "../testing/compare.js";
import { localResponseNormKernels } from "./local-response-norm.js";

const { compare, run } = await createComparison(localResponseNormKernels);

const float32 = (shape: Shape) => [{ shape, dtype: "float32" }] as const;
const alexNet: Attrs<"localResponseNorm"> = { size: 5, alpha: 2e-5, beta: 0.75, k: 2 };

test.each([
  [[1, 1], alexNet],
  [[2, 7], { ...alexNet, alpha: 0.3 }],
  [[3, 4, 1], { ...alexNet, size: 3, beta: 1 }],
  [[2, 9, 5, 7], { ...alexNet, alpha: 0.5 }],
  [[2, 3, 3, 3], { size: 9, alpha: 0.1, beta: 0.5, k: 1 }],
  [[1, 6, 17], { size: 4, alpha: 1, beta: 1.3, k: 0.5 }],
  [[2, 8, 4, 4], { size: 1, alpha: 1, beta: 0.25, k: 1 }],
  [[8, 32, 27, 27], alexNet],
] as const)("%j %j", (shape, attrs) => {
  compare("localResponseNorm", [random(shape)], float32(shape), attrs, { ulps: 1 });
});

test("an even window reaches further back, as PyTorch's", () => {
  const x = tensor([1, 3, 2], [1, 1, 2, 2, 3, 3]);
  const [y] = run("localResponseNorm", [x], float32([1, 3, 2]), { size: 2, alpha: 1, beta: 1, k: 1 });
  expect(Array.from(y ?? [])).toEqual([1 / 2, 1 / 2, 2 / 6, 2 / 6, 3 / 14, 3 / 14].map(Math.fround));
});

test("special values", () => {
  const shape = [1, 4, specials.length];
  const x = tensor(shape, [0.5, 1, -2].flatMap((v) => specials.map(() => v)).concat(specials));
  for (const beta of [0.75, 1, 0.6])
    compare("localResponseNorm", [x], float32(shape), { size: 3, alpha: 0.1, beta, k: 1 }, { ulps: 1 });
});
