import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, memoryUsage, type Tensor, tensor, valueAndGrad } from "@striate/core";
import { beforeEach, describe, expect, test } from "vitest";
import { sgd } from "./sgd.js";
import { chainTransforms, clippingNorm, clippingValue, l1Penalty } from "./transforms.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const param = (values: readonly number[] | readonly number[][]): Tensor =>
  tensor(values as number[], { backend, dtype: "float64", requiresGrad: true });
const values = (t: Tensor): number[] => Array.from(t.dataSync());

describe("l1Penalty", () => {
  test("adds the gradient of strength · Σ|p|", () => {
    const [p, q] = [param([1.5, -2, 0]), param([[-3]])];
    const optimizer = sgd([p, q], { lr: 1 });
    const loss = (): Tensor => p.square().sum().add(q.square().sum());
    const { grads } = valueAndGrad(loss, [p, q]);
    const { grads: penalized } = valueAndGrad(() => loss().add(p.abs().sum().add(q.abs().sum()).mul(0.25)), [p, q]);
    expect(l1Penalty(optimizer, 0.25)(grads).map(values)).toEqual(penalized.map(values));
    expect(l1Penalty(optimizer, 0.25, { only: ({ rank }) => rank > 1 })(grads).map(values)).toEqual([
      [3, -4, 0],
      [-6.25],
    ]);
  });

  test("follows what is frozen", () => {
    const [p, q] = [param([1]), param([-1])];
    const optimizer = sgd([p, q], { lr: 0.5 });
    p.setRequiresGrad(false);
    optimizer.step(() => q.mul(0).sum(), l1Penalty(optimizer, 1)).dispose();
    expect([p, q].map(values)).toEqual([[1], [-0.5]]);
  });

  test("drives a weight that the loss does not need to 0 and keeps it there", () => {
    const p = param([0.75]);
    const optimizer = sgd([p], { lr: 0.25 });
    for (let i = 0; i < 5; i++) optimizer.step(() => p.mul(0).sum(), l1Penalty(optimizer, 1)).dispose();
    expect(values(p)).toEqual([0]);
  });

  test("refuses a bad strength", () => {
    expect(() => l1Penalty(sgd([param([1])], { lr: 1 }), -1)).toThrow("l1Penalty: strength is -1");
  });
});

describe("composition", () => {
  test("is from the first to the last, and a step frees all of it", () => {
    const p = param([30, 40]);
    const optimizer = sgd([p], { lr: 1 });
    const before = memoryUsage(backend).tensors;
    const transform = chainTransforms(clippingNorm(5), clippingValue(3.5), l1Penalty(optimizer, 0.5));
    optimizer.step(() => p.square().sum(), transform).dispose();
    // (60, 80) has norm 100: (3, 4), then (3, 3.5), then + 0.5.
    expect(values(p)).toEqual([30 - 3.5, 40 - 4].map((v) => expect.closeTo(v, 6)));
    expect(memoryUsage(backend).tensors).toBe(before);
  });

  test("of nothing is the identity", () => {
    const grads = [param([1])];
    expect(chainTransforms()(grads)).toBe(grads);
  });

  test("bad limits are refused when they are made", () => {
    expect(() => clippingNorm(-1)).toThrow("clippingNorm: maxNorm is -1");
    expect(() => clippingValue(Number.NaN)).toThrow("clippingValue: limit is NaN");
  });
});
