import type { BinaryKind, CompareKind, DType, Shape } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { binaryKernels } from "./binary.js";

const { compare } = await createComparison(binaryKernels);

const kinds: readonly BinaryKind[] = ["add", "sub", "mul", "div", "max", "min", "pow"];
const comparisons: readonly CompareKind[] = ["eq", "ne", "lt", "le"];

const ulpsOf = (kind: BinaryKind): number => (kind === "pow" ? 1 : 0);

const check = (kind: BinaryKind, a: HostTensor, b: HostTensor, shape: Shape = a.shape) =>
  compare("binary", [a, b], [{ shape, dtype: a.dtype }], { kind }, { ulps: ulpsOf(kind) });

/** Every special value against every other. */
const crossed = (skip: (a: number, b: number) => boolean = () => false): [HostTensor, HostTensor] => {
  const pairs = specials.flatMap((a) => specials.filter((b) => !skip(a, b)).map((b) => [a, b] as const));
  const column = (k: 0 | 1) =>
    tensor(
      [pairs.length],
      pairs.map((pair) => pair[k]),
    );
  return [column(0), column(1)];
};

describe.each(kinds)("%s", (kind) => {
  test("sizes around those of vectors", () => {
    for (const size of edgeSizes) check(kind, random([size], size), random([size], size + 1));
    check(kind, random([], 1), random([], 2));
  });

  test("special values", () => {
    // pow(1, NaN) and pow(±1, ±Infinity) are unspecified.
    const skip = (a: number, b: number) => kind === "pow" && Math.abs(a) === 1 && !Number.isFinite(b);
    const [a, b] = crossed(skip);
    check(kind, a, b);
  });

  test("several tasks", () => {
    check(kind, random([140000 + 3], 1), random([140000 + 3], 2));
  });

  test.each(["left", "right"] as const)("a scalar on the %s", (side) => {
    for (const value of [3, -0.7, 0.1, 2, 0, Number.POSITIVE_INFINITY, Number.NaN]) {
      if (kind === "pow" && Number.isNaN(value)) continue;
      const values = specials.filter((x) => kind !== "pow" || Math.abs(x) !== 1);
      for (const x of [random([37], 5), tensor([values.length], values), random([1], 2)])
        compare("binaryScalar", [x], [x], { kind, value, side }, { ulps: ulpsOf(kind) });
    }
  });
});

test("pow: magnitudes, and both signs of base and exponent", () => {
  const size = 20000;
  const bases = random([size], 1, -30, 30).data.map((e, i) => (i % 3 === 0 ? -1 : 1) * 2 ** (e as number));
  const exponents = random([size], 2, -12, 12).data.map(
    (y, i) => (i % 2 === 0 ? Math.round(y as number) : y) as number,
  );
  check("pow", tensor([size], bases), tensor([size], exponents));
  // Close to 1, with large exponents: what the logarithm is wrong by is multiplied.
  const near = random([size], 3, 1 - 2 ** -10, 1 + 2 ** -10);
  check("pow", near, random([size], 4, -1e5, 1e5));
});

test("pow of small integers is exact", () => {
  const pairs = Array.from({ length: 12 }, (_, base) => Array.from({ length: 7 }, (_, e) => [base - 5, e])).flat();
  const column = (k: number) =>
    tensor(
      [pairs.length],
      pairs.map((pair) => pair[k] as number),
    );
  const [y] = check("pow", column(0), column(1));
  expect([...(y as Float32Array)]).toEqual(pairs.map(([a, e]) => (a as number) ** (e as number)));
});

test.each<DType>(["int32", "uint8"])("%s wraps", (dtype) => {
  const values =
    dtype === "int32" ? [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 65537, 123456789] : [0, 1, 2, 127, 128, 200, 255];
  const pairs = values.flatMap((a) => values.map((b) => [a, b] as const));
  const column = (k: 0 | 1) =>
    tensor(
      [pairs.length],
      pairs.map((pair) => pair[k]),
      dtype,
    );
  for (const kind of ["add", "sub", "mul", "max", "min"] as const) {
    check(kind, column(0), column(1));
    for (const value of values)
      for (const side of ["left", "right"] as const)
        compare("binaryScalar", [column(0)], [column(0)], { kind, value, side });
  }
});

const pairsOfShapes: readonly (readonly [Shape, Shape, Shape])[] = [
  [
    [5, 3],
    [1, 3],
    [5, 3],
  ],
  [
    [5, 3],
    [5, 1],
    [5, 3],
  ],
  [
    [1, 4],
    [3, 1],
    [3, 4],
  ],
  [
    [2, 3, 4],
    [1, 1, 1],
    [2, 3, 4],
  ],
  [
    [1, 1, 1],
    [2, 3, 4],
    [2, 3, 4],
  ],
  [
    [2, 3, 4, 5],
    [1, 3, 1, 1],
    [2, 3, 4, 5],
  ],
  [
    [2, 1, 3, 1],
    [1, 4, 1, 5],
    [2, 4, 3, 5],
  ],
  [
    [1, 2, 3, 2, 3],
    [2, 2, 1, 2, 1],
    [2, 2, 3, 2, 3],
  ],
  [
    [1, 1, 1],
    [1, 1, 1],
    [1, 1, 1],
  ],
  // Several tasks: of whole rows, and of parts of rows.
  [
    [7, 13, 31, 33],
    [1, 13, 1, 1],
    [7, 13, 31, 33],
  ],
  [
    [3, 70001],
    [1, 70001],
    [3, 70001],
  ],
  [
    [2, 70001],
    [2, 1],
    [2, 70001],
  ],
  [
    [30011, 3],
    [1, 3],
    [30011, 3],
  ],
];

describe("broadcasting", () => {
  test.each(pairsOfShapes)("[%s] and [%s]", (a, b, y) => {
    check("sub", random(a, 1), random(b, 2), y);
    check("sub", random(b, 1), random(a, 2), y);
    const bytes = (shape: Shape, seed: number) => random(shape, seed, 0, 256, "uint8");
    check("sub", bytes(a, 1), bytes(b, 2), y);
    compare("compare", [random(a, 1), random(b, 2)], [{ shape: y, dtype: "bool" }], { kind: "lt" });
  });

  const shapes = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 6 }), fc.boolean(), fc.boolean()), { maxLength: 5 })
    .map((axes): [Shape, Shape, Shape] => [
      axes.map(([n, full]) => (full ? n : 1)),
      axes.map(([n, full, other]) => (!full || other ? n : 1)),
      axes.map(([n]) => n),
    ]);

  test("any shapes", () => {
    fc.assert(
      fc.property(shapes, ([a, b, y]) => {
        check("sub", random(a, 1), random(b, 2), y);
      }),
      { numRuns: 40 },
    );
  });
});

describe.each(comparisons)("compare %s", (kind) => {
  const checkPair = (a: HostTensor, b: HostTensor) =>
    compare("compare", [a, b], [{ shape: a.shape, dtype: "bool" }], { kind });

  test("float32", () => {
    for (const size of edgeSizes) checkPair(random([size], 1), random([size], 2));
    checkPair(...crossed());
    checkPair(random([140003], 1), random([140003], 2));
  });

  test.each<DType>(["int32", "uint8", "bool"])("%s", (dtype) => {
    const [low, high] = dtype === "int32" ? [-3, 3] : dtype === "uint8" ? [0, 256] : [0, 2];
    for (const size of [1, 5, 18, 400])
      checkPair(random([size], 1, low, high, dtype), random([size], 2, low, high, dtype));
  });
});
