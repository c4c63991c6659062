/**
 * The stochastic diagonal Levenberg-Marquardt method: Y. LeCun et al., Proceedings of the IEEE 86(11), 1998, appendix
 * C.
 */
import { ArgumentError, noGrad, type RandomAddress, rand, scope, type Tensor, valueAndGrad } from "@striate/core";
import { type GroupOptions, type MakeOptimizer, type Optimizer, optimizerOf } from "./optimizer.js";
import { defineRule, type Rule, slotOf } from "./rule.js";
import { expectNonNegative, expectPositive } from "./validate.js";

export interface StochasticDiagonalLmOptions {
  /** The paper's eta: the step, were all second derivatives 1 - mu. */
  lr: number;
  /** Keeps steps finite where the loss is flat, above 0. Default 0.02, the paper's. */
  mu: number;
}

/**
 * p_k -= lr / (mu + h_kk) · g_k, where h_kk estimates the second derivative of the loss: the slot `curvature`. Steps do
 * not change it; until it is estimated it is 0.
 */
export const stochasticDiagonalLmRule: Rule<StochasticDiagonalLmOptions> =
  /* @__PURE__ */ defineRule<StochasticDiagonalLmOptions>({
    name: "stochasticDiagonalLm",
    defaults: { mu: 0.02 },
    check: ({ lr, mu }) => {
      expectNonNegative("stochasticDiagonalLm", { lr });
      expectPositive("stochasticDiagonalLm", { mu });
    },
    initialSlots: () => ({ curvature: 0 }),
    updateOne: (param, grad, { slots }, { lr, mu }) => {
      const curvature = slotOf(slots, "curvature");
      return { param: param.sub(grad.mul(lr).div(curvature.add(mu))), slots: { curvature } };
    },
  });

/** Numbers -1 and 1, as many of the one as of the other in the mean, independent. */
const randomSigns = ({ shape, backend, dtype }: Tensor, address: RandomAddress): Tensor =>
  rand(shape, { ...address, backend, dtype })
    .lt(0.5)
    .cast(dtype)
    .mul(-2)
    .add(1);

/**
 * For `estimateCurvature` with the cross-entropy: a scalar whose gradient is J'u, with J the derivative of the logits
 * [N, C] and u a random vector with E[uu'] = diag(p) - pp', the second derivative of the loss by the logits, for p
 * their softmax. So the mean of the squared gradients is the diagonal of the Gauss-Newton matrix J'(diag(p) - pp')J,
 * which is what the method asks for: never negative. Labels do not matter. Images are summed.
 *
 * u = √p∘s - p(√p·s) for random signs s has less variance than the gradient for a label that is drawn from p, which is
 * nearly always 0 once the network is sure.
 */
export const crossEntropyProbe = (logits: Tensor, address: RandomAddress): Tensor =>
  scope(() => {
    const u = noGrad(() => {
      const p = logits.softmax(1);
      const root = p.sqrt().mul(randomSigns(logits, address));
      return root.sub(p.mul(root.sum(1, { keepDims: true })));
    });
    return logits.mul(u).sum();
  });

export interface StochasticDiagonalLm extends Optimizer<StochasticDiagonalLmOptions> {
  /**
   * Estimate `curvature` anew, for the parameters that require a gradient: the mean over `probes` of the squared
   * gradients of what they return (one element each), as `crossEntropyProbe` does. One image a probe has the least
   * variance.
   *
   * LeCun propagates second derivatives from layer to layer instead, and leaves out all products of different units.
   * That is as cheap, and exact in the last layer, but convolutions share a weight between hundreds of places that
   * agree: there it is far too small, and steps are too large. For the first layer of LeNet-5 the difference is a
   * factor of up to fifty.
   *
   * @throws ArgumentError if there is no probe; nothing is changed if anything throws.
   */
  estimateCurvature(probes: Iterable<() => Tensor>): void;
}

const make: MakeOptimizer<StochasticDiagonalLmOptions, "lr"> = /* @__PURE__ */ optimizerOf<
  StochasticDiagonalLmOptions,
  "lr"
>(stochasticDiagonalLmRule);

/** The mean of the squared gradients of `probes`, the caller's to dispose. */
const meanSquares = (probes: Iterable<() => Tensor>, params: readonly Tensor[]): Tensor[] => {
  let sums: Tensor[] = [];
  let count = 0;
  try {
    for (const probe of probes) {
      const { value, grads } = valueAndGrad(probe, params);
      value.dispose();
      const before = sums;
      try {
        sums = noGrad(() => scope(() => grads.map((g, i) => before[i]?.add(g.square()) ?? g.square())));
      } finally {
        for (const grad of grads) grad.dispose();
      }
      for (const sum of before) sum.dispose();
      count++;
    }
    if (count === 0) throw new ArgumentError("estimateCurvature: there are no probes");
    return noGrad(() => sums.map((sum) => sum.div(count)));
  } finally {
    for (const sum of sums) sum.dispose();
  }
};

/**
 * Stochastic diagonal Levenberg-Marquardt, see `stochasticDiagonalLmRule`: call `estimateCurvature` before each pass.
 */
export const stochasticDiagonalLm = (
  params: readonly Tensor[] | readonly GroupOptions<StochasticDiagonalLmOptions>[],
  options: Partial<StochasticDiagonalLmOptions> = {},
): StochasticDiagonalLm => {
  const optimizer = make(params as readonly GroupOptions<StochasticDiagonalLmOptions>[], options);
  return Object.assign(optimizer, {
    estimateCurvature: (probes: Iterable<() => Tensor>): void => {
      const trainable = optimizer.trainable();
      const state = optimizer.stateDict();
      const tensors = new Map(state.tensors);
      const counters = new Map(state.counters);
      const squares = meanSquares(probes, trainable);
      try {
        optimizer.groups
          .flatMap((group) => group.params)
          .forEach((param, index) => {
            const square = squares[trainable.indexOf(param)];
            if (!square) return;
            tensors.set(`${index}.curvature`, square);
            if (!counters.has(`${index}.step`)) counters.set(`${index}.step`, 0);
          });
        optimizer.loadStateDict({ ...state, tensors, counters });
      } finally {
        for (const square of squares) square.dispose();
      }
    },
  });
};
