import { describe, expect, test } from "vitest";
import { createHarness, integers, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const logs = tensor([2, 2], [0, Math.log(3), Math.log(7), 0], "float64");
const close = (actual: readonly number[], expected: readonly number[]) =>
  actual.forEach((v, i) => expect(v).toBeCloseTo(expected[i] as number, 14));

describe("softmax and logSoftmax", () => {
  test("along either axis", () => {
    close(run1("softmax", [logs], [2, 2], { axis: 1 }, "float64"), [1 / 4, 3 / 4, 7 / 8, 1 / 8]);
    close(run1("softmax", [logs], [2, 2], { axis: 0 }, "float64"), [1 / 8, 3 / 4, 7 / 8, 1 / 4]);
    close(run1("logSoftmax", [logs], [2, 2], { axis: 1 }, "float64"), [1 / 4, 3 / 4, 7 / 8, 1 / 8].map(Math.log));
  });

  test("do not overflow", () => {
    const x = tensor([3], [1e30, 1e30, -1e30]);
    expect(run1("softmax", [x], [3], { axis: 0 })).toEqual([0.5, 0.5, 0]);
    expect(run1("logSoftmax", [x], [3], { axis: 0 })).toEqual([-Math.LN2, -Math.LN2, -2e30].map(Math.fround));
  });

  test("a NaN spreads over its line only", () => {
    const x = tensor([2, 2], [Number.NaN, 1, 0, 0]);
    expect(run1("softmax", [x], [2, 2], { axis: 1 })).toEqual([Number.NaN, Number.NaN, 0.5, 0.5]);
  });
});

test.each(["softmax", "logSoftmax"] as const)("%sGrad is the gradient", (op) => {
  const x = integers([2, 3, 2], 1, "float64");
  const gy = integers([2, 3, 2], 2, "float64");
  const value = (data: ArrayLike<number>) =>
    run1(op, [tensor(x.shape, data, "float64")], x.shape, { axis: 1 }, "float64");
  const loss = (data: ArrayLike<number>) => value(data).reduce((sum, y, i) => sum + y * (gy.data[i] as number), 0);
  const inputs = [tensor(x.shape, value(x.data), "float64"), gy];
  const gx = run1(op === "softmax" ? "softmaxGrad" : "logSoftmaxGrad", inputs, x.shape, { axis: 1 }, "float64");
  const moved = (i: number, by: number) => Array.from(x.data, (v, j) => (i === j ? v + by : v));
  gx.forEach((g, i) => expect(g).toBeCloseTo((loss(moved(i, 1e-5)) - loss(moved(i, -1e-5))) / 2e-5, 7));
});
