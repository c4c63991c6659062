import { withContext } from "../context.js";
import { expectOperands } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, GradientError } from "../errors.js";
import { type Edge, expectAlive } from "../runtime.js";
import { expectSync, keep, type Sync, scope } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { backpropagate } from "./backpropagate.js";
import type { GradientRules } from "./node.js";

export interface ValueAndGradOptions {
  /** Record the gradients themselves, so that they can be differentiated again. Default false. */
  readonly createGraph?: boolean | undefined;
  /** What takes the place of ops' own gradient rules in this backward pass. */
  readonly rules?: GradientRules | undefined;
}

export interface ValueAndGrad {
  readonly value: Tensor;
  /** One for each parameter, in order, of its shape and dtype; zeros for one that the value does not depend on. */
  readonly grads: readonly Tensor[];
}

const expectScalar = (op: string, value: Tensor): void => {
  if (value.size !== 1)
    throw new GradientError(`${op}: the value is ${formatShape(value.shape)}, expected one element; reduce it first`);
};

/** Run `body` with all ops on tensors that require a gradient left unrecorded. @throws ArgumentError for a promise. */
export const noGrad = <T>(body: () => T & Sync<T>): T => {
  const result = withContext<T>({ recording: false }, body);
  expectSync("noGrad", result);
  return result;
};

/**
 * The value of `fn` (one element) and its gradient with respect to each of `parameters`, by reverse-mode
 * differentiation. Every other tensor that `fn` makes is freed; activations as soon as backward has passed them.
 *
 * @throws GradientError if the value has more than one element or depends on none of the parameters.
 */
export const valueAndGrad = (
  fn: () => Tensor & Sync<Tensor>,
  parameters: readonly Tensor[],
  options: ValueAndGradOptions = {},
): ValueAndGrad => {
  const { createGraph = false, rules = {} } = options;
  if (parameters.length === 0) throw new ArgumentError("valueAndGrad: expected at least one parameter");
  parameters.forEach((p, i) => {
    expectAlive("valueAndGrad", `parameter ${i}`, p);
    expectDType("valueAndGrad", `parameter ${i}`, p.dtype, floatDTypes);
  });
  const borrowed = parameters.filter((p) => !p.requiresGrad);
  for (const p of borrowed) p.setRequiresGrad(true);
  try {
    return scope(() => {
      const value = withContext({ recording: true }, () => scope(fn));
      expectScalar("valueAndGrad", value);
      const targets = parameters.map((p, i) => {
        expectAlive("valueAndGrad", `parameter ${i}`, p);
        return p.edge as Edge;
      });
      const found = value.edge
        ? backpropagate(value.edge, value.onesLike(), { createGraph, retainGraph: createGraph, targets, rules })
        : null;
      if (!found?.size) throw new GradientError("valueAndGrad: the value does not depend on any of the parameters");
      // Handles of their own: a parameter may be listed twice, and the value be a tensor from outside.
      const grads = targets.map(
        ({ node, index }, i) => found.get(node)?.[index]?.alias() ?? (parameters[i] as Tensor).zerosLike(),
      );
      return { value: createGraph ? value.alias() : value.detach(), grads };
    });
  } finally {
    for (const p of borrowed) if (!p.isDisposed) p.setRequiresGrad(false);
  }
};

export interface BackwardOptions {
  /** The gradient that arrives at the tensor, of its shape and dtype; ones for a tensor of one element. */
  readonly gradient?: Tensor | undefined;
  /** Keep activations, so that backward can be called again. Default false. */
  readonly retainGraph?: boolean | undefined;
}

/**
 * PyTorch's habit: add the gradient of `output` to `.grad` of every leaf that it depends on and that requires one.
 *
 * A gradient lives as long as its leaf; dispose the old one when resetting `.grad` to null.
 *
 * @throws GradientError if the output requires no gradient, is no scalar and no gradient is given, or the one given does
 * not fit.
 */
export const backward = (output: Tensor, { gradient, retainGraph = false }: BackwardOptions = {}): void => {
  expectAlive("backward", "output", output);
  const { edge } = output;
  if (!edge) throw new GradientError("backward: the output depends on nothing that requires a gradient");
  if (!gradient) expectScalar("backward", output);
  else {
    expectOperands("backward", [output, gradient]);
    if (gradient.dtype !== output.dtype || !sameShape(gradient.shape, output.shape))
      throw new GradientError(
        `backward: gradient is ${gradient.dtype} ${formatShape(gradient.shape)}, ` +
          `the output ${output.dtype} ${formatShape(output.shape)}`,
      );
  }
  scope(() => {
    const seed = gradient ?? output.onesLike();
    const found = backpropagate(edge, seed, { createGraph: false, retainGraph, targets: null, rules: {} });
    for (const [{ leaf }, [arrived]] of found) {
      // The graph outlives a leaf's handle, but nobody could read the gradient.
      if (!leaf || leaf.isDisposed || !arrived) continue;
      const { grad } = leaf;
      const total = grad ? noGrad(() => grad.add(arrived)) : arrived;
      leaf.grad?.dispose();
      leaf.grad = keep(total);
    }
  });
};
