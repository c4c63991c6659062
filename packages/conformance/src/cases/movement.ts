import * as core from "@striate/core";
import type { DType } from "@striate/core/backend";
import type { PadMode, PadOptions } from "../reference/movement.js";
import * as reference from "../reference/movement.js";
import { cycle, defineCases, indices, input, integers, ramp, specials, typed } from "../suite.js";
import { bound, exact, moved } from "../tolerance.js";

interface X {
  x: unknown;
}

type Shape = readonly number[];

/** A sample in every other dtype that can be moved. */
const otherTypes: readonly DType[] = ["int32", "uint8", "bool"];

export const reshape = defineCases<X, { readonly shape: Shape }>({
  tolerance: moved,
  run: ({ x }, { shape }) => core.reshape(x, shape),
  reference: ({ x }, { shape }) => {
    const known = shape.filter((n) => n !== -1).reduce((a, b) => a * b, 1);
    return reference.reshape(
      x,
      shape.map((n) => (n === -1 ? x.data.length / known : n)),
    );
  },
  samples: [
    { name: "scalar-1", inputs: { x: input([]) }, attrs: { shape: [1] } },
    { name: "1-scalar", inputs: { x: input([1, 1]) }, attrs: { shape: [] } },
    { name: "2x6-3x4", inputs: { x: input([2, 6]) }, attrs: { shape: [3, 4] } },
    { name: "2x3x4-infer", inputs: { x: input([2, 3, 4]) }, attrs: { shape: [4, -1] } },
    { name: "rank-5", inputs: { x: input([24]) }, attrs: { shape: [1, 2, 3, 2, 2] } },
    {
      name: "other-types",
      inputs: { x: integers([2, 6], 0, 1) },
      attrs: { shape: [12] },
      dtypes: otherTypes,
      gradient: false,
    },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { shape: [3, 0, 2] }, kind: "zero-size" },
  ],
  errors: [
    { name: "size", code: "shape", inputs: { x: input([6]) }, attrs: { shape: [4] } },
    { name: "infer", code: "shape", inputs: { x: input([6]) }, attrs: { shape: [4, -1] } },
    { name: "infer-twice", code: "shape", inputs: { x: input([6]) }, attrs: { shape: [-1, -1] } },
  ],
});

export const flatten = defineCases<X, { readonly startAxis?: number }>({
  tolerance: moved,
  run: ({ x }, { startAxis }) => core.flatten(x, startAxis),
  reference: ({ x }, { startAxis = 0 }) =>
    reference.reshape(x, [...x.shape.slice(0, startAxis), x.shape.slice(startAxis).reduce((a, b) => a * b, 1)]),
  samples: [
    { name: "all", inputs: { x: input([2, 3, 4]) }, attrs: {} },
    { name: "from-1", inputs: { x: input([2, 3, 4, 5]) }, attrs: { startAxis: 1 } },
    { name: "scalar", inputs: { x: input([]) }, attrs: {} },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: {}, kind: "zero-size" },
  ],
  errors: [{ name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { startAxis: 3 } }],
});

