import { describe, expect, test } from "vitest";
import { f32x4, f64x2, type V128, v128 } from "./assembler/instructions.js";
import type { FunctionBody } from "./assembler/module.js";
import {
  cosF64x2,
  erfcF64x2,
  erfF64x2,
  expF64x2,
  expm1F64x2,
  log1pF64x2,
  logF64x2,
  mapF64x2,
  powF64x2,
  sigmoidF64x2,
  sinF64x2,
  tanhF64x2,
  zipF64x2,
} from "./math.js";
import { assembleFunction } from "./testing/assemble-function.js";
import { specials } from "./testing/compare.js";
import { randomNumbers } from "./testing/random.js";

const host = { sin: Math.sin, cos: Math.cos };
const RESULT = 64;

/** A vector function of doubles, one argument at a time in both lanes: they must agree. */
const scalar = (f: (b: FunctionBody, x: V128, y: V128) => V128): ((x: number, y?: number) => number) => {
  const { memory, call } = assembleFunction(
    0,
    (b) => b.do(v128.store(RESULT, f(b, b.let(v128.load(0)), b.let(v128.load(16))))),
    host,
  );
  return (x, y = 0) => {
    [x, x, y, y].forEach((value, i) => {
      memory.setFloat64(8 * i, value, true);
    });
    call();
    const result = memory.getFloat64(RESULT, true);
    expect(memory.getFloat64(RESULT + 8, true)).toBe(result);
    return result;
  };
};

/** float32 of both signs, with exponents uniform in a range. */
const spread = (low: number, high: number): number[] =>
  randomNumbers(4000, 3).map((u, i) => Math.fround((i % 2 ? -1 : 1) * 2 ** (low + u * (high - low))));

const near = (values: readonly number[], actual: (x: number) => number, expected: (x: number) => number): void => {
  for (const x of values) {
    const [got, want] = [actual(x), expected(x)];
    if (Object.is(got, want)) continue;
    expect(Math.abs(got / want - 1), `at ${x}: ${got}, expected ${want}`).toBeLessThan(1e-10);
  }
};

const sigmoid = (x: number): number => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));
const positive = (values: readonly number[]): number[] => values.map(Math.abs);

describe("relative error below 1e-10", () => {
  const cases: readonly (readonly [
    string,
    (b: FunctionBody, x: V128) => V128,
    (x: number) => number,
    readonly number[],
  ])[] = [
    ["exp", expF64x2, Math.exp, spread(-30, 9.4)],
    ["expm1", expm1F64x2, Math.expm1, spread(-30, 8)],
    ["log", logF64x2, Math.log, positive(spread(-149, 127))],
    ["log near 1", logF64x2, Math.log, positive(spread(-0.6, 0.6))],
    ["log1p", log1pF64x2, Math.log1p, [...spread(-40, -0.01), ...positive(spread(-2, 127))]],
    ["sin", sinF64x2, Math.sin, spread(-40, 40)],
    ["cos", cosF64x2, Math.cos, spread(-40, 40)],
    ["tanh", tanhF64x2, Math.tanh, spread(-40, 10)],
    ["sigmoid", sigmoidF64x2, sigmoid, spread(-30, 9)],
  ];
  test.each(cases)("%s", (_, f, expected, values) => {
    near(values, scalar(f), expected);
  });

  test("erf and erfc", () => {
    const [erf, erfc] = [scalar(erfF64x2), scalar(erfcF64x2)];
    // From mpmath, 40 digits.
    const table = [
      [0.1, 0.1124629160182848922, 0.8875370839817151078],
      [0.49, 0.5116682611885230992, 0.4883317388114769008],
      [0.5, 0.520499877813046538, 0.479500122186953462],
      [1, 0.842700792949714869, 0.157299207050285131],
      [2.5, 0.9995930479825550411, 4.069520174449589396e-4],
      [5, 0.9999999999984625402, 1.53745979442803485e-12],
      [10, 1, 2.088487583762544757e-45],
    ] as const;
    for (const [x, y, complement] of table) {
      expect(Math.abs(erf(x) / y - 1), `erf(${x})`).toBeLessThan(1e-10);
      expect(erf(-x)).toBe(-erf(x));
      expect(Math.abs(erfc(x) / complement - 1), `erfc(${x})`).toBeLessThan(1e-10);
    }
    expect(erfc(Number.POSITIVE_INFINITY)).toBe(0);
    expect(erf(Number.NEGATIVE_INFINITY)).toBe(-1);
  });

  test("pow", () => {
    const pow = scalar(powF64x2);
    const exponents = spread(-5, 5);
    spread(-3, 3).forEach((x, i) => {
      const y = exponents[i] as number;
      near(
        [Math.abs(x)],
        (base) => pow(base, y),
        (base) => base ** y,
      );
      near(
        [x],
        (base) => pow(base, Math.round(y)),
        (base) => base ** Math.round(y),
      );
      expect(pow(-Math.abs(x), Math.floor(y) + 0.5)).toBe(Number.NaN);
    });
  });
});

