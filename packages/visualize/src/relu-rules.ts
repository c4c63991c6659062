import type { GradientRules } from "@striate/core";

/** How a gradient passes a ReLU on its way down. */
export const reluRules = {
  /** The gradient itself: where the input was positive. K. Simonyan et al., arXiv 1312.6034, section 3. */
  gradient: {},
  /** Where the gradient is positive. M. Zeiler, R. Fergus, ECCV 2014, section 2.1. */
  deconvnet: { relu: (c) => [c.grad().relu()] },
  /** Where both are. J. Springenberg et al., arXiv 1412.6806, section 3.4. */
  guided: { relu: (c) => [c.grad().relu().mul(c.output(0).gt(0).cast(c.grad().dtype))] },
} as const satisfies Readonly<Record<string, GradientRules>>;

export type ReluRule = keyof typeof reluRules;