export const permute = defineCases<X, { readonly perm: Shape }>({
  tolerance: moved,
  run: ({ x }, { perm }) => core.permute(x, perm),
  reference: ({ x }, { perm }) => reference.permute(x, perm),
  samples: [
    { name: "scalar", inputs: { x: input([]) }, attrs: { perm: [] } },
    { name: "5-0", inputs: { x: input([5]) }, attrs: { perm: [0] } },
    { name: "4x7-10", inputs: { x: input([4, 7]) }, attrs: { perm: [1, 0] } },
    { name: "65x17-10", inputs: { x: input([65, 17]) }, attrs: { perm: [1, 0] }, gradient: false },
    { name: "2x3x5-201", inputs: { x: input([2, 3, 5]) }, attrs: { perm: [2, 0, 1] } },
    { name: "2x3x4x5-0231", inputs: { x: input([2, 3, 4, 5]) }, attrs: { perm: [0, 2, 3, 1] } },
    { name: "2x3x4x5-0312", inputs: { x: input([2, 3, 4, 5]) }, attrs: { perm: [0, 3, 1, 2] } },
    { name: "1x2x3x2x3-42013", inputs: { x: input([1, 2, 3, 2, 3]) }, attrs: { perm: [4, 2, 0, 1, 3] } },
    {
      name: "other-types",
      inputs: { x: integers([3, 5], 0, 1) },
      attrs: { perm: [1, 0] },
      dtypes: otherTypes,
      gradient: false,
    },
    {
      name: "special-values",
      inputs: { x: cycle([2, specials.length], specials) },
      attrs: { perm: [1, 0] },
      kind: "special",
    },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { perm: [1, 0] }, kind: "zero-size" },
    { name: "large", inputs: { x: ramp([13, 322639]) }, attrs: { perm: [1, 0] }, kind: "large", dtypes: ["float32"] },
  ],
  errors: [
    { name: "repeated", code: "shape", inputs: { x: input([2, 3]) }, attrs: { perm: [0, 0] } },
    { name: "length", code: "shape", inputs: { x: input([2, 3]) }, attrs: { perm: [0] } },
  ],
});

export const transpose = defineCases<X, { readonly a: number; readonly b: number }>({
  tolerance: moved,
  run: ({ x }, { a, b }) => core.transpose(x, a, b),
  reference: ({ x }, { a, b }) => reference.transpose(x, a, b),
  samples: [
    { name: "3x5", inputs: { x: input([3, 5]) }, attrs: { a: 0, b: 1 } },
    { name: "2x3x4-negative", inputs: { x: input([2, 3, 4]) }, attrs: { a: -1, b: 0 } },
    { name: "same", inputs: { x: input([2, 3]) }, attrs: { a: 1, b: 1 } },
    { name: "zero-size", inputs: { x: input([2, 0]) }, attrs: { a: 0, b: 1 }, kind: "zero-size" },
  ],
  errors: [{ name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { a: 0, b: 2 } }],
});

export const squeeze = defineCases<X, { readonly axis: number }>({
  tolerance: moved,
  run: ({ x }, { axis }) => core.squeeze(x, axis),
  reference: ({ x }, { axis }) =>
    reference.reshape(
      x,
      x.shape.filter((_, i) => i !== (axis < 0 ? axis + x.shape.length : axis)),
    ),
  samples: [
    { name: "2x1x3", inputs: { x: input([2, 1, 3]) }, attrs: { axis: 1 } },
    { name: "last", inputs: { x: input([2, 1]) }, attrs: { axis: -1 } },
    { name: "zero-size", inputs: { x: input([0, 1]) }, attrs: { axis: 1 }, kind: "zero-size" },
  ],
  errors: [{ name: "not-1", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axis: 1 } }],
});

export const unsqueeze = defineCases<X, { readonly axis: number }>({
  tolerance: moved,
  run: ({ x }, { axis }) => core.unsqueeze(x, axis),
  reference: ({ x }, { axis }) => {
    const at = axis < 0 ? axis + x.shape.length + 1 : axis;
    return reference.reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
  },
  samples: [
    { name: "scalar", inputs: { x: input([]) }, attrs: { axis: 0 } },
    { name: "middle", inputs: { x: input([2, 3]) }, attrs: { axis: 1 } },
    { name: "last", inputs: { x: input([2, 3]) }, attrs: { axis: -1 } },
    { name: "zero-size", inputs: { x: input([0]) }, attrs: { axis: 0 }, kind: "zero-size" },
  ],
  errors: [{ name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axis: 4 } }],
});

