import type { UnaryKind } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { unaryKernels } from "./unary.js";

const { compare } = await createComparison(unaryKernels);

const check = (kind: UnaryKind, x: HostTensor, ulps: number) => compare("unary", [x], [x], { kind }, { ulps });

/** Units in the last place of the exact result, rounded. */
const kinds: { readonly [K in UnaryKind]: number } = {
  neg: 0,
  abs: 0,
  sign: 0,
  square: 0,
  relu: 0,
  floor: 0,
  ceil: 0,
  round: 0,
  sqrt: 0,
  rsqrt: 1,
  reciprocal: 0,
  exp: 1,
  expm1: 1,
  log: 1,
  log1p: 1,
  sin: 1,
  cos: 1,
  tanh: 1,
  sigmoid: 1,
  erf: 1,
};

/** Every `step`th bit pattern of float32. */
const everyFloat = (step: number): HostTensor => {
  const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / step) }, (_, i) => i * step);
  return tensor([bits.length], new Float32Array(bits.buffer));
};
/** A prime: 997, which takes half a minute, finds nothing more. */
const STEP = 19997;

describe.each(Object.entries(kinds) as [UnaryKind, number][])("%s", (kind, ulps) => {
  test("sizes around those of vectors", () => {
    for (const size of edgeSizes) check(kind, random([size], size), ulps);
    check(kind, random([], 1), ulps);
  });

  test("special values", () => {
    check(kind, tensor([specials.length], specials), ulps);
  });

  test("floats of every magnitude, in several tasks", () => {
    check(kind, everyFloat(STEP), ulps);
  });
});

test("every float32 around the ends of exp's range", () => {
  for (const [from, to] of [
    [88.7, 88.8],
    [-88, -87],
    [-104.1, -103.8],
  ] as const) {
    const x = tensor(
      [20001],
      Array.from({ length: 20001 }, (_, i) => from + ((to - from) * i) / 20000),
    );
    check("exp", x, 1);
  }
});

test("-0 stays -0 in odd functions", () => {
  const x = tensor([1], [-0]);
  for (const kind of ["expm1", "log1p", "sin", "tanh", "erf", "round", "sqrt"] as const)
    expect(compare("unary", [x], [x], { kind }, { signedZero: false, ulps: 1 })[0]?.[0], kind).toBe(-0);
});

test.each(["neg", "abs", "sign", "square", "relu"] as const)("int32: %s", (kind) => {
  const values = [0, 1, -1, 65537, -65537, 2 ** 31 - 1, -(2 ** 31), 46341];
  check(kind, tensor([values.length], values, "int32"), 0);
  check(kind, random([65], 1, -(2 ** 20), 2 ** 20, "int32"), 0);
});
