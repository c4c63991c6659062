import * as core from "@striate/core";
import type { NdArray } from "../reference/ndarray.js";
import type { AvgPoolOptions, PoolOptions, UpsampleOptions } from "../reference/pooling.js";
import * as reference from "../reference/pooling.js";
import { maxout as maxoutOf } from "../reference/reduce.js";
import { type PairLike, pair } from "../reference/window.js";
import { cycle, defineCases, distinct, input, integers, ramp, typed, uniform } from "../suite.js";
import { bound, composed, exact, moved } from "../tolerance.js";

interface X {
  x: unknown;
}

interface Geometry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly attrs: PoolOptions;
}

const geometries: readonly Geometry[] = [
  { name: "1x1", shape: [2, 3, 2, 2], attrs: { kernel: 1 } },
  { name: "2x2", shape: [2, 3, 4, 6], attrs: { kernel: 2 } },
  { name: "2x2-odd", shape: [1, 5, 5, 7], attrs: { kernel: 2 } },
  { name: "2x2-s1-overlap", shape: [1, 2, 4, 4], attrs: { kernel: 2, stride: 1 } },
  { name: "3x3-s2-p1", shape: [2, 3, 7, 8], attrs: { kernel: 3, stride: 2, padding: 1 } },
  { name: "3x2-s1x3", shape: [1, 2, 6, 8], attrs: { kernel: [3, 2], stride: [1, 3] } },
  { name: "2x2-s3-above-kernel", shape: [1, 2, 8, 7], attrs: { kernel: 2, stride: 3 } },
  { name: "3x3-s2-ceil", shape: [1, 2, 6, 8], attrs: { kernel: 3, stride: 2, ceilMode: true } },
  { name: "3x3-s2-ceil-beyond", shape: [1, 2, 2, 2], attrs: { kernel: 3, stride: 2, ceilMode: true } },
  { name: "3x3-s3-p1-ceil", shape: [1, 1, 5, 6], attrs: { kernel: 3, stride: 3, padding: 1, ceilMode: true } },
  // The last window would start behind the image: it is dropped.
  { name: "2x2-s3-p1-ceil-dropped", shape: [1, 2, 2, 5], attrs: { kernel: 2, stride: 3, padding: 1, ceilMode: true } },
  {
    name: "2x2-s2-p1-ceil-dropped",
    shape: [1, 1, 3, 3],
    attrs: { kernel: 2, stride: 2, padding: [0, 1, 0, 1], ceilMode: true },
  },
  { name: "asymmetric-p1021", shape: [1, 2, 5, 4], attrs: { kernel: 3, stride: 2, padding: [1, 0, 2, 1] } },
  { name: "global", shape: [2, 3, 5, 4], attrs: { kernel: [5, 4] } },
];

const dilated: readonly Geometry[] = [
  { name: "2x2-d2", shape: [1, 2, 5, 6], attrs: { kernel: 2, stride: 1, dilation: 2 } },
  {
    name: "3x2-d2x3-p2x1-s2",
    shape: [1, 2, 7, 8],
    attrs: { kernel: [3, 2], stride: 2, dilation: [2, 3], padding: [2, 1] },
  },
];

const errors = [
  { name: "rank", code: "shape", inputs: { x: input([3, 4, 4]) }, attrs: { kernel: 2 } },
  { name: "kernel", code: "shape", inputs: { x: input([1, 1, 2, 2]) }, attrs: { kernel: 3 } },
  { name: "kernel-0", code: "argument", inputs: { x: input([1, 1, 2, 2]) }, attrs: { kernel: 0 } },
  { name: "stride", code: "argument", inputs: { x: input([1, 1, 2, 2]) }, attrs: { kernel: 2, stride: 0 } },
  { name: "padding", code: "argument", inputs: { x: input([1, 1, 4, 4]) }, attrs: { kernel: 2, padding: 2 } },
  { name: "int", code: "dtype", inputs: { x: typed("int32", integers([1, 1, 2, 2])) }, attrs: { kernel: 2 } },
] as const;

