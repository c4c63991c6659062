import * as core from "@striate/core";
import type { Reduction } from "../reference/losses.js";
import * as reference from "../reference/losses.js";
import { absolute, type NdArray, zip } from "../reference/ndarray.js";
import {
  away,
  cycle,
  defineCases,
  fixed,
  indices,
  input,
  integers,
  mask,
  type OpCases,
  typed,
  uniform,
} from "../suite.js";
import { boundBy, composed, type ToleranceContext } from "../tolerance.js";

interface Classified {
  logits: unknown;
  labels: unknown;
}

interface CrossEntropyAttrs {
  readonly labelSmoothing?: number;
  readonly reduction?: Reduction;
}

export const crossEntropy = defineCases<Classified, CrossEntropyAttrs>({
  tolerance: composed(({ inputs, attrs, expected, epsilon }) => {
    const range = inputs.logits.data.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0);
    const rows = attrs.reduction === "sum" ? (inputs.logits.shape[0] as number) : 1;
    return (i) => 8 * epsilon * (rows * (4 + range) + Math.abs(expected.data[i] as number));
  }),
  kernels: ["crossEntropy", "crossEntropyGrad"],
  run: ({ logits, labels }, attrs) => core.crossEntropy(logits, labels, attrs),
  reference: ({ logits, labels }, { labelSmoothing, reduction }) =>
    reference.reduceLoss(reference.crossEntropy(logits, labels, labelSmoothing), reduction),
  samples: [
    { name: "4x10", inputs: { logits: uniform([4, 10], -3, 3), labels: indices([4], 10) }, attrs: {} },
    { name: "1x1", inputs: { logits: input([1, 1]), labels: indices([1], 1) }, attrs: {} },
    {
      name: "7x3-sum",
      inputs: { logits: uniform([7, 3], -3, 3), labels: indices([7], 3) },
      attrs: { reduction: "sum" },
    },
    {
      name: "5x65-none",
      inputs: { logits: uniform([5, 65], -3, 3), labels: indices([5], 65) },
      attrs: { reduction: "none" },
    },
    {
      name: "smoothing",
      inputs: { logits: uniform([6, 10], -3, 3), labels: indices([6], 10) },
      attrs: { labelSmoothing: 0.2 },
    },
    {
      name: "smoothing-sum",
      inputs: { logits: uniform([3, 4], -3, 3), labels: indices([3], 4) },
      attrs: { labelSmoothing: 0.1, reduction: "sum" },
    },
    ...(["mean", "sum", "none"] as const).flatMap((reduction) => [
      {
        name: `probabilities-${reduction}`,
        inputs: { logits: uniform([6, 10], -3, 3), labels: uniform([6, 10], 0, 0.25) },
        attrs: { reduction },
      },
      {
        name: `probabilities-smoothing-${reduction}`,
        inputs: { logits: uniform([3, 4], -3, 3), labels: uniform([3, 4], 0, 0.5) },
        attrs: { labelSmoothing: 0.2, reduction },
      },
    ]),
    {
      name: "probabilities-fixed",
      inputs: { logits: uniform([5, 65], -3, 3), labels: fixed(uniform([5, 65], 0, 0.03125)) },
      attrs: { reduction: "none" },
    },
    {
      name: "probabilities-of-0-and-1",
      inputs: { logits: uniform([4, 4], -90, 90), labels: fixed(cycle([4, 4], [0, 1, 0, 0, 0])) },
      attrs: { reduction: "none" },
      kind: "special",
    },
    {
      name: "probabilities-zero-batch-none",
      inputs: { logits: input([0, 3]), labels: input([0, 3]) },
      attrs: { reduction: "none" },
      kind: "zero-size",
    },
    { name: "wide", inputs: { logits: uniform([4, 5], -90, 90), labels: indices([4], 5) }, attrs: {}, kind: "special" },
    {
      name: "far-from-0",
      inputs: { logits: uniform([4, 5], 1000, 1010), labels: indices([4], 5) },
      attrs: {},
      kind: "special",
      dtypes: ["float32", "float64"],
    },
    {
      name: "nan",
      inputs: { logits: cycle([2, 2], [1, Number.NaN, 2, 3]), labels: indices([2], 2) },
      attrs: { reduction: "none" },
      kind: "special",
    },
    {
      name: "zero-batch-none",
      inputs: { logits: input([0, 3]), labels: indices([0], 3) },
      attrs: { reduction: "none" },
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "rows", code: "shape", inputs: { logits: input([4, 3]), labels: indices([3], 3) }, attrs: {} },
    { name: "labels-dtype", code: "dtype", inputs: { logits: input([4, 3]), labels: input([4]) }, attrs: {} },
    { name: "probabilities-shape", code: "shape", inputs: { logits: input([4, 3]), labels: input([4, 2]) }, attrs: {} },
    {
      name: "probabilities-dtype",
      code: "dtype",
      inputs: { logits: input([4, 3]), labels: mask([4, 3]) },
      attrs: {},
    },
    {
      name: "smoothing",
      code: "argument",
      inputs: { logits: input([4, 3]), labels: indices([4], 3) },
      attrs: { labelSmoothing: 1.5 },
    },
    {
      name: "label-above",
      code: "index",
      inputs: { logits: input([2, 3]), labels: typed("int32", cycle([2], [0, 3])) },
      attrs: {},
      deferred: true,
    },
    {
      name: "label-below",
      code: "index",
      inputs: { logits: input([2, 3]), labels: typed("int32", cycle([2], [-1, 0])) },
      attrs: {},
      deferred: true,
    },
  ],
});

