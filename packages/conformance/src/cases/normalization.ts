import * as core from "@striate/core";
import type { NdArray } from "../reference/ndarray.js";
import type { BatchNormOptions, LocalResponseNormOptions } from "../reference/normalization.js";
import * as reference from "../reference/normalization.js";
import { varianceOf } from "../reference/reduce.js";
import {
  cycle,
  type Definition,
  defineCases,
  fixed,
  type InputSpec,
  input,
  integers,
  specials,
  typed,
  uniform,
} from "../suite.js";
import { boundConstant, composed, type ToleranceContext } from "../tolerance.js";
import { thenRelu } from "./then-relu.js";

interface AffineInputs {
  x: unknown;
  weight?: unknown;
  bias?: unknown;
}

const most = (x: NdArray | undefined): number =>
  x === undefined ? 1 : x.data.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, Math.abs(b)) : a), 0);

/**
 * y = (x - mean) / std · weight + bias. The mean is off by eps·c of the largest x, which 1/std and the weight carry into y:
 * c·eps·(|y| + |bias| + |weight|·max|x|/std), where std is that of the smallest group.
 */
const normalized = <I extends { x: NdArray; weight?: NdArray; bias?: NdArray }, A>(
  groupsOf: (inputs: I, attrs: A) => readonly (readonly number[])[],
) =>
  composed(({ inputs, attrs, expected, epsilon }: ToleranceContext<I, A>) => {
    const groups = groupsOf(inputs, attrs);
    const terms = groups[0]?.length ?? 1;
    const deviations = groups.map((values) => Math.sqrt(varianceOf(values) + 1e-5)).filter(Number.isFinite);
    const condition = most(inputs.x) / Math.min(1e30, ...deviations);
    const scale = most(inputs.weight) * (1 + condition) + most(inputs.bias);
    return (i) => boundConstant(terms) * epsilon * (Math.abs(expected.data[i] as number) + scale);
  });

const chunks = (values: ArrayLike<number>, size: number): number[][] =>
  size === 0
    ? []
    : Array.from({ length: values.length / size }, (_, i) =>
        Array.from({ length: size }, (__, j) => values[i * size + j] as number),
      );

/** The values of each channel. */
const channels = ({ x }: { x: NdArray }): number[][] => {
  const count = x.shape[1] as number;
  const inner = x.shape.slice(2).reduce((a, b) => a * b, 1);
  const groups = Array.from({ length: count }, (): number[] => []);
  x.data.forEach((value, i) => groups[Math.floor(i / inner) % count]?.push(value));
  return groups;
};

interface BatchNormInputs extends AffineInputs {
  runningMean?: unknown;
  runningVar?: unknown;
}

const affine = (count: number): { weight: InputSpec; bias: InputSpec } => ({
  weight: uniform([count], 0.5, 1.5),
  bias: input([count]),
});

const running = (count: number): { runningMean: InputSpec; runningVar: InputSpec } => ({
  runningMean: fixed(input([count])),
  runningVar: fixed(uniform([count], 0.5, 2)),
});

/** Running statistics are rebound in place: their new values are outputs here, on handles of their own. */
const runBatchNorm =
  (op: typeof core.batchNorm): Definition<BatchNormInputs, BatchNormOptions>["run"] =>
  ({ x, runningMean, runningVar, ...rest }, attrs) =>
    core.scope(() => {
      const statistics = [runningMean, runningVar].flatMap((t) => (t ? [t.detach()] : []));
      const [mean, variance] = statistics;
      const y = op(x, { ...attrs, ...rest, runningMean: mean, runningVar: variance });
      return [y, ...statistics];
    });

/** Nothing so large that it would loosen the tolerance of the others. */
const specialInputs = specials.filter((x) => !(Math.abs(x) > 2 && Number.isFinite(x)));