const maxSamples = [
  ...[...geometries, ...dilated].map(({ name, shape, attrs }) => ({ name, inputs: { x: distinct(shape) }, attrs })),
  { name: "ties", inputs: { x: integers([2, 2, 6, 6], 0, 2) }, attrs: { kernel: 2 }, ties: true },
  {
    name: "ties-overlap",
    inputs: { x: integers([1, 2, 7, 7], 0, 1) },
    attrs: { kernel: 3, stride: 2, padding: 1 },
    ties: true,
  },
  {
    name: "all-negative",
    inputs: { x: uniform([1, 2, 6, 6], -4, -1) },
    attrs: { kernel: 3, stride: 2, padding: 1 },
    kind: "special",
  },
  // A gradient that goes to positives only is silently wrong here.
  { name: "all-negative-ties", inputs: { x: integers([1, 2, 6, 6], -3, -1) }, attrs: { kernel: 2 }, ties: true },
  {
    name: "nan",
    inputs: { x: cycle([1, 1, 4, 6], [1, 2, 3, Number.NaN, 5, 6, 7]) },
    attrs: { kernel: 2 },
    kind: "special",
  },
  {
    name: "infinite",
    inputs: { x: cycle([1, 1, 4, 4], [Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY]) },
    attrs: { kernel: 2, stride: 1 },
    kind: "special",
  },
  {
    name: "all-infinite-p1",
    inputs: { x: cycle([1, 1, 3, 3], [Number.NEGATIVE_INFINITY]) },
    attrs: { kernel: 3, stride: 1, padding: 1 },
    kind: "special",
  },
  { name: "zero-batch", inputs: { x: input([0, 2, 4, 4]) }, attrs: { kernel: 2 }, kind: "zero-size" },
  {
    name: "large",
    inputs: { x: ramp([1, 1, 2049, 2048]) },
    attrs: { kernel: 2, stride: 1 },
    kind: "large",
    dtypes: ["float32"],
  },
] as const;

export const maxPool2d = defineCases<X, PoolOptions>({
  tolerance: exact,
  kernels: ["maxPool2d", "maxPool2dGrad"],
  run: ({ x }, attrs) => core.maxPool2d(x, attrs),
  reference: ({ x }, attrs) => reference.maxPool2d(x, attrs).y,
  referenceGradient: ({ x }, gy, attrs) => ({ x: reference.maxPool2dGradient(x, gy, attrs) }),
  samples: maxSamples,
  errors,
});

export const maxPool2dWithIndices = defineCases<X, PoolOptions>({
  tolerance: exact,
  kernels: ["maxPool2d", "maxPool2dGrad"],
  run: ({ x }, attrs) => {
    const { y, indices } = core.maxPool2dWithIndices(x, attrs);
    return [y, indices];
  },
  reference: ({ x }, attrs) => {
    const { y, indices } = reference.maxPool2d(x, attrs);
    return [y, indices];
  },
  referenceGradient: ({ x }, gy, attrs) => ({ x: reference.maxPool2dGradient(x, gy, attrs) }),
  samples: maxSamples.filter(({ name }) => name !== "large"),
  errors,
});

interface UnpoolInputs {
  x: unknown;
  indices: unknown;
}

