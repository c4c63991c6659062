import { ArgumentError, type GradientContext, type GradientRule, type GradientRules, type Tensor } from "@striate/core";

/** The same rule for ReLU and its smooth kin, which the networks of today have in its place. */
const forRectifiers = (rule: (grad: Tensor, active: () => Tensor) => Tensor): GradientRules => {
  const over =
    (saved: (c: GradientContext<never>) => Tensor): GradientRule<never> =>
    (c) => {
      const grad = c.grad();
      return [rule(grad, () => saved(c).gt(0).cast(grad.dtype))];
    };
  const ofInput = over((c) => c.input(0));
  // Core saves of a ReLU its output, of the others their input: positive where it was.
  return { relu: over((c) => c.output(0)), leakyRelu: ofInput, elu: ofInput, gelu: ofInput, silu: ofInput };
};

/** How a gradient passes a rectifier on its way down. */
const reluRules = {
  /** The gradient itself: for a ReLU, where the input was positive. K. Simonyan et al., arXiv 1312.6034, section 3. */
  gradient: {},
  /** Where the gradient is positive. M. Zeiler, R. Fergus, ECCV 2014, section 2.1. */
  deconvnet: /* @__PURE__ */ forRectifiers((grad) => grad.relu()),
  /** Where both are. J. Springenberg et al., arXiv 1412.6806, section 3.4. */
  guided: /* @__PURE__ */ forRectifiers((grad, active) => grad.relu().mul(active())),
} as const satisfies Readonly<Record<string, GradientRules>>;

export type ReluRule = keyof typeof reluRules;

/** @throws ArgumentError unless there is a rule of that name */
export const reluRulesOf = (op: string, rule: ReluRule): GradientRules => {
  if (!Object.hasOwn(reluRules, rule))
    throw new ArgumentError(
      `${op}: rule is ${JSON.stringify(rule)}, expected one of ${Object.keys(reluRules).join(", ")}`,
    );
  return reluRules[rule];
};