export const expand = defineCases<X, { readonly shape: Shape }>({
  tolerance: moved,
  run: ({ x }, { shape }) => core.expand(x, shape),
  reference: ({ x }, { shape }) => reference.expand(x, shape),
  samples: [
    { name: "scalar-3", inputs: { x: input([]) }, attrs: { shape: [3] } },
    { name: "1-17", inputs: { x: input([1]) }, attrs: { shape: [17] } },
    { name: "3x1-3x65", inputs: { x: input([3, 1]) }, attrs: { shape: [3, 65] } },
    { name: "1x4-5x4", inputs: { x: input([1, 4]) }, attrs: { shape: [5, 4] } },
    { name: "4-2x3x4", inputs: { x: input([4]) }, attrs: { shape: [2, 3, 4] } },
    { name: "2x1x3x1", inputs: { x: input([2, 1, 3, 1]) }, attrs: { shape: [2, 4, 3, 5] } },
    { name: "rank-5", inputs: { x: input([1, 3, 1, 2, 1]) }, attrs: { shape: [2, 3, 2, 2, 2] } },
    {
      name: "other-types",
      inputs: { x: integers([3, 1], 0, 1) },
      attrs: { shape: [3, 5] },
      dtypes: otherTypes,
      gradient: false,
    },
    { name: "zero-size", inputs: { x: input([1, 3]) }, attrs: { shape: [0, 3] }, kind: "zero-size" },
  ],
  errors: [
    { name: "shape", code: "shape", inputs: { x: input([2]) }, attrs: { shape: [3] } },
    { name: "rank", code: "shape", inputs: { x: input([2, 1]) }, attrs: { shape: [2] } },
  ],
});

interface SliceAttrs {
  readonly begin: Shape;
  readonly end?: Shape;
  readonly step?: Shape;
}

export const slice = defineCases<X, SliceAttrs>({
  tolerance: moved,
  run: ({ x }, attrs) => core.slice(x, attrs),
  reference: ({ x }, attrs) => reference.slice(x, attrs),
  samples: [
    { name: "one", inputs: { x: input([5]) }, attrs: { begin: [2], end: [3] } },
    { name: "all", inputs: { x: input([5]) }, attrs: { begin: [0], end: [5] } },
    { name: "step-2", inputs: { x: input([17]) }, attrs: { begin: [1], end: [17], step: [2] } },
    { name: "step-3", inputs: { x: input([7, 9]) }, attrs: { begin: [0, 1], end: [7, 9], step: [3, 3] } },
    { name: "negative", inputs: { x: input([6, 4]) }, attrs: { begin: [-4, -3], end: [-1, 4] } },
    { name: "lead", inputs: { x: input([4, 3, 2]) }, attrs: { begin: [1], end: [3] } },
    {
      name: "rank-4",
      inputs: { x: input([2, 3, 6, 5]) },
      attrs: { begin: [0, 1, 2, 0], end: [2, 3, 6, 5], step: [1, 1, 2, 4] },
    },
    { name: "rank-5", inputs: { x: input([2, 2, 3, 2, 3]) }, attrs: { begin: [1, 0, 1, 1, 0], end: [2, 2, 3, 2, 2] } },
    {
      name: "other-types",
      inputs: { x: integers([4, 3], 0, 1) },
      attrs: { begin: [1, 1], end: [4, 3] },
      dtypes: otherTypes,
      gradient: false,
    },
    {
      name: "special-values",
      inputs: { x: cycle([specials.length + 2], specials) },
      attrs: { begin: [1] },
      kind: "special",
    },
    { name: "empty", inputs: { x: input([5]) }, attrs: { begin: [2], end: [2] }, kind: "zero-size" },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { begin: [0, 1], end: [0, 3] }, kind: "zero-size" },
  ],
  errors: [
    { name: "bounds", code: "shape", inputs: { x: input([5]) }, attrs: { begin: [0], end: [6] } },
    { name: "order", code: "shape", inputs: { x: input([5]) }, attrs: { begin: [3], end: [2] } },
    { name: "step", code: "shape", inputs: { x: input([5]) }, attrs: { begin: [0], end: [5], step: [0] } },
    { name: "rank", code: "shape", inputs: { x: input([5]) }, attrs: { begin: [0, 0], end: [5, 1] } },
  ],
});

