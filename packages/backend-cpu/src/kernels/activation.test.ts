import type { ActivationKind } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const xs = [-30, -8, -2, -1, -0.3, 0.2, 1, 2.5, 8, 30];
const kinds: readonly (readonly [ActivationKind, number, readonly number[]])[] = [
  ["leakyRelu", 0.1, [-3, -0.8, -0.2, -0.1, -0.03, 0.2, 1, 2.5, 8, 30]],
  ["elu", 2, xs.map((x) => (x > 0 ? x : 2 * Math.expm1(x)))],
  // x · Phi(x), from Taylor series in 2400-bit arithmetic.
  [
    "gelu",
    1,
    [
      -1.472014178144456e-196, -4.976768459417427e-15, -0.04550026389635842, -0.15865525393145705, -0.1146265733433142,
      0.11585194188782061, 0.8413447460685429, 2.4844758366855597, 7.999999999999995, 30,
    ],
  ],
  ["silu", 1, xs.map((x) => x / (1 + Math.exp(-x)))],
  ["softplus", 1, xs.map((x) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0))],
];

describe.each(kinds)("%s", (kind, alpha, expected) => {
  const value = (x: readonly number[]) =>
    run1("activation", [tensor([x.length], x, "float64")], [x.length], { kind, alpha }, "float64");

  test("values", () => {
    value(xs).forEach((y, i) => {
      expect(Math.abs(y / (expected[i] as number) - 1), `at ${xs[i]}`).toBeLessThan(1e-12);
    });
    expect(run1("activation", [tensor([1], [Number.NaN])], [1], { kind, alpha })).toEqual([Number.NaN]);
  });

  test("the gradient is the slope times gy", () => {
    const x = tensor([xs.length], xs, "float64");
    const gy = tensor(
      [xs.length],
      xs.map((_, i) => i - 4),
      "float64",
    );
    const gx = run1("activationGrad", [x, gy], [xs.length], { kind, alpha }, "float64");
    const h = 1e-6;
    const above = value(xs.map((v) => v + h));
    const below = value(xs.map((v) => v - h));
    gx.forEach((g, i) => {
      const slope = ((above[i] as number) - (below[i] as number)) / (2 * h);
      expect(Math.abs(g - slope * (i - 4)), `at ${xs[i]}`).toBeLessThan(1e-7);
    });
  });
});

test("softplus does not overflow", () => {
  expect(run1("activation", [tensor([2], [1000, -1000])], [2], { kind: "softplus", alpha: 1 })).toEqual([1000, 0]);
});

test("reluGrad passes gy where x is positive or NaN", () => {
  const x = tensor([5], [-1, 0, -0, 2, Number.NaN]);
  const gy = tensor([5], [1, 2, 3, 4, 5]);
  expect(run1("reluGrad", [x, gy], [5], {})).toEqual([0, 0, 0, 4, 5]);
});

test("clamp", () => {
  const x = tensor([5], [-Infinity, -1, 0.5, 3, Number.NaN]);
  expect(run1("clamp", [x], [5], { min: -0.5, max: 2 })).toEqual([-0.5, -0.5, 0.5, 2, Number.NaN]);
  expect(run1("clamp", [x], [5], { min: 0, max: Infinity })).toEqual([0, 0, 0.5, 3, Number.NaN]);
});
