import type { Tensor } from "@striate/core";
import * as core from "@striate/core";
import { type NdArray, resolveAxes } from "../reference/ndarray.js";
import * as reference from "../reference/reduce.js";
import {
  beyondDispatch,
  cycle,
  defineCases,
  distinct,
  fixed,
  type InputSpec,
  input,
  integers,
  mask,
  type OpCases,
  ramp,
  shapeName,
  typed,
  uniform,
} from "../suite.js";
import { bound, boundBy, composed, exact, type Tolerance } from "../tolerance.js";

interface X {
  x: unknown;
}

interface ReduceAttrs {
  readonly axes?: number | readonly number[];
  readonly keepDims?: boolean;
}

const options = ({ keepDims }: ReduceAttrs): { keepDims?: boolean } => (keepDims === undefined ? {} : { keepDims });

const shapes: readonly (readonly [readonly number[], ReduceAttrs])[] = [
  [[], {}],
  [[1], {}],
  [[5], {}],
  [[64], { axes: 0 }],
  [[65], { axes: -1, keepDims: true }],
  [[1031], {}],
  [[4, 7], { axes: 0 }],
  [[4, 7], { axes: 1, keepDims: true }],
  [[4, 7], { axes: [0, 1] }],
  [[3, 1], { axes: 1 }],
  [[2, 3, 5], { axes: [0, 2] }],
  [[2, 3, 5], { axes: 1, keepDims: true }],
  [[2, 3, 4, 5], { axes: [0, 2, 3] }],
  [[2, 3, 4, 5], { axes: [1, -1], keepDims: true }],
  [[1, 2, 3, 2, 3], { axes: [1, 3] }],
];

const nameOf = (shape: readonly number[], { axes, keepDims }: ReduceAttrs): string =>
  `${shapeName(shape)}-${axes === undefined ? "all" : `axes${[axes].flat().join(".")}`}${keepDims ? "-keep" : ""}`;

/** Elements that fall together. */
const terms = ({ x }: { x: NdArray }, { axes }: ReduceAttrs): number =>
  resolveAxes(axes, x.shape.length).reduce((product, axis) => product * (x.shape[axis] as number), 1);

const axisErrors = [
  { name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axes: 2 } },
  { name: "repeated-axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axes: [0, 0] } },
  { name: "bool", code: "dtype", inputs: { x: mask([2, 3]) }, attrs: {} },
] as const;

interface ReduceDefinition {
  readonly tolerance: Tolerance<{ x: NdArray }, ReduceAttrs>;
  readonly kernels?: readonly ["variance"];
  readonly int32?: boolean;
  /** Over no elements: a value, or refused. */
  readonly empty: "value" | "refused";
  readonly generator?: (shape: readonly number[]) => InputSpec;
  readonly integersAreExact?: boolean;
  readonly large?: boolean;
  run(x: Tensor, attrs: ReduceAttrs): Tensor;
  f(values: readonly number[]): number;
}

const reduceCases = (definition: ReduceDefinition): OpCases => {
  const { generator = input, empty, int32 = false, large = false, f } = definition;
  return defineCases<X, ReduceAttrs>({
    tolerance: definition.tolerance,
    ...(definition.kernels && { kernels: definition.kernels }),
    run: ({ x }, attrs) => definition.run(x, attrs),
    reference: ({ x }, attrs) => reference.reduce(x, attrs, f),
    samples: [
      ...shapes.map(([shape, attrs]) => ({ name: nameOf(shape, attrs), inputs: { x: generator(shape) }, attrs })),
      { name: "zero-size-kept", inputs: { x: input([0, 3]) }, attrs: { axes: 1 }, kind: "zero-size" },
      ...(empty === "value"
        ? ([{ name: "over-nothing", inputs: { x: input([2, 0]) }, attrs: { axes: 1 }, kind: "zero-size" }] as const)
        : []),
      { name: "nan", inputs: { x: cycle([4, 3], [1, 2, Number.NaN, 4, 5, 6]) }, attrs: { axes: 1 }, kind: "special" },
      {
        name: "nan-first",
        inputs: { x: cycle([2, 3], [Number.NaN, 5, 1, -1, -2, -3]) },
        attrs: { axes: 1 },
        kind: "special",
      },
      {
        name: "infinite",
        inputs: { x: cycle([3, 4], [1, Number.POSITIVE_INFINITY, 0.5, 2]) },
        attrs: { axes: 1 },
        kind: "special",
      },
      { name: "all-negative", inputs: { x: uniform([5, 9], -4, -1) }, attrs: { axes: 1 }, kind: "special" },
      ...(int32
        ? ([
            {
              name: "int",
              inputs: { x: fixed(integers([4, 19], -99, 99)) },
              attrs: { axes: 1 },
              dtypes: ["int32"],
              gradient: false,
            },
          ] as const)
        : []),
      ...(definition.integersAreExact
        ? ([
            {
              name: "integers",
              inputs: { x: integers([3, 257], -64, 64) },
              attrs: { axes: 1 },
              exact: true,
              dtypes: ["float32", "float64"],
              gradient: false,
            },
          ] as const)
        : []),
      ...(large
        ? ([
            {
              name: "large-kept",
              inputs: { x: ramp([beyondDispatch, 1]) },
              attrs: { axes: 1 },
              kind: "large",
              dtypes: ["float32"],
            },
            {
              name: "large-reduced",
              inputs: { x: ramp([1, beyondDispatch]) },
              attrs: { axes: 1 },
              kind: "large",
              dtypes: ["float32"],
            },
          ] as const)
        : []),
    ],
    errors: [
      ...axisErrors,
      ...(empty === "refused"
        ? ([{ name: "over-nothing", code: "shape", inputs: { x: input([2, 0]) }, attrs: { axes: 1 } }] as const)
        : []),
    ],
  });
};