interface Compared {
  x: unknown;
  target: unknown;
}

interface LossAttrs {
  readonly reduction?: Reduction;
  readonly beta?: number;
}

type Elementwise = (x: NdArray, target: NdArray, attrs: LossAttrs) => NdArray;

interface LossDefinition {
  run(x: core.Tensor, target: core.Tensor, attrs: LossAttrs): core.Tensor;
  readonly elementwise: Elementwise;
  /** Terms by whose size rounding counts; the losses themselves where nothing cancels. */
  readonly magnitude?: Elementwise;
  readonly attrs?: readonly LossAttrs[];
}

const reductions: readonly Reduction[] = ["mean", "sum", "none"];

const terms = ({ x }: { x: NdArray }, { reduction }: LossAttrs): number => (reduction === "none" ? 1 : x.data.length);

const lossCases = ({ run, elementwise, magnitude = elementwise, attrs = [{}] }: LossDefinition): OpCases =>
  defineCases<Compared, LossAttrs>({
    tolerance: boundBy(
      terms,
      ({ inputs, attrs: own }: ToleranceContext<{ x: NdArray; target: NdArray }, LossAttrs>) => {
        const sum = reference.reduceLoss(absolute(magnitude(inputs.x, inputs.target, own)), own.reduction);
        return (i) => sum.data[i] as number;
      },
    ),
    run: ({ x, target }, own) => run(x, target, own),
    reference: ({ x, target }, own) => reference.reduceLoss(elementwise(x, target, own), own.reduction),
    samples: [
      ...attrs.flatMap((own) =>
        reductions.flatMap((reduction) =>
          [[1], [17], [4, 7], [2, 3, 4, 2]].map((shape) => ({
            name: `${shape.join("x")}-${reduction}${own.beta === undefined ? "" : `-beta${own.beta}`}`,
            // |x - target| stays away from 0 and from beta.
            inputs: { x: away(shape), target: uniform(shape, 0.03125, 0.21875) },
            attrs: { ...own, reduction },
          })),
        ),
      ),
      { name: "default", inputs: { x: away([5]), target: uniform([5], 0.03125, 0.21875) }, attrs: {} },
      {
        name: "nan",
        inputs: { x: cycle([4], [1, Number.NaN]), target: input([4]) },
        attrs: { reduction: "none" },
        kind: "special",
      },
      {
        name: "zero-size-none",
        inputs: { x: input([0, 3]), target: input([0, 3]) },
        attrs: { reduction: "none" },
        kind: "zero-size",
      },
      {
        name: "zero-size-sum",
        inputs: { x: input([0, 3]), target: input([0, 3]) },
        attrs: { reduction: "sum" },
        kind: "zero-size",
      },
    ],
    errors: [
      { name: "shapes", code: "shape", inputs: { x: input([3]), target: input([4]) }, attrs: {} },
      { name: "dtypes", code: "dtype", inputs: { x: input([3]), target: typed("int32", integers([3])) }, attrs: {} },
    ],
  });

export const mseLoss = lossCases({ run: core.mseLoss, elementwise: reference.squaredError });
export const l1Loss = lossCases({ run: core.l1Loss, elementwise: reference.absoluteError });
export const smoothL1Loss = lossCases({
  run: core.smoothL1Loss,
  elementwise: (x, target, { beta }) => reference.smoothAbsoluteError(x, target, beta),
  magnitude: (x, target) => zip([x, target], (a, b) => Math.abs(a) + Math.abs(b)),
  attrs: [{}, { beta: 0.0078125 }],
});
export const bceWithLogits = lossCases({
  run: core.bceWithLogits,
  elementwise: reference.binaryCrossEntropy,
  magnitude: (x, target) =>
    zip([x, target], (a, t) => Math.log1p(Math.exp(-Math.abs(a))) + Math.abs(a) + Math.abs(a * t)),
});