export const flip = defineCases<X, { readonly axes: number | Shape }>({
  tolerance: moved,
  run: ({ x }, { axes }) => core.flip(x, axes),
  reference: ({ x }, { axes }) => reference.flip(x, axes),
  samples: [
    { name: "1", inputs: { x: input([1]) }, attrs: { axes: 0 } },
    { name: "17", inputs: { x: input([17]) }, attrs: { axes: 0 } },
    { name: "4x5-last", inputs: { x: input([4, 5]) }, attrs: { axes: -1 } },
    { name: "2x3x4-02", inputs: { x: input([2, 3, 4]) }, attrs: { axes: [0, 2] } },
    { name: "images", inputs: { x: input([2, 3, 4, 5]) }, attrs: { axes: 3 } },
    {
      name: "other-types",
      inputs: { x: integers([4, 3], 0, 1) },
      attrs: { axes: [0, 1] },
      dtypes: otherTypes,
      gradient: false,
    },
    { name: "zero-size", inputs: { x: input([0, 3]) }, attrs: { axes: 0 }, kind: "zero-size" },
  ],
  errors: [{ name: "axis", code: "shape", inputs: { x: input([2, 3]) }, attrs: { axes: 2 } }],
});

const several = (...shapes: readonly Shape[]): Readonly<Record<string, ReturnType<typeof input>>> =>
  Object.fromEntries(shapes.map((shape, i) => [`x${i}`, input(shape)]));

export const concat = defineCases<Record<string, unknown>, { readonly axis: number }>({
  tolerance: moved,
  kernels: ["concat"],
  run: (xs, { axis }) => core.concat(Object.values(xs), axis),
  reference: (xs, { axis }) => reference.concat(Object.values(xs), axis),
  samples: [
    { name: "one", inputs: several([3, 4]), attrs: { axis: 0 } },
    { name: "two-0", inputs: several([2, 3], [4, 3]), attrs: { axis: 0 } },
    { name: "two-1", inputs: several([5, 3], [5, 17]), attrs: { axis: 1 } },
    { name: "channels", inputs: several([2, 3, 4, 4], [2, 1, 4, 4], [2, 5, 4, 4]), attrs: { axis: 1 } },
    { name: "negative", inputs: several([2, 3, 1], [2, 3, 4]), attrs: { axis: -1 } },
    { name: "five", inputs: several([1], [2], [3], [4], [5]), attrs: { axis: 0 } },
    { name: "twelve", inputs: several(...Array.from({ length: 12 }, (_, i) => [2, i + 1])), attrs: { axis: 1 } },
    {
      name: "int",
      inputs: { x0: typed("int32", integers([2, 3])), x1: typed("int32", integers([2, 2])) },
      attrs: { axis: 1 },
      dtypes: ["int32"],
      gradient: false,
    },
    { name: "with-empty", inputs: several([2, 3], [0, 3], [1, 3]), attrs: { axis: 0 }, kind: "zero-size" },
    { name: "zero-size", inputs: several([0, 3], [0, 2]), attrs: { axis: 1 }, kind: "zero-size" },
  ],
  errors: [
    { name: "shapes", code: "shape", inputs: several([2, 3], [2, 4]), attrs: { axis: 0 } },
    { name: "axis", code: "shape", inputs: several([2, 3], [2, 3]), attrs: { axis: 2 } },
    {
      name: "dtypes",
      code: "dtype",
      inputs: { x0: input([2]), x1: typed("int32", integers([2])) },
      attrs: { axis: 0 },
    },
  ],
});

export const stack = defineCases<Record<string, unknown>, { readonly axis: number }>({
  tolerance: moved,
  kernels: ["concat"],
  run: (xs, { axis }) => core.stack(Object.values(xs), axis),
  reference: (xs, { axis }) => reference.stack(Object.values(xs), axis),
  samples: [
    { name: "scalars", inputs: several([], [], []), attrs: { axis: 0 } },
    { name: "first", inputs: several([3, 4], [3, 4]), attrs: { axis: 0 } },
    { name: "middle", inputs: several([3, 4], [3, 4], [3, 4]), attrs: { axis: 1 } },
    { name: "last", inputs: several([2, 5], [2, 5]), attrs: { axis: -1 } },
    { name: "zero-size", inputs: several([0], [0]), attrs: { axis: 0 }, kind: "zero-size" },
  ],
  errors: [{ name: "shapes", code: "shape", inputs: several([2, 3], [3, 2]), attrs: { axis: 0 } }],
});

