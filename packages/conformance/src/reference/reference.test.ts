/** The reference itself, by worked examples and by identities. */
import { describe, expect, test } from "vitest";
import { finiteDifferences, probesOf } from "./gradient.js";
import * as reference from "./index.js";
import { type NdArray, ndarray } from "./ndarray.js";

const rows = (...lines: readonly (readonly number[])[]): NdArray =>
  ndarray([1, 1, lines.length, (lines[0] as readonly number[]).length], lines.flat());
const values = (x: NdArray): number[] => [...x.data];

const cross = rows([1, 0, 1], [0, 1, 0], [1, 0, 1]);

describe("convolution", () => {
  test("valid cross-correlation of a 5x5 image", () => {
    const image = rows([1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]);
    expect(values(reference.conv2d(image, cross, undefined))).toEqual([4, 3, 4, 2, 4, 3, 2, 3, 4]);
  });

  test("a first output of 429", () => {
    const corner = rows([18, 54, 51], [55, 121, 75], [35, 24, 204]);
    expect(values(reference.conv2d(corner, cross, undefined))).toEqual([429]);
  });

  test("ones over three channels give 27", () => {
    const ones = (...shape: number[]) => ndarray(shape, new Array(reference.sizeOf(shape)).fill(1));
    expect(values(reference.conv2d(ones(1, 3, 5, 5), ones(1, 3, 3, 3), undefined))).toEqual(new Array(9).fill(27));
  });

  test.each([
    [[1, 3, 32, 32], [20, 3, 8, 8], { stride: 2, padding: 1 }, [1, 20, 14, 14]],
    [[1, 2, 32, 32], [4, 2, 5, 5], { padding: 2 }, [1, 4, 32, 32]],
    [[1, 2, 32, 32], [4, 2, 5, 5], {}, [1, 4, 28, 28]],
    [[1, 2, 32, 32], [4, 2, 5, 5], { stride: 2 }, [1, 4, 14, 14]],
  ])("%j by %j with %j is %j", (x, w, options, shape) => {
    expect(reference.conv2d(ndarray(x), ndarray(w), undefined, options).shape).toEqual(shape);
  });

  test("the transposed convolution is the gradient of the input: full convolutions of deltas", () => {
    const first = reference.convTranspose2d(rows([1, 3], [2, 2]), rows([0.1, 0.2], [0.2, 0.4]), undefined);
    const second = reference.convTranspose2d(rows([2, 1], [1, 1]), rows([-0.3, 0.1], [0.1, 0.2]), undefined);
    const close = (x: NdArray, expected: readonly number[]): void =>
      values(x).forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 12));
    close(first, [0.1, 0.5, 0.6, 0.4, 1.6, 1.6, 0.4, 1.2, 0.8]);
    close(second, [-0.6, -0.1, 0.1, -0.1, 0.3, 0.3, 0.1, 0.3, 0.2]);
    close(
      reference.zip([first, second], (a, b) => a + b),
      [-0.5, 0.4, 0.7, 0.3, 1.9, 1.9, 0.5, 1.5, 1],
    );
  });

  test("fold2d is the adjoint of unfold2d", () => {
    const options = { kernel: [2, 3], stride: [2, 1], padding: [1, 0, 2, 1], dilation: [1, 2] } as const;
    const x = reference.build([2, 2, 5, 6], ([n = 0, c = 0, i = 0, j = 0]) => Math.sin(n + 2 * c + 3 * i + 5 * j));
    const unfolded = reference.unfold2d(x, options);
    const y = reference.map(unfolded, (value) => Math.cos(7 * value));
    const dot = (a: NdArray, b: NdArray): number =>
      values(a).reduce((sum, value, i) => sum + value * (b.data[i] as number), 0);
    expect(dot(unfolded, y)).toBeCloseTo(dot(x, reference.fold2d(y, { ...options, imageSize: [5, 6] })), 10);
  });
});

