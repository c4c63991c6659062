import { createCpuBackend } from "@striate/backend-cpu";
import { mul, relu, sub, type Tensor, tensor } from "@striate/core";
import { expect, test } from "vitest";
import { checkCloser } from "./gradcheck.js";

const backend = await createCpuBackend();
const at = (value: number): Tensor => tensor([value], { backend, dtype: "float64" });

test("a kink between two points of a difference is no wrong gradient", async () => {
  // Flat at 0, and rising behind 5e-7: differences over 1e-6 see the kink, closer ones do not.
  const x = at(0);
  const kink = at(5e-7);
  const fn = (given: Tensor): Tensor => relu(sub(given, kink)).sum();
  expect(await checkCloser(fn, x, 1)).toEqual({ checked: 1, worst: 0 });
});

test("a gradient that is wrong is so at any distance", async () => {
  const x = at(3);
  const { worst, problem } = await checkCloser((given) => mul(given, given.detach()).sum(), x, 1);
  expect(worst).toBeNull();
  expect(problem).toContain("finite differences give");
});