export const maxUnpool2d = defineCases<UnpoolInputs, { readonly outputSize: readonly [number, number] }>({
  tolerance: moved,
  run: ({ x, indices }, attrs) => core.maxUnpool2d(x, indices, attrs),
  reference: ({ x, indices }, { outputSize }) => reference.maxUnpool2d(x, indices, outputSize),
  samples: [
    {
      name: "2x2",
      inputs: { x: input([1, 2, 2, 2]), indices: typed("int32", cycle([1, 2, 2, 2], [0, 3, 9, 14])) },
      attrs: { outputSize: [4, 4] },
    },
    {
      name: "3x5",
      inputs: { x: input([2, 1, 2, 2]), indices: typed("int32", cycle([2, 1, 2, 2], [1, 4, 11, 8])) },
      attrs: { outputSize: [3, 5] },
    },
    {
      name: "zero-batch",
      inputs: { x: input([0, 1, 2, 2]), indices: typed("int32", cycle([0, 1, 2, 2], [0])) },
      attrs: { outputSize: [4, 4] },
      kind: "zero-size",
    },
  ],
  errors: [
    {
      name: "shapes",
      code: "shape",
      inputs: { x: input([1, 1, 2, 2]), indices: typed("int32", integers([1, 1, 2, 3], 0, 3)) },
      attrs: { outputSize: [4, 4] },
    },
    {
      name: "float-indices",
      code: "dtype",
      inputs: { x: input([1, 1, 2, 2]), indices: input([1, 1, 2, 2]) },
      attrs: { outputSize: [4, 4] },
    },
    {
      name: "outside",
      code: "index",
      inputs: { x: input([1, 1, 2, 2]), indices: typed("int32", cycle([1, 1, 2, 2], [16])) },
      attrs: { outputSize: [4, 4] },
      deferred: true,
    },
  ],
});

export const avgPool2d = defineCases<X, AvgPoolOptions>({
  tolerance: bound((_inputs, { kernel }) => pair(kernel)[0] * pair(kernel)[1]),
  kernels: ["avgPool2d", "avgPool2dGrad"],
  run: ({ x }, attrs) => core.avgPool2d(x, attrs),
  reference: ({ x }, attrs) => reference.avgPool2d(x, attrs),
  samples: [
    ...geometries.map(({ name, shape, attrs }) => ({ name, inputs: { x: input(shape) }, attrs })),
    ...geometries
      .filter(({ attrs }) => attrs.padding || attrs.ceilMode)
      .map(({ name, shape, attrs }) => ({
        name: `${name}-without-padding`,
        inputs: { x: input(shape) },
        attrs: { ...attrs, countIncludePad: false },
      })),
    ...dilated.map(({ name, shape, attrs }) => ({ name, inputs: { x: input(shape) }, attrs })),
    {
      name: "nan",
      inputs: { x: cycle([1, 1, 4, 4], [1, 2, 3, Number.NaN, 5, 6, 7]) },
      attrs: { kernel: 2 },
      kind: "special",
    },
    { name: "zero-batch", inputs: { x: input([0, 2, 4, 4]) }, attrs: { kernel: 2 }, kind: "zero-size" },
  ],
  errors,
});

interface AdaptiveAttrs {
  readonly outputSize: PairLike;
}

const adaptive = [
  { name: "6x8-3x4", shape: [2, 3, 6, 8], attrs: { outputSize: [3, 4] } },
  { name: "7x5-3x2", shape: [1, 2, 7, 5], attrs: { outputSize: [3, 2] } },
  { name: "5x5-1", shape: [2, 3, 5, 5], attrs: { outputSize: 1 } },
  { name: "3x4-5x7-larger", shape: [1, 2, 3, 4], attrs: { outputSize: [5, 7] } },
  { name: "13x11-6x6", shape: [1, 1, 13, 11], attrs: { outputSize: 6 } },
] as const;

const adaptiveErrors = [
  { name: "rank", code: "shape", inputs: { x: input([3, 4, 4]) }, attrs: { outputSize: 2 } },
  { name: "size", code: "argument", inputs: { x: input([1, 1, 4, 4]) }, attrs: { outputSize: 0 } },
] as const;

const adaptiveZero = {
  name: "zero-batch",
  inputs: { x: input([0, 2, 5, 5]) },
  attrs: { outputSize: 2 },
  kind: "zero-size",
} as const;