const plainBatchNorm: Definition<BatchNormInputs, BatchNormOptions> = {
  tolerance: normalized(channels),
  kernels: ["batchNorm", "batchNormGrad", "batchNormInference"],
  run: runBatchNorm(core.batchNorm),
  reference: (inputs, attrs) => {
    const { y, runningMean, runningVar } = reference.batchNorm(inputs, attrs);
    return [y, ...[runningMean, runningVar].flatMap((t) => (t ? [t] : []))];
  },
  samples: [
    { name: "train-4x3", inputs: { x: input([4, 3]), ...affine(3), ...running(3) }, attrs: { training: true } },
    {
      name: "train-2x3x4x5",
      inputs: { x: input([2, 3, 4, 5]), ...affine(3), ...running(3) },
      attrs: { training: true },
    },
    {
      name: "train-c17",
      inputs: { x: input([3, 17, 2, 2]), ...affine(17), ...running(17) },
      attrs: { training: true },
    },
    { name: "train-plain", inputs: { x: input([4, 2, 3, 3]) }, attrs: { training: true } },
    {
      name: "train-bias-only",
      inputs: { x: input([4, 2, 3, 3]), bias: input([2]) },
      attrs: { training: true, eps: 1e-12 },
    },
    {
      name: "train-momentum-eps",
      inputs: { x: input([4, 2, 3]), ...affine(2), ...running(2) },
      attrs: { training: true, momentum: 0.4, eps: 1e-3 },
    },
    {
      name: "train-two-a-channel",
      inputs: { x: input([2, 3]), ...affine(3), ...running(3) },
      attrs: { training: true, eps: 0.1 },
    },
    {
      name: "train-far-from-0",
      inputs: { x: uniform([8, 2, 4, 4], 10000, 10003.5), ...affine(2) },
      attrs: { training: true },
      kind: "special",
      dtypes: ["float32", "float64"],
    },
    {
      name: "train-constant",
      inputs: { x: cycle([4, 2], [1.5, -2]), ...affine(2), ...running(2) },
      attrs: { training: true },
      kind: "special",
    },
    {
      name: "train-nan",
      inputs: { x: cycle([4, 2], [1, 2, Number.NaN, 4, 5, 6, 7, 8]) },
      attrs: { training: true },
      kind: "special",
    },
    {
      name: "eval-2x3x4x5",
      inputs: { x: input([2, 3, 4, 5]), ...affine(3), ...running(3) },
      attrs: { training: false },
    },
    { name: "eval-plain", inputs: { x: input([4, 5]), ...running(5) }, attrs: { training: false, eps: 1e-3 } },
    { name: "eval-9x21", inputs: { x: input([9, 21]), ...affine(21), ...running(21) }, attrs: { training: false } },
    {
      name: "eval-2x5x3",
      inputs: { x: input([2, 5, 3]), bias: input([5]), ...running(5) },
      attrs: { training: false, eps: 0 },
    },
    {
      name: "eval-2x17x5x5",
      inputs: { x: input([2, 17, 5, 5]), ...affine(17), ...running(17) },
      attrs: { training: false },
    },
    {
      name: "eval-specials",
      inputs: {
        x: cycle([4, 3, 11], specialInputs),
        weight: cycle([3], [1, -2, 0]),
        bias: cycle([3], [0, 1, -0]),
        runningMean: fixed(cycle([3], [0, 0.5, 0])),
        runningVar: fixed(cycle([3], [1, 4, 0.25])),
      },
      attrs: { training: false },
      kind: "special",
    },
    {
      name: "eval-special-statistics",
      inputs: {
        x: cycle([3, 7, 5], [1, -2, 0.5, 0, 3, -0.25]),
        weight: cycle([7], [1, -1]),
        bias: cycle([7], [0.5, -0.5, 0.25]),
        runningMean: fixed(cycle([7], [0, Number.NaN, Number.NEGATIVE_INFINITY, 0, 0, 0, Number.POSITIVE_INFINITY])),
        runningVar: fixed(cycle([7], [0, 1, 1, Number.POSITIVE_INFINITY, -1, Number.NaN, 2 ** -126])),
      },
      attrs: { training: false, eps: 0 },
      kind: "special",
    },
    {
      name: "eval-zero-batch",
      inputs: { x: input([0, 3, 2, 2]), ...affine(3), ...running(3) },
      attrs: { training: false },
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "rank", code: "shape", inputs: { x: input([4]) }, attrs: { training: true } },
    { name: "one-a-channel", code: "shape", inputs: { x: input([1, 3]) }, attrs: { training: true } },
    { name: "weight", code: "shape", inputs: { x: input([4, 3]), weight: input([4]) }, attrs: { training: true } },
    { name: "no-statistics", code: "argument", inputs: { x: input([4, 3]) }, attrs: { training: false } },
    { name: "int", code: "dtype", inputs: { x: typed("int32", integers([4, 3])) }, attrs: { training: true } },
  ],
};

export const batchNorm = defineCases(plainBatchNorm);

export const batchNormRelu = defineCases({
  ...thenRelu(plainBatchNorm),
  kernels: ["batchNormRelu", "batchNormGrad", "batchNormInference"],
  run: runBatchNorm(core.batchNormRelu),
});

interface LayerNormAttrs {
  readonly normalizedShape: readonly number[];
  readonly eps?: number;
}