test("special values, and those that no float32 would come out of", () => {
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  const exp = scalar(expF64x2);
  expect([-inf, -1e300, -0, 0, 1e300, inf, nan].map((x) => exp(x))).toEqual([0, 0, 1, 1, inf, inf, nan]);
  const log = scalar(logF64x2);
  expect([-inf, -1, -0, 0, 1, inf, nan].map((x) => log(x))).toEqual([nan, nan, -inf, -inf, 0, inf, nan]);
  const log1p = scalar(log1pF64x2);
  expect([-2, -1, -0, 0, inf, nan].map((x) => log1p(x))).toEqual([nan, -inf, -0, 0, inf, nan]);
  const [sin, cos] = [scalar(sinF64x2), scalar(cosF64x2)];
  expect([-0, inf, -inf, nan].map((x) => sin(x))).toEqual([-0, nan, nan, nan]);
  expect([-0, inf, -inf, nan].map((x) => cos(x))).toEqual([1, nan, nan, nan]);
  expect([-0, inf, -inf, nan].map((x) => scalar(tanhF64x2)(x))).toEqual([-0, 1, -1, nan]);
  expect([0, inf, -inf, nan].map((x) => scalar(sigmoidF64x2)(x))).toEqual([0.5, 1, 0, nan]);
  expect(scalar(expm1F64x2)(-0)).toBe(-0);
  expect(scalar(erfF64x2)(-0)).toBe(-0);
});

test("pow's special values are JavaScript's", () => {
  const pow = scalar(powF64x2);
  const values = [...specials.map(Math.fround), 2, -2, 3, -3, 0.25, 7.5];
  for (const x of values)
    for (const y of values) {
      const [got, want] = [pow(x, y), x ** y];
      // Results beyond float32's range are right once they are rounded.
      const [g, w] = [Math.fround(got), Math.fround(want)];
      if (!Object.is(g, w)) expect(Math.abs(g / w - 1), `${x} ** ${y}: ${got}, expected ${want}`).toBeLessThan(2e-7);
    }
});

test("mapF64x2 and zipF64x2 take each lane to its place", () => {
  const { memory, call } = assembleFunction(0, (b) => {
    const [x, y] = [b.let(v128.load(0)), b.let(v128.load(16))];
    b.do(
      v128.store(
        32,
        mapF64x2(b, x, (v) => f64x2.mul(v, v)),
      ),
    );
    b.do(
      v128.store(
        48,
        zipF64x2(b, [x, f32x4.neg(y)], ([p, q]) => f64x2.sub(p as V128, q as V128)),
      ),
    );
  });
  const floats = new Float32Array(memory.buffer);
  floats.set([1, 2, 3, 4, 10, 20, 30, 40]);
  call();
  expect([...floats.slice(8, 16)]).toEqual([1, 4, 9, 16, 11, 22, 33, 44]);
});
