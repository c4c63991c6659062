/** Gradient transforms for `Optimizer.step`, and their composition. */
import { noGrad, pointwise, type Tensor } from "@striate/core";
import { clipGradNorm, clipGradValue } from "./clip.js";
import type { GradientTransform, Optimizer } from "./optimizer.js";
import { expectNonNegative } from "./validate.js";

/** One after another, from the first; none leaves the gradients as they are. */
export const chainTransforms =
  (...transforms: readonly GradientTransform[]): GradientTransform =>
  (grads) =>
    transforms.reduce<readonly Tensor[]>((current, transform) => transform(current), grads);

/** `clipGradNorm` as a transform. @throws ArgumentError for a bad `maxNorm`. */
export const clippingNorm = (maxNorm: number): GradientTransform => {
  expectNonNegative("clippingNorm", { maxNorm });
  return (grads) => clipGradNorm(grads, maxNorm).grads;
};

/** `clipGradValue` as a transform. @throws ArgumentError for a bad `limit`. */
export const clippingValue = (limit: number): GradientTransform => {
  expectNonNegative("clippingValue", { limit });
  return (grads) => clipGradValue(grads, limit);
};

export interface L1PenaltyOptions {
  /** Which parameters are penalized, `(param) => param.rank > 1` for weights without biases. Default: all. */
  readonly only?: ((param: Tensor) => boolean) | undefined;
}

/**
 * The gradient of strength · Σ|p|, added to the parameters' own: g + strength · sign(p), with sign(0) = 0. The loss that
 * is reported does not have the penalty in it.
 *
 * @throws ArgumentError for a negative or non-finite `strength`.
 */
export const l1Penalty = (
  optimizer: Pick<Optimizer<object>, "trainable">,
  strength: number,
  { only = () => true }: L1PenaltyOptions = {},
): GradientTransform => {
  expectNonNegative("l1Penalty", { strength });
  return (grads) =>
    noGrad(() => {
      const params = optimizer.trainable();
      return grads.map((grad, i) => {
        const param = params[i] as Tensor;
        if (!only(param)) return grad;
        const [sum] = pointwise([grad, param.sign()], (g, sign) => [g.add(sign.mul(strength))]);
        return sum as Tensor;
      });
    });
};