export const layerNorm = defineCases<AffineInputs, LayerNormAttrs>({
  tolerance: normalized(({ x }, { normalizedShape }) =>
    chunks(
      x.data,
      normalizedShape.reduce((a, b) => a * b, 1),
    ),
  ),
  kernels: ["variance"],
  run: ({ x, ...rest }, attrs) => core.layerNorm(x, { ...attrs, ...rest }),
  reference: ({ x, weight, bias }, { normalizedShape, ...eps }) =>
    reference.layerNorm(x, weight, bias, { dimensions: normalizedShape.length, ...eps }),
  samples: [
    {
      name: "4x7-1",
      inputs: { x: input([4, 7]), weight: uniform([7], 0.5, 1.5), bias: input([7]) },
      attrs: { normalizedShape: [7] },
    },
    {
      name: "2x3x5-2",
      inputs: { x: input([2, 3, 5]), weight: uniform([3, 5], 0.5, 1.5), bias: input([3, 5]) },
      attrs: { normalizedShape: [3, 5] },
    },
    { name: "plain", inputs: { x: input([3, 65]) }, attrs: { normalizedShape: [65], eps: 1e-3 } },
    {
      name: "all",
      inputs: { x: input([2, 3, 4]), weight: uniform([2, 3, 4], 0.5, 1.5) },
      attrs: { normalizedShape: [2, 3, 4] },
    },
    {
      name: "nan",
      inputs: { x: cycle([2, 3], [1, 2, Number.NaN, 4, 5, 6]) },
      attrs: { normalizedShape: [3] },
      kind: "special",
    },
    {
      name: "zero-batch",
      inputs: { x: input([0, 4]), weight: input([4]) },
      attrs: { normalizedShape: [4] },
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "shape", code: "shape", inputs: { x: input([2, 3]) }, attrs: { normalizedShape: [4] } },
    {
      name: "weight",
      code: "shape",
      inputs: { x: input([2, 3]), weight: input([2]) },
      attrs: { normalizedShape: [3] },
    },
    { name: "int", code: "dtype", inputs: { x: typed("int32", integers([4, 3])) }, attrs: { normalizedShape: [3] } },
  ],
});

interface GroupNormAttrs {
  readonly groups: number;
  readonly eps?: number;
}

export const groupNorm = defineCases<AffineInputs, GroupNormAttrs>({
  tolerance: normalized(({ x }, { groups }) =>
    chunks(x.data, x.data.length / Math.max(1, (x.shape[0] as number) * groups)),
  ),
  kernels: ["variance"],
  run: ({ x, ...rest }, attrs) => core.groupNorm(x, { ...attrs, ...rest }),
  reference: ({ x, weight, bias }, attrs) => reference.groupNorm(x, weight, bias, attrs),
  samples: [
    { name: "2x4x3x3-g2", inputs: { x: input([2, 4, 3, 3]), ...affine(4) }, attrs: { groups: 2 } },
    { name: "2x6x5-g3", inputs: { x: input([2, 6, 5]), ...affine(6) }, attrs: { groups: 3 } },
    { name: "one-group", inputs: { x: input([3, 5, 2]), ...affine(5) }, attrs: { groups: 1 } },
    { name: "instance", inputs: { x: input([2, 3, 4, 4]) }, attrs: { groups: 3, eps: 1e-3 } },
    { name: "zero-batch", inputs: { x: input([0, 4, 2]), ...affine(4) }, attrs: { groups: 2 }, kind: "zero-size" },
  ],
  errors: [
    { name: "groups", code: "argument", inputs: { x: input([2, 4, 3]) }, attrs: { groups: 3 } },
    { name: "rank", code: "shape", inputs: { x: input([4]) }, attrs: { groups: 2 } },
  ],
});

export const localResponseNorm = defineCases<{ x: unknown }, LocalResponseNormOptions>({
  tolerance: composed(
    ({ attrs, expected, epsilon }) =>
      (i) =>
        (16 + 2 * attrs.size) * epsilon * Math.abs(expected.data[i] as number),
  ),
  kernels: ["localResponseNorm"],
  run: ({ x }, attrs) => core.localResponseNorm(x, attrs),
  reference: ({ x }, attrs) => reference.localResponseNorm(x, attrs),
  samples: [
    { name: "size5", inputs: { x: uniform([2, 7, 3, 2], -3, 3) }, attrs: { size: 5, alpha: 0.1, k: 2 } },
    { name: "size4-even", inputs: { x: uniform([1, 6, 2, 3], -3, 3) }, attrs: { size: 4, alpha: 0.5, beta: 0.5 } },
    { name: "size1", inputs: { x: uniform([2, 3], -3, 3) }, attrs: { size: 1, alpha: 1 } },
    { name: "size-above-channels", inputs: { x: uniform([2, 3, 2], -3, 3) }, attrs: { size: 9, alpha: 1, beta: 1 } },
    {
      name: "paper",
      inputs: { x: uniform([1, 8, 2, 2], -3, 3) },
      attrs: { size: 5, alpha: 0.1, beta: 0.75, k: 2, divideBySize: false },
    },
    { name: "defaults", inputs: { x: uniform([2, 5, 2, 2], -3, 3) }, attrs: { size: 3 } },
    {
      name: "nan",
      inputs: { x: cycle([1, 4, 2], [1, 2, Number.NaN, 4, 5, 6, 7, 8]) },
      attrs: { size: 3, alpha: 1 },
      kind: "special",
    },
    { name: "zero-batch", inputs: { x: input([0, 4, 2, 2]) }, attrs: { size: 3 }, kind: "zero-size" },
  ],
  errors: [
    { name: "size", code: "argument", inputs: { x: input([1, 3, 2, 2]) }, attrs: { size: 0 } },
    { name: "rank", code: "shape", inputs: { x: input([3]) }, attrs: { size: 3 } },
  ],
});
