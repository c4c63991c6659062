import { isRecording, withContext } from "../context.js";
import {
  defineOp,
  dispatch,
  dispatchAll,
  dispatchFused,
  expectArguments,
  type FusedRule,
  type OpRule,
} from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";
import { type PointwiseValue, pointwise } from "./pointwise.js";
import { reluRule } from "./unary.js";

/** All axes but the channels. */
const statisticAxes = (x: Tensor): number[] => x.shape.flatMap((_, i) => (i === 1 ? [] : [i]));

/** [C] so that it broadcasts over [N, C, ...]. */
const perChannel = (t: Tensor, like: Tensor): Tensor => t.reshape(like.shape.map((_, i) => (i === 1 ? -1 : 1)));

/** Elements behind each channel's statistics. */
const countPerChannel = (x: Tensor): number => x.size / (x.shape[1] as number);

const gradRule: OpRule<"batchNormGrad"> = defineOp({
  name: "batchNormGrad",
  empty: 0,
  decompose: ([input, weight, batchMean, batchVariance, gradient], { eps }) => {
    const [x, gy] = [input as Tensor, gradient as Tensor];
    const axes = statisticAxes(x);
    const inverse = perChannel((batchVariance as Tensor).add(eps).rsqrt(), x);
    const normalized = x.sub(perChannel(batchMean as Tensor, x)).mul(inverse);
    const gradBias = gy.sum(axes);
    const gradWeight = gy.mul(normalized).sum(axes);
    const n = countPerChannel(x);
    const centred = gy.sub(perChannel(gradBias, x).div(n)).sub(normalized.mul(perChannel(gradWeight, x).div(n)));
    return [centred.mul(inverse.mul(perChannel(weight as Tensor, x))), gradWeight, gradBias];
  },
});

const rule: OpRule<"batchNorm"> = defineOp({
  name: "batchNorm",
  empty: Number.NaN,
  saves: { inputs: [0, 1], outputs: [1, 2] },
  // The statistics are not handed to users, so no gradient arrives at outputs 1 and 2.
  gradient: (c) => {
    const [x, weight, gy] = [c.input(0), c.input(1), c.grad()];
    // A second derivative runs through the statistics too: then they have to be functions of x again.
    const axes = statisticAxes(x);
    const statistics = isRecording() ? [x.mean(axes), x.variance(axes)] : [c.output(1), c.output(2)];
    const { shape } = weight;
    const outputs = [x.shape, shape, shape].map((s) => ({ shape: s, dtype: x.dtype }));
    return dispatchAll(gradRule, [x, weight, ...(statistics as [Tensor, Tensor]), gy], c.attrs, outputs);
  },
  decompose: ([input, weight, bias], { eps }) => {
    const x = input as Tensor;
    const axes = statisticAxes(x);
    const mean = x.mean(axes);
    const variance = x.variance(axes);
    return [normalizeBy(x, mean, variance, weight as Tensor, bias as Tensor, eps), mean, variance];
  },
});

const withRelu: FusedRule<"batchNormRelu", "batchNorm", "unary"> = {
  fused: defineOp({
    name: "batchNormRelu",
    empty: Number.NaN,
    decompose: (inputs, attrs, outputs) => {
      const [y, mean, variance] = dispatchAll(rule, inputs, attrs, outputs) as readonly [Tensor, Tensor, Tensor];
      return [y.relu(), mean, variance];
    },
  }),
  first: rule,
  second: reluRule,
  secondAttrs: { kind: "relu" },
};

