import { type MakeOptimizer, optimizerOf } from "./optimizer.js";
import { defineRule, type Rule, slotOf, withPenalty } from "./rule.js";
import { expectNonNegative } from "./validate.js";

export interface AdagradOptions {
  /** Default 1e-2. */
  lr: number;
  /** The rate of step t, from 0, is lr / (1 + t · lrDecay). Default 0. */
  lrDecay: number;
  /** L2 penalty. Default 0. */
  weightDecay: number;
  /** What the sum of squared gradients starts from. Default 0. */
  initialAccumulatorValue: number;
  /** Default 1e-10. */
  eps: number;
}

/** torch.optim.Adagrad: J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods", JMLR 2011. */
export const adagradRule: Rule<AdagradOptions> = /* @__PURE__ */ defineRule<AdagradOptions>({
  name: "adagrad",
  defaults: { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10 },
  check: ({ lr, lrDecay, weightDecay, initialAccumulatorValue, eps }) =>
    expectNonNegative("adagrad", { lr, lrDecay, weightDecay, initialAccumulatorValue, eps }),
  initialSlots: ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue }),
  updateOne: (param, grad, { step, slots }, { lr, lrDecay, weightDecay, eps }) => {
    const g = withPenalty(grad, param, weightDecay);
    const sum = slotOf(slots, "sum").add(g.square());
    const rate = lr / (1 + (step - 1) * lrDecay);
    return { param: param.sub(g.div(sum.sqrt().add(eps)).mul(rate)), slots: { sum } };
  },
});

/** See `adagradRule`. */
export const adagrad: MakeOptimizer<AdagradOptions> = /* @__PURE__ */ optimizerOf<AdagradOptions>(adagradRule);
