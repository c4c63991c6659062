import * as core from "@striate/core";
import * as reference from "../reference/linear.js";
import type { NdArray } from "../reference/ndarray.js";
import { cycle, defineCases, fixed, input, integers, ramp, typed } from "../suite.js";
import { bound } from "../tolerance.js";

interface MatmulOperands {
  a: unknown;
  b: unknown;
}

interface MatmulAttrs {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
}

export const matmul = defineCases<MatmulOperands, MatmulAttrs>({
  tolerance: bound(({ a }: { a: NdArray }, { transposeA }) => a.shape.at(transposeA ? -2 : -1) ?? 1),
  run: ({ a, b }, attrs) => core.matmul(a, b, attrs),
  reference: ({ a, b }, attrs) => reference.matmul(a, b, attrs),
  samples: [
    ...(
      [
        [1, 1, 1],
        [1, 5, 1],
        [3, 4, 5],
        [4, 4, 4],
        [7, 13, 11],
        [15, 16, 17],
        [17, 3, 65],
        [63, 64, 5],
      ] as const
    ).map(([m, k, n]) => ({
      name: `${m}x${k}x${n}`,
      inputs: { a: input([m, k]), b: input([k, n]) },
      attrs: {},
    })),
    { name: "transpose-a", inputs: { a: input([5, 7]), b: input([5, 3]) }, attrs: { transposeA: true } },
    { name: "transpose-b", inputs: { a: input([7, 5]), b: input([3, 5]) }, attrs: { transposeB: true } },
    {
      name: "transpose-both",
      inputs: { a: input([5, 7]), b: input([3, 5]) },
      attrs: { transposeA: true, transposeB: true },
    },
    { name: "batch", inputs: { a: input([3, 4, 5]), b: input([3, 5, 2]) }, attrs: {} },
    { name: "batch-broadcast-a", inputs: { a: input([4, 5]), b: input([3, 5, 2]) }, attrs: {} },
    { name: "batch-broadcast-b", inputs: { a: input([3, 4, 5]), b: input([1, 5, 2]) }, attrs: {} },
    { name: "batch-broadcast-both", inputs: { a: input([2, 1, 3, 4]), b: input([3, 4, 2]) }, attrs: {} },
    {
      name: "batch-transpose",
      inputs: { a: input([2, 5, 4]), b: input([2, 3, 5]) },
      attrs: { transposeA: true, transposeB: true },
    },
    { name: "rank-5", inputs: { a: input([2, 1, 1, 3, 2]), b: input([1, 2, 2, 2, 3]) }, attrs: {} },
    {
      name: "integers",
      inputs: { a: integers([33, 65], -9, 9), b: integers([65, 17], -9, 9) },
      attrs: {},
      exact: true,
      gradient: false,
      dtypes: ["float32", "float64"],
    },
    {
      name: "cancelling",
      inputs: { a: input([4, 301]), b: cycle([301, 3], [1000, -1000, 1]) },
      attrs: {},
      kind: "special",
      dtypes: ["float32", "float64"],
    },
    {
      name: "nan",
      inputs: { a: cycle([2, 2], [1, Number.NaN, 0, 2]), b: fixed(cycle([2, 2], [1, 2, 0, 3])) },
      attrs: {},
      kind: "special",
    },
    {
      name: "infinite",
      inputs: { a: cycle([2, 2], [1, Number.POSITIVE_INFINITY, 0, 2]), b: fixed(cycle([2, 2], [1, 2, 0, 3])) },
      attrs: {},
      kind: "special",
    },
    { name: "zero-rows", inputs: { a: input([0, 3]), b: input([3, 2]) }, attrs: {}, kind: "zero-size" },
    { name: "zero-terms", inputs: { a: input([2, 0]), b: input([0, 3]) }, attrs: {}, kind: "zero-size" },
    { name: "large", inputs: { a: ramp([65537, 2]), b: ramp([2, 65]) }, attrs: {}, kind: "large", dtypes: ["float32"] },
  ],
  errors: [
    { name: "inner", code: "shape", inputs: { a: input([2, 3]), b: input([4, 2]) }, attrs: {} },
    { name: "rank", code: "shape", inputs: { a: input([3]), b: input([3, 2]) }, attrs: {} },
    { name: "batch", code: "shape", inputs: { a: input([2, 3, 4]), b: input([3, 4, 2]) }, attrs: {} },
    { name: "dtypes", code: "dtype", inputs: { a: input([2, 2]), b: typed("int32", integers([2, 2])) }, attrs: {} },
  ],
});

interface LinearOperands {
  x: unknown;
  w: unknown;
  bias?: unknown;
}

export const linear = defineCases<LinearOperands>({
  tolerance: bound(({ w }: { w: NdArray }) => (w.shape[1] as number) + 1),
  run: ({ x, w, bias }) => core.linear(x, w, bias),
  reference: ({ x, w, bias }) => reference.linear(x, w, bias),
  samples: [
    { name: "4x7-3-b", inputs: { x: input([4, 7]), w: input([3, 7]), bias: input([3]) }, attrs: {} },
    { name: "4x7-3", inputs: { x: input([4, 7]), w: input([3, 7]) }, attrs: {} },
    { name: "1x1-1-b", inputs: { x: input([1, 1]), w: input([1, 1]), bias: input([1]) }, attrs: {} },
    { name: "2x3x5-4-b", inputs: { x: input([2, 3, 5]), w: input([4, 5]), bias: input([4]) }, attrs: {} },
    { name: "16x65-17-b", inputs: { x: input([16, 65]), w: input([17, 65]), bias: input([17]) }, attrs: {} },
    {
      name: "integers",
      inputs: { x: integers([5, 33]), w: integers([7, 33]), bias: integers([7]) },
      attrs: {},
      exact: true,
      gradient: false,
    },
    {
      name: "zero-size",
      inputs: { x: input([0, 4]), w: input([3, 4]), bias: input([3]) },
      attrs: {},
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "features", code: "shape", inputs: { x: input([2, 3]), w: input([4, 5]) }, attrs: {} },
    { name: "bias", code: "shape", inputs: { x: input([2, 3]), w: input([4, 3]), bias: input([3]) }, attrs: {} },
    { name: "dtypes", code: "dtype", inputs: { x: input([2, 3]), w: typed("int32", integers([4, 3])) }, attrs: {} },
  ],
});