const normalizeBy = (x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor =>
  x
    .sub(perChannel(mean, x))
    .mul(perChannel(variance.add(eps).rsqrt().mul(weight), x))
    .add(perChannel(bias, x));

const inferenceRule: OpRule<"batchNormInference"> = defineOp({
  name: "batchNormInference",
  decompose: (inputs, { eps, relu }) => {
    const y = normalizeBy(...(inputs as [Tensor, Tensor, Tensor, Tensor, Tensor]), eps);
    return [relu ? y.relu() : y];
  },
});

/**
 * A batch norm whose channels are rows. Its gradient starts from the normalized rows rather than from x and rounded
 * statistics: rows are short and often nearly constant, where those would cancel to noise.
 */
const rowsRule: OpRule<"batchNorm"> = defineOp({
  ...rule,
  saves: { inputs: [0], outputs: [0, 2] },
  gradient: (c) => {
    const [x, y] = [c.input(0), c.output(0)];
    const { eps } = c.attrs;
    const variance = isRecording() ? x.variance([0, 2]) : c.output(2);
    // To the kernel y is an input that is standardized already (mean 0, variance 1), with weight 1 / deviation.
    const statistics = [variance.add(eps).rsqrt(), variance.zerosLike(), variance.fullLike(1 - eps)];
    const outputs = [x.shape, variance.shape, variance.shape].map((shape) => ({ shape, dtype: x.dtype }));
    return [dispatchAll(gradRule, [y, ...statistics, c.grad()], { eps }, outputs)[0] as Tensor, null, null];
  },
});

/** (x - mean) / sqrt(variance + eps) of each row of [M, K]. */
export const standardizeRows = (x: Tensor, eps: number): Tensor => {
  const [rows, columns] = x.shape as [number, number];
  const [one, zero] = [fill(x.runtime, [rows], x.dtype, 1), fill(x.runtime, [rows], x.dtype, 0)];
  const image = x.reshape([1, rows, columns]);
  const outputs = [image.shape, [rows], [rows]].map((shape) => ({ shape, dtype: x.dtype }));
  return (dispatchAll(rowsRule, [image, one, zero], { eps }, outputs)[0] as Tensor).reshape(x.shape);
};

export interface BatchNormOptions {
  /** γ, [C]. Default ones. */
  readonly weight?: Tensor | undefined;
  /** β, [C]. Default zeros. */
  readonly bias?: Tensor | undefined;
  /** [C]; used if not training, else moved towards the batch's mean (the handle is rebound). */
  readonly runningMean?: Tensor | undefined;
  /** [C]; used if not training, else moved towards the batch's unbiased variance (the handle is rebound). */
  readonly runningVar?: Tensor | undefined;
  /** Normalize by this batch's statistics rather than the running ones. */
  readonly training: boolean;
  /** Share of the batch in the new running statistics. Default 0.1. */
  readonly momentum?: number | undefined;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
}

const normalize = (op: "batchNorm" | "batchNormRelu", x: Tensor, options: BatchNormOptions): Tensor => {
  const thenRelu = op === "batchNormRelu";
  const { runningMean, runningVar, training, momentum = 0.1, eps = 1e-5 } = options;
  expectArguments(op, { x, weight: options.weight, bias: options.bias, runningMean, runningVar });
  expectDType(op, "x", x.dtype, floatDTypes);
  if (x.rank < 2) throw new ShapeError(`${op}: x is ${formatShape(x.shape)}, expected [N, C, ...]`);
  const shape = [x.shape[1] as number];
  for (const [name, t] of Object.entries({ weight: options.weight, bias: options.bias, runningMean, runningVar })) {
    if (t && t.dtype !== x.dtype) throw new DTypeError(`${op}: ${name} is ${t.dtype}, x is ${x.dtype}`);
    if (t && !sameShape(t.shape, shape))
      throw new ShapeError(`${op}: ${name} is ${formatShape(t.shape)}, expected ${formatShape(shape)}`);
  }
  const n = sizeOf(x.shape) / Math.max(1, shape[0] as number);
  if (training && n <= 1)
    throw new ShapeError(`${op}: x ${formatShape(x.shape)} has ${n} elements a channel, training needs at least 2`);
  const affine = (given: Tensor | undefined, value: number): Tensor => given ?? fill(x.runtime, shape, x.dtype, value);
  if (!training) {
    if (!runningMean || !runningVar) throw new ArgumentError(`${op}: evaluation needs runningMean and runningVar`);
    const inputs = [x, runningMean, runningVar, affine(options.weight, 1), affine(options.bias, 0)];
    return dispatch(inferenceRule, inputs, { eps, relu: thenRelu }, { shape: x.shape, dtype: x.dtype });
  }
  const [weight, bias] = [affine(options.weight, 1), affine(options.bias, 0)];
  const outputs = [x.shape, shape, shape].map((s) => ({ shape: s, dtype: x.dtype }));
  const inputs = [x, weight, bias];
  const [y, mean, variance] = (
    thenRelu ? dispatchFused(withRelu, inputs, { eps }, outputs) : dispatchAll(rule, inputs, { eps }, outputs)
  ) as readonly [Tensor, Tensor, Tensor];
  withContext({ recording: false }, () => {
    // Both or neither: the second may find no memory.
    const moves: { readonly running: Tensor; readonly batch: Tensor; readonly scale: number }[] = [];
    if (runningMean) moves.push({ running: runningMean, batch: mean, scale: 1 });
    if (runningVar) moves.push({ running: runningVar, batch: variance, scale: n / (n - 1) });
    if (moves.length === 0) return;
    const moved = pointwise(
      moves.flatMap(({ running, batch }) => [running, batch]),
      (...values) =>
        moves.map(({ scale }, i) => {
          const [running, batch] = values.slice(2 * i) as [PointwiseValue, PointwiseValue];
          const unbiased = scale === 1 ? batch : batch.mul(scale);
          return running.mul(1 - momentum).add(unbiased.mul(momentum));
        }),
    );
    moves.forEach(({ running }, i) => running.assign(moved[i] as Tensor));
  });
  return y;
};

/**
 * Batch normalization of [N, C, ...] (Ioffe and Szegedy 2015), as torch.nn.functional.batch_norm: the biased variance
 * normalizes, the unbiased one goes into the running variance.
 *
 * @throws ArgumentError without statistics in evaluation; ShapeError, also for one element a channel in training.
 */
export const batchNorm: (x: Tensor, options: BatchNormOptions) => Tensor = /* @__PURE__ */ scoped(
  (x: Tensor, options: BatchNormOptions) => normalize("batchNorm", x, options),
);

/** `batchNorm(x, options).relu()` to the bit, in one pass less over the output where the backend can. */
export const batchNormRelu: (x: Tensor, options: BatchNormOptions) => Tensor = /* @__PURE__ */ scoped(
  (x: Tensor, options: BatchNormOptions) => normalize("batchNormRelu", x, options),
);