export const pad = defineCases<X, PadOptions>({
  tolerance: moved,
  run: ({ x }, attrs) => core.pad(x, attrs),
  reference: ({ x }, attrs) => reference.pad(x, attrs),
  samples: [
    { name: "front", inputs: { x: input([5]) }, attrs: { before: [3], after: [0] } },
    { name: "back", inputs: { x: input([5]) }, attrs: { before: [0], after: [2], value: -1.5 } },
    { name: "none", inputs: { x: input([2, 3]) }, attrs: { before: [0, 0], after: [0, 0] } },
    { name: "asymmetric", inputs: { x: input([3, 4]) }, attrs: { before: [1, 0], after: [2, 3], value: 7 } },
    { name: "rank-4", inputs: { x: input([2, 3, 4, 5]) }, attrs: { before: [0, 1, 2, 0], after: [1, 0, 1, 3] } },
    {
      name: "infinite",
      inputs: { x: input([3, 3]) },
      attrs: { before: [1, 1], after: [1, 1], value: Number.NEGATIVE_INFINITY },
      gradient: false,
    },
    {
      name: "other-types",
      inputs: { x: integers([4, 3], 0, 1) },
      attrs: { before: [1, 0], after: [0, 2], value: 1 },
      dtypes: otherTypes,
      gradient: false,
    },
    { name: "scalar", inputs: { x: input([]) }, attrs: { before: [], after: [] } },
    {
      name: "zero-size",
      inputs: { x: input([0, 2]) },
      attrs: { before: [2, 0], after: [1, 1], value: 3 },
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "negative", code: "shape", inputs: { x: input([3]) }, attrs: { before: [-1], after: [0] } },
    { name: "rank", code: "shape", inputs: { x: input([3, 3]) }, attrs: { before: [1], after: [1] } },
  ],
});

interface Pad2dAttrs {
  readonly padding: readonly [number, number, number, number];
  readonly mode?: PadMode;
  readonly value?: number;
}

export const pad2d = defineCases<X, Pad2dAttrs>({
  tolerance: moved,
  run: ({ x }, { padding, ...rest }) => core.pad2d(x, padding, rest),
  reference: ({ x }, { padding, ...rest }) => reference.pad2d(x, padding, rest),
  samples: [
    { name: "constant", inputs: { x: input([2, 3, 4, 5]) }, attrs: { padding: [1, 2, 0, 3] } },
    { name: "constant-value", inputs: { x: input([1, 1, 3, 3]) }, attrs: { padding: [1, 1, 1, 1], value: 2.5 } },
    { name: "reflect", inputs: { x: input([2, 2, 4, 5]) }, attrs: { padding: [2, 1, 3, 4], mode: "reflect" } },
    { name: "reflect-most", inputs: { x: input([1, 1, 3, 3]) }, attrs: { padding: [2, 2, 2, 2], mode: "reflect" } },
    { name: "replicate", inputs: { x: input([2, 2, 3, 4]) }, attrs: { padding: [4, 1, 0, 6], mode: "replicate" } },
    { name: "rank-2", inputs: { x: input([3, 4]) }, attrs: { padding: [1, 0, 0, 1], mode: "replicate" } },
    {
      name: "zero-size",
      inputs: { x: input([0, 2, 3, 3]) },
      attrs: { padding: [1, 1, 1, 1], mode: "reflect" },
      kind: "zero-size",
    },
  ],
  errors: [
    {
      name: "reflect",
      code: "shape",
      inputs: { x: input([1, 1, 3, 3]) },
      attrs: { padding: [3, 0, 0, 0], mode: "reflect" },
    },
    { name: "rank", code: "shape", inputs: { x: input([3]) }, attrs: { padding: [1, 1, 1, 1] } },
  ],
});

interface Indexed {
  x: unknown;
  index: unknown;
}

