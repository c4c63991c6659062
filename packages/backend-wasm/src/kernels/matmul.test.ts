import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, integers, random } from "../testing/compare.js";
import { matmulKernels } from "./matmul.js";

const { compare, run } = await createComparison(matmulKernels);

interface Problem {
  readonly batch: number;
  readonly aBatch: number;
  readonly bBatch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const matmul = ({ batch, aBatch, bBatch, m, n, k, transposeA, transposeB }: Problem) => {
  const a = integers(transposeA ? [aBatch, k, m] : [aBatch, m, k], 1);
  const b = integers(transposeB ? [bBatch, n, k] : [bBatch, k, n], 2);
  return compare("matmul", [a, b], [{ shape: [batch, m, n], dtype: "float32" }], { transposeA, transposeB });
};

const sizes = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(31, 63, 64, 65, 127, 129));

test("integers give the exact product, whatever the sizes and layouts", () => {
  fc.assert(
    fc.property(
      fc.record({
        batch: fc.integer({ min: 1, max: 3 }),
        m: sizes,
        n: sizes,
        k: sizes,
        broadcastA: fc.boolean(),
        broadcastB: fc.boolean(),
        transposeA: fc.boolean(),
        transposeB: fc.boolean(),
      }),
      ({ broadcastA, broadcastB, batch, ...rest }) => {
        matmul({ ...rest, batch, aBatch: broadcastA ? 1 : batch, bBatch: broadcastB ? 1 : batch });
      },
    ),
    { numRuns: 60 },
  );
});

describe("blocks", () => {
  test.each([
    [130, 140, 512],
    [130, 140, 513],
    [5, 7, 1500],
    [257, 9, 1025],
    [4, 1030, 40],
  ])("%d x %d over %d, past the end of one", (m, n, k) => {
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        matmul({ batch: 1, aBatch: 1, bBatch: 1, m, n, k, transposeA, transposeB });
  });
});

test("rounding stays within the bound of a sum in float32", () => {
  const [m, n, k] = [33, 34, 1200];
  const options = { absolute: (2 * Math.sqrt(k) + 4) * 2 ** -24 * k };
  compare(
    "matmul",
    [random([1, m, k], 1), random([1, k, n], 2)],
    [{ shape: [1, m, n], dtype: "float32" }],
    { transposeA: false, transposeB: false },
    options,
  );
});

test("NaN and Infinity stay in their rows and columns", () => {
  const a = integers([1, 6, 9], 1);
  const b = integers([1, 9, 10], 2);
  a.data[9 * 2 + 3] = Number.NaN;
  b.data[10 * 4 + 7] = Number.POSITIVE_INFINITY;
  const [y] = run("matmul", [a, b], [{ shape: [1, 6, 10], dtype: "float32" }], {
    transposeA: false,
    transposeB: false,
  });
  Array.from(y as Float32Array).forEach((value, i) => {
    const special = Math.floor(i / 10) === 2 || i % 10 === 7;
    if (!special) expect(Number.isFinite(value)).toBe(true);
  });
});