export const sum = reduceCases({
  tolerance: bound(terms),
  int32: true,
  empty: "value",
  integersAreExact: true,
  large: true,
  run: (x, attrs) => core.sum(x, attrs.axes, options(attrs)),
  f: reference.total,
});

export const mean = reduceCases({
  tolerance: bound(terms),
  empty: "value",
  run: (x, attrs) => core.mean(x, attrs.axes, options(attrs)),
  f: reference.average,
});

export const max = reduceCases({
  tolerance: exact,
  int32: true,
  empty: "refused",
  generator: distinct,
  run: (x, attrs) => core.max(x, attrs.axes, options(attrs)),
  f: reference.maximumOf,
});

export const min = reduceCases({
  tolerance: exact,
  int32: true,
  empty: "refused",
  generator: distinct,
  run: (x, attrs) => core.min(x, attrs.axes, options(attrs)),
  f: reference.minimumOf,
});

export const logSumExp = reduceCases({
  tolerance: composed(({ inputs, expected, epsilon }) => {
    const range = inputs.x.data.reduce(
      (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
      0,
    );
    return (i) => 4 * epsilon * (4 + Math.abs(expected.data[i] as number) + range);
  }),
  empty: "value",
  run: (x, attrs) => core.logSumExp(x, attrs.axes, options(attrs)),
  f: reference.logSumExpOf,
});

interface VarianceAttrs extends ReduceAttrs {
  readonly unbiased?: boolean;
}

/** Two passes: the mean's own error eps·max|x| enters squared. */
const varianceTolerance = boundBy<{ x: NdArray }, VarianceAttrs>(terms, ({ inputs, expected, epsilon }) => {
  const most = inputs.x.data.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0);
  return (i) => Math.abs(expected.data[i] as number) + epsilon * most * most;
});

export const variance = defineCases<X, VarianceAttrs>({
  tolerance: varianceTolerance,
  kernels: ["variance"],
  run: ({ x }, attrs) =>
    core.variance(x, attrs.axes, {
      ...options(attrs),
      ...(attrs.unbiased === undefined ? {} : { unbiased: attrs.unbiased }),
    }),
  reference: ({ x }, attrs) => reference.reduce(x, attrs, (values) => reference.varianceOf(values, attrs.unbiased)),
  samples: [
    ...shapes.map(([shape, attrs]) => ({ name: nameOf(shape, attrs), inputs: { x: input(shape) }, attrs })),
    { name: "unbiased", inputs: { x: input([4, 9]) }, attrs: { axes: 1, unbiased: true } },
    { name: "unbiased-all", inputs: { x: input([2, 3, 4]) }, attrs: { unbiased: true, keepDims: true } },
    // mean/std = 1e4: E[x²] - E[x]² has no correct digit left, two passes keep 1e-5.
    {
      name: "far-from-0",
      inputs: { x: uniform([3, 100], 10000, 10003.5) },
      attrs: { axes: 1 },
      kind: "special",
      dtypes: ["float32", "float64"],
    },
    { name: "constant", inputs: { x: cycle([2, 16], [3.5]) }, attrs: { axes: 1 }, kind: "special" },
    { name: "nan", inputs: { x: cycle([2, 3], [1, 2, Number.NaN, 4, 5, 6]) }, attrs: { axes: 1 }, kind: "special" },
    { name: "zero-size-kept", inputs: { x: input([0, 3]) }, attrs: { axes: 1 }, kind: "zero-size" },
    { name: "over-nothing", inputs: { x: input([2, 0]) }, attrs: { axes: 1 }, kind: "zero-size" },
  ],
  errors: [...axisErrors, { name: "int", code: "dtype", inputs: { x: typed("int32", integers([4])) }, attrs: {} }],
});

