import type { UnaryKind } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const cases: { readonly [K in UnaryKind]: readonly (readonly [number, number])[] } = {
  neg: [
    [1.5, -1.5],
    [-inf, inf],
  ],
  abs: [
    [-1.5, 1.5],
    [-0, 0],
    [-inf, inf],
  ],
  sign: [
    [-3, -1],
    [0, 0],
    [-0, 0],
    [1e-40, 1],
    [inf, 1],
  ],
  square: [
    [-1.5, 2.25],
    [inf, inf],
  ],
  relu: [
    [-1, 0],
    [0, 0],
    [2.5, 2.5],
    [inf, inf],
    [-inf, 0],
  ],
  floor: [
    [-1.5, -2],
    [1.5, 1],
  ],
  ceil: [
    [-1.5, -1],
    [1.5, 2],
  ],
  round: [
    [0.5, 0],
    [1.5, 2],
    [2.5, 2],
    [-0.5, -0],
    [-1.5, -2],
    [0.49999997, 0],
    [8388609, 8388609],
    [-inf, -inf],
  ],
  sqrt: [
    [2.25, 1.5],
    [-1, nan],
    [inf, inf],
  ],
  rsqrt: [
    [4, 0.5],
    [0, inf],
    [inf, 0],
  ],
  reciprocal: [
    [-4, -0.25],
    [-0, -inf],
  ],
  exp: [
    [0, 1],
    [1, Math.E],
    [-inf, 0],
    [1000, inf],
  ],
  expm1: [
    [0, 0],
    [1e-10, 1e-10],
    [-inf, -1],
  ],
  log: [
    [1, 0],
    [0, -inf],
    [-1, nan],
  ],
  log1p: [
    [0, 0],
    [1e-10, 1e-10],
    [-1, -inf],
  ],
  sin: [
    [0, 0],
    [Math.fround(Math.PI / 2), 1],
    [inf, nan],
  ],
  cos: [
    [0, 1],
    [inf, nan],
  ],
  tanh: [
    [0, 0],
    [100, 1],
    [-inf, -1],
    [0.5, 0.46211715726000975],
  ],
  sigmoid: [
    [0, 0.5],
    [-1000, 0],
    [1000, 1],
    [-inf, 0],
    [-100, Math.exp(-100)],
  ],
  erf: [
    [0, 0],
    [1, 0.8427007929497149],
    [-inf, -1],
  ],
};

describe.each(Object.entries(cases) as [UnaryKind, [number, number][]][])("%s", (kind, pairs) => {
  const inputs = [...pairs.map(([x]) => x), nan];
  const expected = [...pairs.map(([, y]) => y), nan];
  const shape = [inputs.length];

  test("float32: the value rounded once, NaN propagates", () => {
    expect(run1("unary", [tensor(shape, inputs)], shape, { kind })).toEqual(expected.map(Math.fround));
  });

  test("float64", () => {
    const actual = run1("unary", [tensor(shape, inputs, "float64")], shape, { kind }, "float64");
    actual.forEach((y, i) => {
      const e = expected[i] as number;
      if (Number.isFinite(e)) expect(Math.abs(y - e)).toBeLessThanOrEqual(1e-15 * Math.max(1, Math.abs(e)));
      else expect(y).toBe(e);
    });
  });
});

test("int32: neg, abs, sign, square and relu, wrapping", () => {
  const x = tensor([4], [-3, 0, 65537, -(2 ** 31)], "int32");
  const run = (kind: UnaryKind) => run1("unary", [x], [4], { kind }, "int32").map((v) => v + 0);
  expect(run("neg")).toEqual([3, 0, -65537, -(2 ** 31)]);
  expect(run("abs")).toEqual([3, 0, 65537, -(2 ** 31)]);
  expect(run("sign")).toEqual([-1, 0, 1, -1]);
  expect(run("square")).toEqual([9, 0, 131073, 0]);
  expect(run("relu")).toEqual([0, 0, 65537, 0]);
});

test("float64: sigmoid does not lose its lower tail", () => {
  const [y] = run1("unary", [tensor([1], [-720], "float64")], [1], { kind: "sigmoid" }, "float64");
  expect(y).toBe(Math.exp(-720));
});
