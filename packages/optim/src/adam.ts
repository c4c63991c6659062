import type { Arithmetic } from "@striate/core";
import { type MakeOptimizer, optimizerOf } from "./optimizer.js";
import { type Averages, defineRule, movingAverage, type Rule, slotOf, withPenalty } from "./rule.js";
import { expectDecay, expectNonNegative } from "./validate.js";

export interface AdamOptions {
  /** Default 1e-3. */
  lr: number;
  /** Decay of the first and second moment. Default [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Default 1e-8. */
  eps: number;
  /** Default 0 for `adam`, 0.01 for `adamw`. */
  weightDecay: number;
  /** Divide by the largest second moment so far. Default false. */
  amsgrad: boolean;
}

/** p - lr · m̂ / (√v̂ + eps), where m̂ = m / (1 - β1^step) and v̂ = v / (1 - β2^step). */
const adamStep = <T extends Arithmetic<T>>(
  param: T,
  grad: T,
  { step, slots }: { readonly step: number; readonly slots: Averages<T> },
  { lr, betas: [beta1, beta2], eps, amsgrad }: AdamOptions,
): { param: T; slots: Averages<T> } => {
  const exp_avg = movingAverage(slotOf(slots, "exp_avg"), grad, beta1);
  const exp_avg_sq = movingAverage(slotOf(slots, "exp_avg_sq"), grad.square(), beta2);
  // Missing if amsgrad was switched on after the first steps: then this one starts the maximum.
  const max_exp_avg_sq = amsgrad ? (slots["max_exp_avg_sq"]?.maximum(exp_avg_sq) ?? exp_avg_sq) : undefined;
  const correction1 = 1 - beta1 ** step;
  const correction2 = Math.sqrt(1 - beta2 ** step);
  // Both corrections folded into scalars: lr/c1 · m / (√v / c2 + eps) = (lr · c2 / c1) · m / (√v + eps · c2).
  const root = (max_exp_avg_sq ?? exp_avg_sq).sqrt().add(eps * correction2);
  return {
    param: param.sub(exp_avg.div(root).mul((lr * correction2) / correction1)),
    slots: { exp_avg, exp_avg_sq, ...(max_exp_avg_sq && { max_exp_avg_sq }) },
  };
};

const adamRuleOf = (name: string, weightDecay: number, decoupled: boolean): Rule<AdamOptions> =>
  defineRule<AdamOptions>({
    name,
    defaults: { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay, amsgrad: false },
    check: ({ lr, betas: [beta1, beta2], eps, weightDecay }) => {
      expectNonNegative(name, { lr, eps, weightDecay });
      expectDecay(name, { beta1, beta2 });
    },
    initialSlots: ({ amsgrad }) => ({ exp_avg: 0, exp_avg_sq: 0, ...(amsgrad && { max_exp_avg_sq: 0 }) }),
    updateOne: (param, grad, state, hyper) => {
      const { lr, weightDecay } = hyper;
      if (!decoupled) return adamStep(param, withPenalty(grad, param, weightDecay), state, hyper);
      return adamStep(weightDecay === 0 ? param : param.mul(1 - lr * weightDecay), grad, state, hyper);
    },
  });

/** torch.optim.Adam: D. Kingma, J. Ba, "Adam", ICLR 2015; weight decay as an L2 penalty. */
export const adamRule: Rule<AdamOptions> = /* @__PURE__ */ adamRuleOf("adam", 0, false);

/** torch.optim.AdamW: I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019. */
export const adamwRule: Rule<AdamOptions> = /* @__PURE__ */ adamRuleOf("adamw", 1e-2, true);

/** See `adamRule`. */
export const adam: MakeOptimizer<AdamOptions> = /* @__PURE__ */ optimizerOf<AdamOptions>(adamRule);

/** Adam with decoupled weight decay, see `adamwRule`. */
export const adamw: MakeOptimizer<AdamOptions> = /* @__PURE__ */ optimizerOf<AdamOptions>(adamwRule);
