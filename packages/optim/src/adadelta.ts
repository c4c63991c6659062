import { type MakeOptimizer, optimizerOf } from "./optimizer.js";
import { defineRule, movingAverage, type Rule, slotOf, withPenalty } from "./rule.js";
import { expectDecay, expectNonNegative } from "./validate.js";

export interface AdadeltaOptions {
  /** Default 1. */
  lr: number;
  /** Decay of the averages. Default 0.9. */
  rho: number;
  /** Default 1e-6. */
  eps: number;
  /** L2 penalty. Default 0. */
  weightDecay: number;
}

/** torch.optim.Adadelta: M. Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012. */
export const adadeltaRule: Rule<AdadeltaOptions> = /* @__PURE__ */ defineRule<AdadeltaOptions>({
  name: "adadelta",
  defaults: { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0 },
  check: ({ lr, rho, eps, weightDecay }) => {
    expectNonNegative("adadelta", { lr, eps, weightDecay });
    expectDecay("adadelta", { rho });
  },
  initialSlots: () => ({ square_avg: 0, acc_delta: 0 }),
  updateOne: (param, grad, { slots }, { lr, rho, eps, weightDecay }) => {
    const g = withPenalty(grad, param, weightDecay);
    const square_avg = movingAverage(slotOf(slots, "square_avg"), g.square(), rho);
    const old = slotOf(slots, "acc_delta");
    const delta = old.add(eps).div(square_avg.add(eps)).sqrt().mul(g);
    const acc_delta = movingAverage(old, delta.square(), rho);
    return { param: param.sub(lr === 1 ? delta : delta.mul(lr)), slots: { square_avg, acc_delta } };
  },
});

/** See `adadeltaRule`. */
export const adadelta: MakeOptimizer<AdadeltaOptions> = /* @__PURE__ */ optimizerOf<AdadeltaOptions>(adadeltaRule);
