import { describe, expect, test } from "vitest";
import { at, counting, createHarness, type HostTensor, indicesOf, integers, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const plain = { transposeA: false, transposeB: false };

const naive = (a: HostTensor, b: HostTensor, batches: number): number[] => {
  const [aBatches, m, k] = a.shape as [number, number, number];
  const [bBatches, , n] = b.shape as [number, number, number];
  return indicesOf([batches, m, n]).map(([batch, i, j]) => {
    let sum = 0;
    for (let d = 0; d < k; d++)
      sum +=
        at(a, [(batch as number) % aBatches, i as number, d]) * at(b, [(batch as number) % bBatches, d, j as number]);
    return sum;
  });
};

const transposed = (x: HostTensor): HostTensor => {
  const [batches, m, n] = x.shape as [number, number, number];
  const shape = [batches, n, m];
  return tensor(
    shape,
    indicesOf(shape).map(([batch, i, j]) => at(x, [batch as number, j as number, i as number])),
    x.dtype,
  );
};

describe("matmul", () => {
  test("a hand-made product", () => {
    const a = counting([1, 2, 3]);
    const b = tensor([1, 3, 2], [1, 0, 0, 1, 1, 1]);
    expect(run1("matmul", [a, b], [1, 2, 2], plain)).toEqual([4, 5, 10, 11]);
  });

  // Around the edges of tiles (2 x 4) and blocks (256).
  test.each([
    [1, 1, 1],
    [1, 7, 5],
    [3, 4, 15],
    [4, 5, 16],
    [5, 3, 17],
    [2, 257, 3],
    [259, 2, 4],
    [3, 2, 261],
  ])("%d x %d times … x %d, transposed or not", (m, k, n) => {
    const [a, b] = [integers([1, m, k], 1), integers([1, k, n], 2)];
    const expected = naive(a, b, 1);
    for (const transposeA of [false, true])
      for (const transposeB of [false, true]) {
        const inputs = [transposeA ? transposed(a) : a, transposeB ? transposed(b) : b];
        expect(run1("matmul", inputs, [1, m, n], { transposeA, transposeB })).toEqual(expected);
      }
  });

  test("one matrix serves all batch entries", () => {
    const [a, b] = [integers([3, 2, 5], 1), integers([1, 5, 3], 2)];
    expect(run1("matmul", [a, b], [3, 2, 3], plain)).toEqual(naive(a, b, 3));
    expect(run1("matmul", [transposed(b), transposed(a)], [3, 3, 2], plain)).toEqual(
      naive(transposed(b), transposed(a), 3),
    );
  });

  test("sums are rounded once", () => {
    const a = tensor([1, 1, 3], [2 ** 24, 1, 1]);
    const ones = tensor([1, 3, 1], [1, 1, 1]);
    expect(run1("matmul", [a, ones], [1, 1, 1], plain)).toEqual([2 ** 24 + 2]);
  });

  test("NaN and Infinity stay in their row and column", () => {
    const a = tensor([1, 3, 2], [Infinity, 0, 1, 2, Number.NaN, 1]);
    const b = tensor([1, 2, 3], [1, 0, 2, 0, 1, 0]);
    const { NaN: nan } = Number;
    expect(run1("matmul", [a, b], [1, 3, 3], plain)).toEqual([Infinity, nan, Infinity, 1, 2, 2, nan, nan, nan]);
  });
});
