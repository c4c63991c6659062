import { withContext } from "../context.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, GradientError } from "../errors.js";
import { expectAlive } from "../runtime.js";
import { keep, type Sync, scope } from "../scope.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { backpropagate } from "./backpropagate.js";

export interface ValueAndGradOptions {
  /** Record the gradients themselves, so that they can be differentiated again. Default false. */
  readonly createGraph?: boolean;
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

/** Run `body` with all ops on tensors that require a gradient left unrecorded. */
export const noGrad = <T>(body: () => T & Sync<T>): T => withContext<T>({ recording: false }, body);

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
  const { createGraph = false } = options;
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
      const targets = parameters.map((p) => p.edge as NonNullable<typeof p.edge>);
      const found = value.edge
        ? backpropagate(value.edge, value.onesLike(), { createGraph, retainGraph: createGraph, targets })
        : [];
      if (found.length === 0)
        throw new GradientError("valueAndGrad: the value does not depend on any of the parameters");
      const grads = parameters.map((p) => {
        const { node, index } = p.edge as NonNullable<typeof p.edge>;
        return found.find(({ target }) => target.node === node && target.index === index)?.gradient ?? p.zerosLike();
      });
      return { value: createGraph ? value : value.detach(), grads };
    });
  } finally {
    for (const p of borrowed) p.setRequiresGrad(false);
  }
};

export interface BackwardOptions {
  /** The gradient that arrives at the tensor; ones for a tensor of one element. */
  readonly gradient?: Tensor;
  /** Keep activations, so that backward can be called again. Default false. */
  readonly retainGraph?: boolean;
}

/**
 * PyTorch's habit: add the gradient of `output` to `.grad` of every leaf that it depends on and that requires one.
 *
 * @throws GradientError if the output requires no gradient or is no scalar and no gradient is given.
 */
export const backward = (output: Tensor, { gradient, retainGraph = false }: BackwardOptions = {}): void => {
  expectAlive("backward", "output", output);
  const { edge } = output;
  if (!edge) throw new GradientError("backward: the output depends on nothing that requires a gradient");
  if (!gradient) expectScalar("backward", output);
  scope(() => {
    const seed = gradient ?? output.onesLike();
    for (const { target, gradient: arrived } of backpropagate(edge, seed, {
      createGraph: false,
      retainGraph,
      targets: null,
    })) {
      const leaf = target.node.leaf as Tensor;
      const total = leaf.grad ? noGrad(() => (leaf.grad as Tensor).add(arrived)) : arrived;
      leaf.grad?.dispose();
      leaf.grad = keep(total);
    }
  });
};
