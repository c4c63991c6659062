import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, scope, type Tensor, tensor, valueAndGrad } from "@striate/core";
import { rbf } from "@striate/models";
import { build } from "@striate/nn";
import { beforeEach, expect, test } from "vitest";
import { criteria } from "./criterion.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const values = (t: Tensor): number[] => Array.from(t.dataSync());

/** Second derivatives of the loss by each element of F6, by differences of its gradient. */
const diagonal = (f6: Tensor, loss: (f6: Tensor) => Tensor): number[] => {
  const eps = 1e-5;
  const at = (k: number, offset: number): number =>
    scope(() => {
      const moved = Float64Array.from(values(f6), (value, i) => (i === k ? value + offset : value));
      const point = tensor(moved, { backend, shape: f6.shape });
      return values(valueAndGrad(() => loss(point), [point]).grads[0] as Tensor)[k] as number;
    });
  return Array.from({ length: f6.size }, (_, k) => (at(k, eps) - at(k, -eps)) / (2 * eps));
};

// Far from all codes, near one, and between two.
test.each([[[2.5, -2, 1.5]], [[1.1, 0.9, -0.8]], [[0.1, 0.9, -0.1]]])(
  "the squared gradients of the probe tend to the second derivatives of the loss by F6, at %j",
  (point) => {
    const codes = [
      [1, 1, -1],
      [-1, 1, 1],
      [-1, -1, -1],
    ];
    const head = build(rbf(codes), { backend, seed: 0, dtype: "float64" });
    const f6 = tensor([point], { backend, dtype: "float64" });
    const labels = tensor([1], { backend, dtype: "int32" });
    const { loss, probe } = criteria.rbf;
    const expected = diagonal(f6, (x) => loss(head.forward(x), labels));
    const draws = 1500;
    const sums = [0, 0, 0];
    for (let offset = 0; offset < draws; offset++)
      scope(() => {
        const { grads } = valueAndGrad(() => probe(f6, head.forward(f6), { seed: 3, offset }), [f6]);
        values(grads[0] as Tensor).forEach((g, i) => {
          sums[i] = (sums[i] as number) + g ** 2 / draws;
        });
      });
    const scale = Math.max(...expected);
    sums.forEach((sum, i) => {
      expect(Math.abs(sum - (expected[i] as number))).toBeLessThan(0.12 * scale);
    });
  },
);
