import type { Operand, UnaryKind } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import type { WebGpuBackend } from "../index.js";
import { withAdapter, withBackend } from "../testing/adapter.js";
import { mathFor } from "./math.js";

const on = (backend: WebGpuBackend, values: readonly number[]): Operand => {
  const spec = { shape: [values.length], dtype: "float32" } as const;
  const operand = { ...spec, storage: backend.alloc(spec) };
  backend.write(operand, Float32Array.from(values));
  return operand;
};

const unary = async (backend: WebGpuBackend, kind: UnaryKind, values: readonly number[]): Promise<number[]> => {
  const [x, y] = [on(backend, values), on(backend, values)];
  backend.kernels.unary({ op: "unary", inputs: [x], outputs: [y], attrs: { kind } });
  return Array.from(await backend.read(y));
};

const binary = async (
  backend: WebGpuBackend,
  kind: "div" | "mul" | "pow" | "max",
  a: readonly number[],
  b: readonly number[],
): Promise<number[]> => {
  const [x, z, y] = [on(backend, a), on(backend, b), on(backend, a)];
  backend.kernels.binary({ op: "binary", inputs: [x, z], outputs: [y], attrs: { kind } });
  return Array.from(await backend.read(y));
};

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe("mathFor", () => {
  test("declares what is called, what that calls, and nothing else", () => {
    const source = mathFor("sigmoidOf(x)");
    for (const name of ["sigmoidOf", "expOf", "absolute", "magnitude"]) expect(source).toContain(`fn ${name}(`);
    expect(source).not.toContain("fn sinOf(");
    expect(mathFor("1.0 + x")).toBe("");
  });

  test("declares everything once", () => {
    const names = [...mathFor("powOf( tanhOf( gelu( softplus(").matchAll(/fn (\w+)\(/g)].map(([, name]) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

withAdapter("functions on the device", () => {
  test.each<[UnaryKind, readonly number[], readonly number[]]>([
    ["exp", [nan, inf, -inf, 89, -104, 0], [nan, inf, 0, inf, 0, 1]],
    ["log", [nan, inf, 0, -0, -1, 1], [nan, inf, -inf, -inf, nan, 0]],
    ["log1p", [nan, inf, -1, -2, 0], [nan, inf, -inf, nan, 0]],
    ["tanh", [nan, inf, -inf, 100, -100, 0], [nan, 1, -1, 1, -1, 0]],
    ["sqrt", [nan, inf, -1, 4], [nan, inf, nan, 2]],
    ["rsqrt", [inf, 0, -0, -1, 0.25], [0, inf, -inf, nan, 2]],
    ["erf", [nan, inf, -inf, 0], [nan, 1, -1, 0]],
    ["relu", [nan, inf, -inf, -3, 3], [nan, inf, 0, 0, 3]],
    ["sign", [nan, inf, -inf, 2 ** -149, -0], [nan, 1, -1, 1, 0]],
    ["round", [0.5, 1.5, 2.5, -0.5, 2 ** 24 + 2], [0, 2, 2, -0, 2 ** 24 + 2]],
    ["sin", [nan, inf, 0], [nan, nan, 0]],
  ])("%s of special values", async (kind, values, expected) =>
    withBackend(async (backend) => {
      expect(await unary(backend, kind, values)).toEqual(expected);
    })(),
  );

  test.each<[UnaryKind, (x: number) => number, readonly [number, number], number]>([
    ["exp", Math.exp, [-87, 88], 3],
    ["log", Math.log, [1e-6, 1e6], 3],
    ["expm1", Math.expm1, [-15, 15], 4],
    ["log1p", Math.log1p, [-0.9, 40], 4],
    ["tanh", Math.tanh, [-9, 9], 4],
    ["sqrt", Math.sqrt, [0, 1e6], 4],
  ])("%s is within a few units in the last place", async (kind, reference, [low, high], ulps) =>
    withBackend(async (backend) => {
      const values = Array.from({ length: 4001 }, (_, i) => Math.fround(low + ((high - low) * i) / 4000));
      const found = await unary(backend, kind, values);
      const worst = values.reduce((most, x, i) => {
        const want = reference(x);
        const unit = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(want), 2 ** -126))) - 23);
        return Math.max(most, Math.abs((found[i] as number) - want) / unit);
      }, 0);
      expect(worst).toBeLessThanOrEqual(ulps);
    })(),
  );

  test("division and products tell subnormal numbers from zero", async () =>
    withBackend(async (backend) => {
      expect(await binary(backend, "div", [2 ** -149, 1, 0, -1], [2 ** -149, 0, 0, 0])).toEqual([1, inf, nan, -inf]);
      expect(await binary(backend, "mul", [2 ** -149, 2 ** -149], [2 ** 127, inf])).toEqual([2 ** -22, inf]);
    })());

  test("powers of negative numbers and zero", async () =>
    withBackend(async (backend) => {
      const [bases, exponents] = [
        [-2, -2, -2, 0, 0, -inf],
        [3, 2, 0.5, -1, 0, 3],
      ];
      const found = await binary(backend, "pow", bases as number[], exponents as number[]);
      expect(found[0]).toBeCloseTo(-8, 4);
      expect(found.slice(1)).toEqual([4, nan, inf, 1, -inf]);
    })());

  test("max keeps NaN, on either side", async () =>
    withBackend(async (backend) => {
      expect(await binary(backend, "max", [nan, 1, 2, -0], [1, nan, 3, -1])).toEqual([nan, nan, 3, -0]);
    })());
});