interface AxisAttrs {
  readonly axis: number;
}

const outside = (shape: Shape, value: number): ReturnType<typeof input> => typed("int32", cycle(shape, [0, value]));

export const gather = defineCases<Indexed, AxisAttrs>({
  tolerance: moved,
  run: ({ x, index }, { axis }) => core.gather(x, axis, index),
  reference: ({ x, index }, { axis }) => reference.gather(x, axis, index),
  samples: [
    { name: "5", inputs: { x: input([5]), index: indices([7], 5) }, attrs: { axis: 0 } },
    { name: "4x5-0", inputs: { x: input([4, 5]), index: indices([3, 5], 4) }, attrs: { axis: 0 } },
    { name: "4x5-1", inputs: { x: input([4, 5]), index: indices([4, 1], 5) }, attrs: { axis: 1 } },
    { name: "fewer", inputs: { x: input([4, 5]), index: indices([2, 9], 5) }, attrs: { axis: 1 } },
    { name: "2x3x4-1", inputs: { x: input([2, 3, 4]), index: indices([2, 5, 4], 3) }, attrs: { axis: -2 } },
    { name: "rank-4", inputs: { x: input([2, 3, 4, 5]), index: indices([2, 3, 2, 5], 4) }, attrs: { axis: 2 } },
    {
      name: "special-values",
      inputs: { x: cycle([2, specials.length], specials), index: indices([2, 101], specials.length) },
      attrs: { axis: 1 },
      kind: "special",
    },
    {
      name: "other-types",
      inputs: { x: integers([7], 0, 1), index: indices([11], 7) },
      attrs: { axis: 0 },
      dtypes: otherTypes,
      gradient: false,
    },
    {
      name: "zero-size",
      inputs: { x: input([4, 5]), index: indices([0, 5], 4) },
      attrs: { axis: 0 },
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "rank", code: "shape", inputs: { x: input([4, 5]), index: indices([3], 4) }, attrs: { axis: 0 } },
    { name: "index-dtype", code: "dtype", inputs: { x: input([4]), index: input([2]) }, attrs: { axis: 0 } },
    {
      name: "above",
      code: "index",
      inputs: { x: input([4]), index: outside([2], 4) },
      attrs: { axis: 0 },
      deferred: true,
    },
    {
      name: "below",
      code: "index",
      inputs: { x: input([4]), index: outside([2], -1) },
      attrs: { axis: 0 },
      deferred: true,
    },
  ],
});

interface Scattered extends Indexed {
  source: unknown;
}

export const scatterAdd = defineCases<Scattered, AxisAttrs>({
  // An element gets at most one term from x and all of the source.
  tolerance: bound(({ source }) => source.data.length + 1),
  run: ({ x, index, source }, { axis }) => core.scatterAdd(x, axis, index, source),
  reference: ({ x, index, source }, { axis }) => reference.scatterAdd(x, axis, index, source),
  samples: [
    { name: "5", inputs: { x: input([5]), index: indices([7], 5), source: input([7]) }, attrs: { axis: 0 } },
    {
      name: "4x5-0",
      inputs: { x: input([4, 5]), index: indices([9, 5], 4), source: input([9, 5]) },
      attrs: { axis: 0 },
    },
    {
      name: "4x5-1",
      inputs: { x: input([4, 5]), index: indices([4, 2], 5), source: input([4, 2]) },
      attrs: { axis: 1 },
    },
    {
      name: "rank-4",
      inputs: { x: input([2, 3, 4, 5]), index: indices([2, 3, 2, 5], 4), source: input([2, 3, 2, 5]) },
      attrs: { axis: 2 },
    },
    {
      name: "collisions",
      inputs: { x: integers([3]), index: indices([65], 3), source: integers([65]) },
      attrs: { axis: 0 },
      exact: true,
    },
    {
      name: "int",
      inputs: { x: integers([5]), index: indices([9], 5), source: integers([9]) },
      attrs: { axis: 0 },
      dtypes: ["int32"],
      exact: true,
      gradient: false,
    },
    {
      name: "zero-size",
      inputs: { x: input([4, 5]), index: indices([0, 5], 4), source: input([0, 5]) },
      attrs: { axis: 0 },
      kind: "zero-size",
    },
  ],
  errors: [
    {
      name: "source",
      code: "shape",
      inputs: { x: input([4]), index: indices([3], 4), source: input([2]) },
      attrs: { axis: 0 },
    },
    {
      name: "dtypes",
      code: "dtype",
      inputs: { x: input([4]), index: indices([2], 4), source: typed("int32", integers([2])) },
      attrs: { axis: 0 },
    },
    {
      name: "above",
      code: "index",
      inputs: { x: input([4]), index: outside([2], 4), source: input([2]) },
      attrs: { axis: 0 },
      deferred: true,
    },
    {
      name: "below",
      code: "index",
      inputs: { x: input([4]), index: outside([2], -1), source: input([2]) },
      attrs: { axis: 0 },
      deferred: true,
    },
  ],
});

