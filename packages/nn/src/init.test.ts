import { ArgumentError } from "@striate/core";
import { describe, expect, test } from "vitest";
import {
  constant,
  dirac,
  fanInUniform,
  fansOf,
  type Initialiser,
  kaimingNormal,
  kaimingUniform,
  normal,
  torchDefault,
  uniform,
  xavierNormal,
  xavierUniform,
} from "./init.js";
import { randomSource } from "./random.js";

const fill = (init: Initialiser, shape: readonly number[], seed = 1, stream = 1): Float64Array => {
  const values = new Float64Array(shape.reduce((a, b) => a * b, 1));
  init({ values, shape, ...fansOf(shape), random: randomSource(seed, stream) });
  return values;
};

const mean = (values: Float64Array): number => values.reduce((a, b) => a + b, 0) / values.length;
const std = (values: Float64Array): number => {
  const m = mean(values);
  return Math.sqrt(values.reduce((a, b) => a + (b - m) ** 2, 0) / values.length);
};

// 20,736 numbers: the standard error of the mean is 0.7% of the deviation, that of the deviation at most 0.5%.
const shape = [64, 36, 3, 3];
const fanIn = 36 * 9;
const fanOut = 64 * 9;

describe("distributions", () => {
  test.each<[string, Initialiser, number, number]>([
    ["uniform", uniform(-2, 2), 4 / Math.sqrt(12), 2],
    ["normal", normal(0, 3), 3, Number.POSITIVE_INFINITY],
    ["torchDefault", torchDefault, 1 / Math.sqrt(3 * fanIn), 1 / Math.sqrt(fanIn)],
    ["fanInUniform", fanInUniform(), 2.4 / fanIn / Math.sqrt(3), 2.4 / fanIn],
    ["kaimingUniform", kaimingUniform(), Math.sqrt(2 / fanIn), Math.sqrt(6 / fanIn)],
    [
      "kaimingNormal",
      kaimingNormal({ mode: "fanOut", nonlinearity: "relu" }),
      Math.sqrt(2 / fanOut),
      Number.POSITIVE_INFINITY,
    ],
    ["kaimingNormal tanh", kaimingNormal({ nonlinearity: "tanh" }), 5 / 3 / Math.sqrt(fanIn), Number.POSITIVE_INFINITY],
    ["xavierUniform", xavierUniform(), Math.sqrt(2 / (fanIn + fanOut)), Math.sqrt(6 / (fanIn + fanOut))],
    ["xavierNormal", xavierNormal({ gain: 2 }), 2 * Math.sqrt(2 / (fanIn + fanOut)), Number.POSITIVE_INFINITY],
  ])("%s has the deviation and bound of its formula", (_, init, deviation, bound) => {
    const values = fill(init, shape);
    expect(Math.abs(mean(values)) / deviation).toBeLessThan(0.03);
    expect(std(values) / deviation).toBeCloseTo(1, 1.5);
    const largest = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    expect(largest).toBeLessThanOrEqual(bound);
    if (Number.isFinite(bound)) expect(largest).toBeGreaterThan(0.99 * bound);
  });

  test("normal numbers have normal tails", () => {
    const values = fill(normal(1, 2), shape);
    const within = (k: number): number => values.filter((v) => Math.abs(v - 1) <= 2 * k).length / values.length;
    expect(within(1)).toBeCloseTo(0.6827, 1.5);
    expect(within(2)).toBeCloseTo(0.9545, 1.5);
    expect(within(3)).toBeCloseTo(0.9973, 2);
  });

  test("they are functions of seed, stream and the number of fills before", () => {
    expect(fill(normal(), [5])).toEqual(fill(normal(), [5]));
    expect(fill(normal(), [5], 1, 1)).not.toEqual(fill(normal(), [5], 2, 1));
    expect(fill(normal(), [5], 1, 1)).not.toEqual(fill(normal(), [5], 1, 2));
    expect(fill(normal(), [5], 1, 1)).not.toEqual(fill(normal(), [5], 1 + 2 ** 32, 1));
    const source = randomSource(1, 1);
    const twice = [new Float64Array(5), new Float64Array(5)];
    for (const values of twice) source.uniform(values, 0, 1);
    expect(twice[0]).not.toEqual(twice[1]);
    // A longer fill continues a shorter one.
    expect(fill(uniform(), [9]).subarray(0, 5)).toEqual(fill(uniform(), [5]));
  });

  test("the first numbers of stream 0 are Philox's known answer for zeros", () => {
    const words = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8];
    expect([...fill(uniform(), [4], 0, 0)]).toEqual(words.map((w) => (w >>> 8) / 2 ** 24));
  });
});

describe("fixed values", () => {
  test("constant", () => {
    expect([...fill(constant(0.5), [3])]).toEqual([0.5, 0.5, 0.5]);
  });

  test("dirac passes the first channels through and leaves the rest", () => {
    const values = fill(dirac({ rest: constant(7) }), [3, 2, 3, 3]);
    const unit = (o: number): number[] => [...values.subarray(o * 18, (o + 1) * 18)];
    const identity = (channel: number): number[] =>
      Array.from({ length: 18 }, (_, i) => (i === channel * 9 + 4 ? 1 : 0));
    expect(unit(0)).toEqual(identity(0));
    expect(unit(1)).toEqual(identity(1));
    expect(unit(2)).toEqual(new Array(18).fill(7));
    expect([...fill(dirac(), [1, 2, 2, 2])]).toEqual([0, 0, 0, 1, 0, 0, 0, 0]);
  });

  test("dirac refuses other ranks", () => {
    expect(() => fill(dirac(), [3, 2])).toThrow(ArgumentError);
    expect(() => fill(dirac(), [3, 2])).toThrow("dirac: the shape is [3, 2], expected [out, in, kh, kw]");
  });

  test("kaiming refuses an unknown nonlinearity", () => {
    expect(() => kaimingNormal({ nonlinearity: "swish" as "relu" })).toThrow('kaimingNormal: nonlinearity is "swish"');
  });
});

test.each([
  [[10, 20], 20, 10],
  [[6, 3, 5, 5], 75, 150],
  [[4], 1, 4],
])("fansOf(%j)", (shape, fanIn, fanOut) => {
  expect(fansOf(shape)).toEqual({ fanIn, fanOut });
});