export const adaptiveAvgPool2d = defineCases<X, AdaptiveAttrs>({
  tolerance: bound(({ x }: { x: NdArray }, { outputSize }) => {
    const [rows, columns] = pair(outputSize);
    return (Math.ceil((x.shape[2] as number) / rows) + 1) * (Math.ceil((x.shape[3] as number) / columns) + 1);
  }),
  kernels: ["avgPool2d", "avgPool2dGrad"],
  run: ({ x }, { outputSize }) => core.adaptiveAvgPool2d(x, outputSize),
  reference: ({ x }, { outputSize }) => reference.adaptiveAvgPool2d(x, outputSize),
  samples: [...adaptive.map(({ name, shape, attrs }) => ({ name, inputs: { x: input(shape) }, attrs })), adaptiveZero],
  errors: adaptiveErrors,
});

export const adaptiveMaxPool2d = defineCases<X, AdaptiveAttrs>({
  tolerance: exact,
  kernels: ["maxPool2d", "maxPool2dGrad"],
  run: ({ x }, { outputSize }) => core.adaptiveMaxPool2d(x, outputSize),
  reference: ({ x }, { outputSize }) => reference.adaptiveMaxPool2d(x, outputSize),
  samples: [
    ...adaptive.map(({ name, shape, attrs }) => ({ name, inputs: { x: distinct(shape) }, attrs })),
    adaptiveZero,
  ],
  errors: adaptiveErrors,
});

export const upsample2d = defineCases<X, UpsampleOptions>({
  // Two blends of two neighbours; their weights are off by an eps of the coordinate.
  tolerance: composed(({ inputs, epsilon }) => {
    const extent = Math.max(...inputs.x.shape.slice(2), 1);
    const most = inputs.x.data.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0);
    return () => (8 + 4 * extent) * epsilon * most;
  }),
  run: ({ x }, attrs) => core.upsample2d(x, attrs),
  reference: ({ x }, attrs) => reference.upsample2d(x, attrs),
  samples: [
    { name: "nearest-1", inputs: { x: input([1, 2, 3, 3]) }, attrs: { scale: 1 } },
    { name: "nearest-2", inputs: { x: input([2, 3, 3, 4]) }, attrs: { scale: 2, mode: "nearest" }, exact: true },
    { name: "nearest-3", inputs: { x: input([1, 2, 2, 5]) }, attrs: { scale: 3, mode: "nearest" }, exact: true },
    { name: "bilinear-2", inputs: { x: input([2, 3, 3, 4]) }, attrs: { scale: 2, mode: "bilinear" } },
    { name: "bilinear-3", inputs: { x: input([1, 2, 2, 5]) }, attrs: { scale: 3, mode: "bilinear" } },
    { name: "bilinear-of-1", inputs: { x: input([1, 2, 1, 1]) }, attrs: { scale: 4, mode: "bilinear" } },
    {
      name: "zero-batch",
      inputs: { x: input([0, 2, 3, 3]) },
      attrs: { scale: 2, mode: "bilinear" },
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "scale", code: "argument", inputs: { x: input([1, 1, 2, 2]) }, attrs: { scale: 0 } },
    { name: "rank", code: "shape", inputs: { x: input([2, 2]) }, attrs: { scale: 2 } },
  ],
});

interface MaxoutAttrs {
  readonly pieces: number;
  readonly axis?: number;
}

export const maxout = defineCases<X, MaxoutAttrs>({
  tolerance: exact,
  run: ({ x }, attrs) => core.maxout(x, attrs),
  reference: ({ x }, { pieces, axis = 1 }) => maxoutOf(x, pieces, axis),
  samples: [
    { name: "2x6-3", inputs: { x: distinct([2, 6]) }, attrs: { pieces: 3 } },
    { name: "images-2", inputs: { x: distinct([2, 4, 3, 3]) }, attrs: { pieces: 2 } },
    { name: "last-axis", inputs: { x: distinct([2, 3, 8]) }, attrs: { pieces: 4, axis: -1 } },
    { name: "one-piece", inputs: { x: distinct([2, 3]) }, attrs: { pieces: 1 } },
    { name: "zero-batch", inputs: { x: input([0, 4]) }, attrs: { pieces: 2 }, kind: "zero-size" },
  ],
  errors: [{ name: "pieces", code: "argument", inputs: { x: input([2, 5]) }, attrs: { pieces: 2 } }],
});