export const indexSelect = defineCases<Indexed, AxisAttrs>({
  tolerance: moved,
  run: ({ x, index }, { axis }) => core.indexSelect(x, axis, index),
  reference: ({ x, index }, { axis }) => reference.indexSelect(x, axis, index),
  samples: [
    { name: "5", inputs: { x: input([5]), index: indices([8], 5) }, attrs: { axis: 0 } },
    { name: "4x5-0", inputs: { x: input([4, 5]), index: indices([6], 4) }, attrs: { axis: 0 } },
    { name: "2x3x4-last", inputs: { x: input([2, 3, 4]), index: indices([3], 4) }, attrs: { axis: -1 } },
    {
      name: "bytes",
      inputs: { x: typed("uint8", integers([7, 12], 0, 255)), index: indices([5], 7) },
      attrs: { axis: 0 },
      dtypes: ["uint8"],
      gradient: false,
    },
    { name: "zero-size", inputs: { x: input([4, 5]), index: indices([0], 4) }, attrs: { axis: 0 }, kind: "zero-size" },
  ],
  errors: [
    { name: "index-rank", code: "shape", inputs: { x: input([4]), index: indices([2, 2], 4) }, attrs: { axis: 0 } },
    { name: "index-dtype", code: "dtype", inputs: { x: input([4]), index: input([2]) }, attrs: { axis: 0 } },
    {
      name: "above",
      code: "index",
      inputs: { x: input([4]), index: outside([2], 4) },
      attrs: { axis: 0 },
      deferred: true,
    },
  ],
});

export const oneHot = defineCases<{ labels: unknown }, { readonly classes: number; readonly dtype?: DType }>({
  tolerance: exact,
  differentiable: false,
  run: ({ labels }, { classes, dtype }) => core.oneHot(labels, classes, dtype),
  reference: ({ labels }, { classes }) => reference.oneHot(labels, classes),
  samples: [
    { name: "7-10", inputs: { labels: indices([7], 10) }, attrs: { classes: 10 }, dtypes: ["int32"] },
    { name: "2x3-4", inputs: { labels: indices([2, 3], 4) }, attrs: { classes: 4 }, dtypes: ["int32"] },
    { name: "one-class", inputs: { labels: indices([3], 1) }, attrs: { classes: 1 }, dtypes: ["int32"] },
    { name: "int", inputs: { labels: indices([5], 3) }, attrs: { classes: 3, dtype: "int32" }, dtypes: ["int32"] },
    {
      name: "zero-size",
      inputs: { labels: indices([0], 3) },
      attrs: { classes: 3 },
      dtypes: ["int32"],
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "classes", code: "argument", inputs: { labels: indices([3], 2) }, attrs: { classes: 0 } },
    { name: "float", code: "dtype", inputs: { labels: input([3]) }, attrs: { classes: 3 } },
    { name: "above", code: "index", inputs: { labels: outside([2], 3) }, attrs: { classes: 3 }, deferred: true },
    { name: "below", code: "index", inputs: { labels: outside([2], -1) }, attrs: { classes: 3 }, deferred: true },
  ],
});