interface ArgAttrs {
  readonly axis?: number;
  readonly keepDims?: boolean;
}

const argShapes: readonly (readonly [readonly number[], ArgAttrs])[] = [
  [[1], { axis: 0 }],
  [[5], {}],
  [[65], { axis: -1 }],
  [[4, 7], { axis: 0 }],
  [[4, 7], { axis: 1, keepDims: true }],
  [[4, 7], {}],
  [[2, 3, 5], { axis: 1 }],
  [[2, 3, 4, 5], { axis: -2 }],
  [[1, 2, 3, 2, 3], { axis: 2 }],
];

const argCases = (name: "argmax" | "argmin", f: (values: readonly number[]) => number): OpCases =>
  defineCases<X, ArgAttrs>({
    tolerance: exact,
    differentiable: false,
    run: ({ x }, { axis, ...rest }) => core[name](x, axis, rest),
    reference: ({ x }, { axis, keepDims }) =>
      reference.reduce(
        x,
        { ...(axis === undefined ? {} : { axes: axis }), ...(keepDims === undefined ? {} : { keepDims }) },
        f,
      ),
    samples: [
      ...argShapes.map(([shape, attrs]) => ({
        name: nameOf(shape, attrs.axis === undefined ? {} : { axes: attrs.axis, ...options(attrs) }),
        inputs: { x: distinct(shape) },
        attrs,
      })),
      { name: "ties", inputs: { x: integers([6, 11], 0, 2) }, attrs: { axis: 1 }, kind: "special" },
      { name: "ties-strided", inputs: { x: integers([11, 6], 0, 2) }, attrs: { axis: 0 }, kind: "special" },
      {
        name: "nan",
        inputs: { x: cycle([3, 4], [1, Number.NaN, 9, Number.NaN, -5, 2]) },
        attrs: { axis: 1 },
        kind: "special",
      },
      {
        name: "infinite",
        inputs: { x: cycle([2, 4], [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY]) },
        attrs: { axis: 1 },
        kind: "special",
      },
      {
        name: "all-infinite",
        inputs: { x: cycle([4], [name === "argmax" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY]) },
        attrs: { axis: 0 },
        kind: "special",
      },
      { name: "int", inputs: { x: integers([4, 9], -3, 3) }, attrs: { axis: 1 }, dtypes: ["int32"] },
      { name: "zero-size-kept", inputs: { x: input([0, 3]) }, attrs: { axis: 1 }, kind: "zero-size" },
    ],
    errors: [
      { name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axis: -3 } },
      { name: "over-nothing", code: "shape", inputs: { x: input([2, 0]) }, attrs: { axis: 1 } },
    ],
  });

export const argmax = argCases("argmax", reference.argMaxOf);
export const argmin = argCases("argmin", reference.argMinOf);

interface AxisAttrs {
  readonly axis: number;
}

export const cumsum = defineCases<X, AxisAttrs>({
  tolerance: bound(({ x }, { axis }) => x.shape.at(axis) ?? 1),
  kernels: ["cumsum"],
  run: ({ x }, { axis }) => core.cumsum(x, axis),
  reference: ({ x }, { axis }) => reference.cumsum(x, axis),
  samples: [
    ...(
      [
        [[1], 0],
        [[17], 0],
        [[65], -1],
        [[4, 7], 0],
        [[4, 7], 1],
        [[2, 3, 5], 1],
        [[2, 1, 3, 4], -2],
        [[1, 2, 3, 2, 3], 2],
      ] as const
    ).map(([shape, axis]) => ({
      name: `${shapeName(shape)}-axis${axis}`,
      inputs: { x: input(shape) },
      attrs: { axis },
    })),
    { name: "integers", inputs: { x: integers([3, 65]) }, attrs: { axis: 1 }, exact: true, gradient: false },
    { name: "nan", inputs: { x: cycle([2, 3], [1, Number.NaN, 2, 3, 4, 5]) }, attrs: { axis: 1 }, kind: "special" },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { axis: 1 }, kind: "zero-size" },
  ],
  errors: [{ name: "axis", code: "shape", inputs: { x: input([2]) }, attrs: { axis: 1 } }],
});
