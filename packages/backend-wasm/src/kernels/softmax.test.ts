import type { Shape } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor, ulp } from "../testing/compare.js";
import { softmaxKernels } from "./softmax.js";

const { compare, run } = await createComparison(softmaxKernels);

const float32 = (shape: Shape) => [{ shape, dtype: "float32" }] as const;

const forward = (x: HostTensor, axis: number): void => {
  const largest = Array.from(x.data).reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 1);
  // The exponential is good to 2 ulp of its argument, which is rounded; subnormal results to one of their units.
  const ulps = 4 + Math.min(largest, 100);
  compare("softmax", [x], float32(x.shape), { axis }, { ulps, absolute: 2 ** -148 });
  compare("logSoftmax", [x], float32(x.shape), { axis }, { ulps: 2, absolute: 2 * ulp(largest) });
};

const backward = (shape: Shape, axis: number): void => {
  const x = random(shape);
  const gy = random(shape, 2);
  for (const op of ["softmax", "logSoftmax"] as const) {
    const [y] = run(op, [x], float32(shape), { axis });
    const output = tensor(shape, y as Float32Array);
    const terms = shape[axis] as number;
    const absolute = 2 ** -23 * (4 + (op === "softmax" ? 2 : terms));
    compare(`${op}Grad`, [output, gy], float32(shape), { axis }, { ulps: 4, absolute });
  }
};

const cases: readonly (readonly [Shape, number])[] = [
  ...edgeSizes.flatMap((n) => [[[n], 0] as const, [[3, n], 1] as const, [[n, 3], 0] as const, [[2, 5, n], 1] as const]),
  [[2, 3, 2, 4], 1],
  [[128, 10], 1],
  [[128, 1000], 1],
  [[2, 21, 61, 67], 1],
  [[1, 30_000], 1],
];

test.each(cases)("%j along axis %d", (shape, axis) => {
  forward(random(shape), axis);
  backward(shape, axis);
});

describe("far values", () => {
  test.each([
    [1000, 1010],
    [-80, 80],
    [-1e30, 1e30],
  ])("%d to %d", (low, high) => {
    forward(random([5, 33], 1, low, high), 1);
    forward(random([33, 5], 1, low, high), 0);
  });

  test("one element outweighs the others", () => {
    const x = tensor([3], [1e30, 1e30, -1e30]);
    expect(Array.from(run("softmax", [x], float32([3]), { axis: 0 })[0] ?? [])).toEqual([0.5, 0.5, 0]);
    const small = tensor([2], [50, 20]);
    const [y] = run("logSoftmax", [small], float32([2]), { axis: 0 });
    expect(y?.[1]).toBe(-30);
  });
});

test("special values spread over their line only", () => {
  const rows = specials.flatMap((v) => [0.5, v, 1, 2, -1]);
  forward(tensor([specials.length, 5], rows), 1);
  const columns = [0.5, 1, -1].flatMap((v) => [...specials.map(() => v), ...specials]);
  forward(tensor([3, 2, specials.length], columns), 1);
  for (const value of [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
    forward(tensor([1, 6], new Array<number>(6).fill(value)), 1);
});
