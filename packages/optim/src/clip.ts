import { noGrad, scope, stack, type Tensor } from "@striate/core";
import { expectNonNegative } from "./validate.js";

/** New tensors, the caller's to dispose; inside `Optimizer.step` they are freed with the step. */
export interface ClippedGradients {
  readonly grads: Tensor[];
  /** The L2 norm of all gradients together, before clipping; a scalar. */
  readonly norm: Tensor;
}

/**
 * Scale all gradients by one factor so that their joint L2 norm is at most `maxNorm`, as torch's clip_grad_norm_.
 * Nothing is read back. A NaN or infinite norm is not caught here: it reaches the gradients.
 *
 * @throws ArgumentError for a negative or non-finite `maxNorm`.
 */
export const clipGradNorm = (grads: readonly Tensor[], maxNorm: number): ClippedGradients => {
  expectNonNegative("clipGradNorm", { maxNorm });
  return noGrad(() =>
    scope(() => {
      const norm = stack(
        grads.map((g) => g.square().sum()),
        0,
      )
        .sum()
        .sqrt();
      const factor = norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1);
      return { grads: grads.map((g) => g.mul(factor)), norm };
    }),
  );
};

/** Clip every gradient to [-limit, limit], as torch's clip_grad_value_. @throws ArgumentError for a bad `limit`. */
export const clipGradValue = (grads: readonly Tensor[], limit: number): Tensor[] => {
  expectNonNegative("clipGradValue", { limit });
  return noGrad(() => grads.map((g) => g.clamp({ min: -limit, max: limit })));
};
