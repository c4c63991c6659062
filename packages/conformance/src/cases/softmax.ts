import * as core from "@striate/core";
import type { NdArray } from "../reference/ndarray.js";
import * as reference from "../reference/reduce.js";
import { cycle, defineCases, input, integers, shapeName, typed, uniform } from "../suite.js";
import { composed } from "../tolerance.js";

interface X {
  x: unknown;
}

interface AxisAttrs {
  readonly axis: number;
}

/** The argument of exp is off by eps of the distance to the maximum, at most twice this. */
const spread = (x: NdArray): number =>
  x.data.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);

const axisShapes: readonly (readonly [readonly number[], number])[] = [
  [[1], 0],
  [[5], 0],
  [[64], 0],
  [[65], -1],
  [[4, 10], 1],
  [[4, 10], 0],
  [[7, 1], 1],
  [[2, 3, 5], 1],
  [[2, 3, 5], -1],
  [[2, 3, 2, 4], 1],
  [[2, 1, 3, 2, 2], 2],
];

const overAxis = (shape: readonly number[], axis: number): string => `${shapeName(shape)}-axis${axis}`;

const softmaxErrors = [
  { name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axis: 2 } },
  { name: "int", code: "dtype", inputs: { x: typed("int32", integers([3])) }, attrs: { axis: 0 } },
] as const;

const softmaxSamples = [
  ...axisShapes.map(([shape, axis]) => ({
    name: overAxis(shape, axis),
    inputs: { x: uniform(shape, -3, 3) },
    attrs: { axis },
  })),
  {
    name: "far-from-0",
    inputs: { x: uniform([4, 9], 1000, 1010) },
    attrs: { axis: 1 },
    kind: "special",
    dtypes: ["float32", "float64"],
  },
  { name: "wide", inputs: { x: uniform([5, 33], -80, 80) }, attrs: { axis: 1 }, kind: "special" },
  {
    name: "infinite",
    inputs: { x: cycle([3, 4], [1, Number.NEGATIVE_INFINITY, 0.5, 2]) },
    attrs: { axis: 1 },
    kind: "special",
  },
  { name: "nan", inputs: { x: cycle([2, 3], [1, Number.NaN, 2, 3, 4, 5]) }, attrs: { axis: 1 }, kind: "special" },
  { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { axis: 1 }, kind: "zero-size" },
] as const;

export const softmax = defineCases<X, AxisAttrs>({
  tolerance: composed(({ inputs, expected, epsilon }) => {
    const range = spread(inputs.x);
    return (i) => epsilon * ((16 + 2 * range) * Math.abs(expected.data[i] as number) + 1e-30);
  }),
  kernels: ["softmax", "softmaxGrad"],
  run: ({ x }, { axis }) => core.softmax(x, axis),
  reference: ({ x }, { axis }) => reference.softmax(x, axis),
  samples: softmaxSamples,
  errors: softmaxErrors,
});

export const logSoftmax = defineCases<X, AxisAttrs>({
  tolerance: composed(({ inputs, expected, epsilon }) => {
    const range = spread(inputs.x);
    return (i) => 4 * epsilon * (4 + Math.abs(expected.data[i] as number) + range);
  }),
  kernels: ["logSoftmax", "logSoftmaxGrad"],
  run: ({ x }, { axis }) => core.logSoftmax(x, axis),
  reference: ({ x }, { axis }) => reference.logSoftmax(x, axis),
  samples: softmaxSamples,
  errors: softmaxErrors,
});