describe("pooling", () => {
  const image = rows([1, 1, 2, 4], [2, 4, 7, 8], [3, 2, 1, 0], [1, 1, 2, 4]);

  test("max pool with stride 2 and 1", () => {
    expect(values(reference.maxPool2d(image, { kernel: 2 }).y)).toEqual([4, 8, 3, 4]);
    expect(values(reference.maxPool2d(image, { kernel: 2, stride: 1 }).y)).toEqual([4, 7, 8, 4, 7, 8, 3, 2, 4]);
  });

  test("mean pool", () => {
    const x = rows([1, 1, 2, 3], [2, 4, 7, 8], [3, 2, 1, 3], [1, 2, 2, 4]);
    expect(values(reference.avgPool2d(x, { kernel: 2 }))).toEqual([2, 5, 2, 2.5]);
  });

  test("the gradient goes to the maxima", () => {
    const x = rows([9, 1, 2, 4], [2, 4, 7, 8], [3, 9, 9, 0], [1, 1, 2, 4]);
    const gradient = reference.maxPool2dGradient(x, rows([4, 12], [8, 16]), { kernel: 2 });
    expect(values(gradient)).toEqual([4, 0, 0, 0, 0, 0, 0, 12, 0, 8, 16, 0, 0, 0, 0, 0]);
  });

  test("ceil mode drops a last window that would start in the padding", () => {
    const options = { kernel: 2, stride: 3, padding: 1, ceilMode: true };
    expect(reference.maxPool2d(ndarray([1, 1, 2, 5]), options).y.shape).toEqual([1, 1, 1, 2]);
    expect(reference.maxPool2d(ndarray([1, 1, 6, 6]), { kernel: 3, stride: 2, ceilMode: true }).y.shape).toEqual([
      1, 1, 3, 3,
    ]);
  });

  test("ties and NaN go to the first", () => {
    expect(values(reference.maxPool2d(rows([5, 5], [5, 5]), { kernel: 2 }).indices)).toEqual([0]);
    const { y, indices } = reference.maxPool2d(rows([5, Number.NaN], [Number.NaN, 7]), { kernel: 2 });
    expect(values(y)).toEqual([Number.NaN]);
    expect(values(indices)).toEqual([1]);
  });
});

describe("special functions", () => {
  test.each([
    // Abramowitz and Stegun, table 7.1.
    [0, 0],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [3, 0.9999779095030014],
    [Number.POSITIVE_INFINITY, 1],
  ])("erf(%d)", (x, y) => {
    expect(Math.abs(reference.erf(x) - y)).toBeLessThanOrEqual(2 ** -52);
    expect(reference.erf(-x)).toBe(-reference.erf(x));
  });

  test("the tail of the normal distribution keeps its digits", () => {
    expect(reference.normalCdf(-10) / 7.619853024160527e-24).toBeCloseTo(1, 12);
    expect(reference.normalCdf(-40)).toBe(0);
    expect(reference.normalCdf(0)).toBe(0.5);
  });
});

describe("statistics", () => {
  test("variance keeps its digits far from 0", () => {
    expect(reference.varianceOf([1e8 + 1, 1e8 + 2, 1e8 + 3])).toBeCloseTo(2 / 3, 12);
    expect(reference.varianceOf([1, 2, 3], true)).toBe(1);
  });

  test("log-sum-exp neither overflows nor invents NaN", () => {
    expect(reference.logSumExpOf([1000, 1000])).toBeCloseTo(1000 + Math.LN2, 10);
    expect(reference.logSumExpOf([])).toBe(Number.NEGATIVE_INFINITY);
    expect(reference.logSumExpOf([Number.NEGATIVE_INFINITY, 0])).toBe(0);
  });

  test("argmax: the first of equals, NaN above all", () => {
    expect(reference.argMaxOf([1, 3, 3])).toBe(1);
    expect(reference.argMaxOf([1, Number.NaN, 3, Number.NaN])).toBe(1);
    expect(reference.argMinOf([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])).toBe(0);
  });
});

describe("finite differences", () => {
  test("agree with a derivative that is known", () => {
    const x = ndarray([3], [0.5, -1.25, 2]);
    const gy = ndarray([3], [1, 2, -3]);
    const slopes = finiteDifferences(() => reference.map(x, Math.sin), x, gy, probesOf(x, 10));
    values(x).forEach((value, i) => expect(slopes[i]).toBeCloseTo((gy.data[i] as number) * Math.cos(value), 10));
    expect(values(x)).toEqual([0.5, -1.25, 2]);
  });

  test("probes cover small arrays and span large ones", () => {
    expect(probesOf(ndarray([4]), 10)).toEqual([0, 1, 2, 3]);
    const probes = probesOf(ndarray([1000]), 11);
    expect(probes).toHaveLength(11);
    expect([probes[0], probes[10]]).toEqual([0, 999]);
  });
});
