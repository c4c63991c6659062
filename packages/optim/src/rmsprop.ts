import { type MakeOptimizer, optimizerOf } from "./optimizer.js";
import { defineRule, movingAverage, type Rule, slotOf, withPenalty } from "./rule.js";
import { expectDecay, expectNonNegative } from "./validate.js";

export interface RmspropOptions {
  /** Default 1e-2. */
  lr: number;
  /** Decay of the averages. Default 0.99. */
  alpha: number;
  /** Default 1e-8. */
  eps: number;
  /** L2 penalty. Default 0. */
  weightDecay: number;
  /** Default 0. */
  momentum: number;
  /**
   * Divide by the standard deviation instead of the root mean square. That of a gradient that never changes is 0, and
   * may round to NaN, as in PyTorch. Default false.
   */
  centered: boolean;
}

/** torch.optim.RMSprop: T. Tieleman, G. Hinton, lecture 6.5 of "Neural Networks for Machine Learning", 2012. */
export const rmspropRule: Rule<RmspropOptions> = /* @__PURE__ */ defineRule<RmspropOptions>({
  name: "rmsprop",
  defaults: { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false },
  check: ({ lr, alpha, eps, weightDecay, momentum }) => {
    expectNonNegative("rmsprop", { lr, eps, weightDecay, momentum });
    expectDecay("rmsprop", { alpha });
  },
  initialSlots: ({ momentum, centered }) => ({
    square_avg: 0,
    ...(centered && { grad_avg: 0 }),
    ...(momentum > 0 && { momentum_buffer: 0 }),
  }),
  updateOne: (param, grad, { slots }, { lr, alpha, eps, weightDecay, momentum, centered }) => {
    const g = withPenalty(grad, param, weightDecay);
    const square_avg = movingAverage(slotOf(slots, "square_avg"), g.square(), alpha);
    // The slot of an option that was switched on after the first steps is missing: it starts from 0 then.
    const mean = slots["grad_avg"];
    const grad_avg = centered ? (mean ? movingAverage(mean, g, alpha) : g.mul(1 - alpha)) : undefined;
    const scaled = g.div((grad_avg ? square_avg.sub(grad_avg.square()) : square_avg).sqrt().add(eps));
    const old = slots["momentum_buffer"];
    const momentum_buffer = momentum > 0 && old ? old.mul(momentum).add(scaled) : scaled;
    return {
      param: param.sub(momentum_buffer.mul(lr)),
      slots: { square_avg, ...(grad_avg && { grad_avg }), ...(momentum > 0 && { momentum_buffer }) },
    };
  },
});

/** See `rmspropRule`. */
export const rmsprop: MakeOptimizer<RmspropOptions> = /* @__PURE__ */ optimizerOf<RmspropOptions>(rmspropRule);
