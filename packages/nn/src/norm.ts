import {
  ArgumentError,
  batchNorm as batchNormOp,
  batchNormRelu,
  type LocalResponseNormOptions,
  ShapeError,
  type Tensor,
} from "@striate/core";
import { constant } from "./init.js";
import type { Definition, Layer } from "./module.js";
import { expectGroups, expectSizes } from "./options.js";

/** The trained scale and shift of a normalization: both, none, or one of them. */
export type Affine = boolean | "weight" | "bias";

/** Weight from ones and bias from zeros, as far as `affine` wants them. */
const declareAffine = (m: Definition, shape: readonly number[], affine: Affine) => ({
  weight: affine === true || affine === "weight" ? m.parameter("weight", shape, constant(1)) : undefined,
  bias: affine === true || affine === "bias" ? m.parameter("bias", shape, constant(0)) : undefined,
});

export interface BatchNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Share of the batch in the new running statistics, in [0, 1]. Default 0.1. */
  readonly momentum?: number;
  /** Default true. */
  readonly affine?: Affine;
  /** Without them, evaluation normalizes by the batch as well. Default true. */
  readonly trackRunningStats?: boolean;
}

const batchNorm =
  (name: string, ranks: readonly number[]) =>
  (features: number, options: BatchNormOptions = {}): Layer => {
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true } = options;
    expectSizes(name, { features });
    if (!(momentum >= 0 && momentum <= 1))
      throw new ArgumentError(`${name}: momentum is ${momentum}, expected a number in [0, 1]`);
    return (m) => {
      const { weight, bias } = declareAffine(m, [features], affine);
      const running = trackRunningStats && {
        mean: m.buffer("running_mean", [features], 0),
        var: m.buffer("running_var", [features], 1),
        batches: m.tally("num_batches_tracked"),
      };
      const run = (normalize: typeof batchNormOp, x: Tensor): Tensor => {
        if (!ranks.includes(x.rank) || x.shape[1] !== features)
          throw new ShapeError(
            `${name}: x is [${x.shape.join(", ")}], expected rank ${ranks.join(" or ")} with ${features} channels`,
          );
        if (!running) return normalize(x, { weight, bias, training: true, eps });
        const { training } = m;
        const y = normalize(x, {
          weight,
          bias,
          runningMean: running.mean,
          runningVar: running.var,
          training,
          momentum,
          eps,
        });
        if (training) running.batches.increment();
        return y;
      };
      return Object.assign((x: Tensor) => run(batchNormOp, x), { withRelu: (x: Tensor) => run(batchNormRelu, x) });
    };
  };

/**
 * [N, C] or [N, C, L]. Parameters weight, bias; buffers running_mean, running_var, num_batches_tracked.
 * S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015.
 */
export const batchNorm1d: (features: number, options?: BatchNormOptions) => Layer = /* @__PURE__ */ batchNorm(
  "batchNorm1d",
  [2, 3],
);

/** [N, C, H, W]; otherwise as `batchNorm1d`. */
export const batchNorm2d: (features: number, options?: BatchNormOptions) => Layer = /* @__PURE__ */ batchNorm(
  "batchNorm2d",
  [4],
);

export interface NormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Default true. */
  readonly affine?: Affine;
}

/** Over the last axes, which have `normalizedShape`. Parameters weight, bias of that shape. J. Ba et al., 2016. */
export const layerNorm = (normalizedShape: number | readonly number[], options: NormOptions = {}): Layer => {
  const { eps = 1e-5, affine = true } = options;
  const shape = typeof normalizedShape === "number" ? [normalizedShape] : normalizedShape;
  shape.forEach((n, i) => expectSizes("layerNorm", { [`normalizedShape[${i}]`]: n }));
  return (m) => {
    const { weight, bias } = declareAffine(m, shape, affine);
    return (x) => x.layerNorm({ normalizedShape: shape, weight, bias, eps });
  };
};

/** [N, channels, ...] in groups of channels. Parameters weight, bias [channels]. Y. Wu, K. He, ECCV 2018. */
export const groupNorm = (groups: number, channels: number, options: NormOptions = {}): Layer => {
  const { eps = 1e-5, affine = true } = options;
  expectSizes("groupNorm", { channels });
  expectGroups("groupNorm", groups, { channels });
  return (m) => {
    const { weight, bias } = declareAffine(m, [channels], affine);
    return (x) => x.groupNorm({ groups, weight, bias, eps });
  };
};

/** Across neighbouring channels: A. Krizhevsky et al., 2012, section 3.3. */
export const localResponseNorm = (size: number, options: Omit<LocalResponseNormOptions, "size"> = {}): Layer => {
  expectSizes("localResponseNorm", { size });
  return () => (x) => x.localResponseNorm({ ...options, size });
};
