import type { Attrs, Shape } from "../backend.js";
import { defineOp, dispatch, expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { standardizeRows } from "./batch-norm.js";

const affine = (x: Tensor, weight: Tensor | undefined, bias: Tensor | undefined): Tensor => {
  const scaled = weight ? x.mul(weight) : x;
  return bias ? scaled.add(bias) : scaled;
};

export interface LayerNormOptions {
  /** The last axes, which are normalized together. Default: the weight's shape, else the last axis. */
  readonly normalizedShape?: Shape | undefined;
  /** γ of the normalized shape. */
  readonly weight?: Tensor | undefined;
  /** β of the normalized shape. */
  readonly bias?: Tensor | undefined;
  /** Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Layer normalization over the last axes (Ba et al. 2016), as torch.nn.functional.layer_norm. @throws ShapeError */
export const layerNorm = /* @__PURE__ */ scoped((x: Tensor, options: LayerNormOptions = {}): Tensor => {
  const { weight, bias, eps = 1e-5 } = options;
  expectArguments("layerNorm", { x, weight, bias });
  expectDType("layerNorm", "x", x.dtype, floatDTypes);
  const normalized = options.normalizedShape ?? weight?.shape ?? x.shape.slice(-1);
  const first = x.rank - normalized.length;
  if (normalized.length === 0 || first < 0 || !sameShape(x.shape.slice(first), normalized))
    throw new ShapeError(`layerNorm: x is ${formatShape(x.shape)}, expected it to end in ${formatShape(normalized)}`);
  for (const [name, t] of Object.entries({ weight, bias }))
    if (t && !sameShape(t.shape, normalized))
      throw new ShapeError(`layerNorm: ${name} is ${formatShape(t.shape)}, expected ${formatShape(normalized)}`);
  const rows = x.reshape([sizeOf(x.shape.slice(0, first)), sizeOf(normalized)]);
  return affine(standardizeRows(rows, eps).reshape(x.shape), weight, bias);
});

export interface GroupNormOptions {
  /** Number of groups; divides the channels. */
  readonly groups: number;
  /** γ, [C]. */
  readonly weight?: Tensor | undefined;
  /** β, [C]. */
  readonly bias?: Tensor | undefined;
  /** Default 1e-5. */
  readonly eps?: number | undefined;
}

/** Group normalization of [N, C, ...] (Wu and He 2018), as torch.nn.functional.group_norm. @throws ShapeError */
export const groupNorm = /* @__PURE__ */ scoped((x: Tensor, options: GroupNormOptions): Tensor => {
  const { groups, weight, bias, eps = 1e-5 } = options;
  expectArguments("groupNorm", { x, weight, bias });
  expectDType("groupNorm", "x", x.dtype, floatDTypes);
  if (x.rank < 2) throw new ShapeError(`groupNorm: x is ${formatShape(x.shape)}, expected [N, C, ...]`);
  const [n, channels] = x.shape as [number, number];
  if (!Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
    throw new ArgumentError(`groupNorm: groups is ${groups}, expected a divisor of ${channels} channels`);
  for (const [name, t] of Object.entries({ weight, bias }))
    if (t && !sameShape(t.shape, [channels]))
      throw new ShapeError(`groupNorm: ${name} is ${formatShape(t.shape)}, expected [${channels}]`);
  const perChannel = x.shape.map((_, i) => (i === 1 ? channels : 1));
  const members = (channels / groups) * sizeOf(x.shape.slice(2));
  const normalized = standardizeRows(x.reshape([n * groups, members]), eps).reshape(x.shape);
  return affine(normalized, weight?.reshape(perChannel), bias?.reshape(perChannel));
});

/** Sums over `size` neighbouring channels, of which `before` come before: zeros in front and behind, then shifted copies. */
const channelSums = (x: Tensor, size: number, before: number): Tensor => {
  const at = (value: number): number[] => x.shape.map((_, i) => (i === 1 ? value : 0));
  const padded = x.pad({ before: at(before), after: at(size - 1 - before) });
  const channels = x.shape[1] as number;
  const shifted = (by: number): Tensor =>
    padded.slice({ begin: at(by), end: padded.shape.map((n, i) => (i === 1 ? by + channels : n)) });
  let sum = shifted(0);
  for (let by = 1; by < size; by++) sum = sum.add(shifted(by));
  return sum;
};

/** k + alpha · Σ x² */
const lrnBase = (x: Tensor, { size, alpha, k }: Attrs<"localResponseNorm">): Tensor =>
  channelSums(x.square(), size, Math.floor(size / 2))
    .mul(alpha)
    .add(k);

const lrnRule = defineOp({
  name: "localResponseNorm",
  saves: { inputs: [0] },
  gradient: (c) => {
    const [x, g] = [c.input(0), c.grad()];
    const { size, alpha, beta } = c.attrs;
    const base = lrnBase(x, c.attrs);
    const scaled = g.mul(base.pow(-beta));
    // Each x takes part in the sums of the channels that it lies in the window of: the window mirrored.
    const through = channelSums(scaled.mul(x).div(base), size, size - 1 - Math.floor(size / 2));
    return [scaled.sub(x.mul(through).mul(2 * alpha * beta))];
  },
  decompose: ([input], attrs) => {
    const x = input as Tensor;
    return [x.div(lrnBase(x, attrs).pow(attrs.beta))];
  },
});

export interface LocalResponseNormOptions {
  /** Channels that each channel is normalized over: itself, floor(size/2) before, the rest behind. */
  readonly size: number;
  /** Default 1e-4. */
  readonly alpha?: number | undefined;
  /** Default 0.75. */
  readonly beta?: number | undefined;
  /** Default 1. */
  readonly k?: number | undefined;
  /** PyTorch divides alpha by `size` (default true); Krizhevsky et al. 2012, section 3.3, do not (false). */
  readonly divideBySize?: boolean | undefined;
}

/** x / (k + alpha · Σ x² over neighbouring channels)^beta of [N, C, ...]. @throws ShapeError, ArgumentError */
export const localResponseNorm = (x: Tensor, options: LocalResponseNormOptions): Tensor => {
  const { size, alpha = 1e-4, beta = 0.75, k = 1, divideBySize = true } = options;
  expectDType("localResponseNorm", "x", x.dtype, floatDTypes);
  if (x.rank < 2) throw new ShapeError(`localResponseNorm: x is ${formatShape(x.shape)}, expected [N, C, ...]`);
  if (!Number.isInteger(size) || size < 1)
    throw new ArgumentError(`localResponseNorm: size is ${size}, expected a positive integer`);
  const attrs = { size, alpha: divideBySize ? alpha / size : alpha, beta, k };
  return dispatch(lrnRule, [x], attrs, { shape: x.shape, dtype: x.dtype });
};
