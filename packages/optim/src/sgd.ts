import { ArgumentError } from "@striate/core";
import { type MakeOptimizer, optimizerOf } from "./optimizer.js";
import { defineRule, type Rule, withPenalty } from "./rule.js";
import { expectFinite, expectNonNegative } from "./validate.js";

export interface SgdOptions {
  lr: number;
  /** Default 0. */
  momentum: number;
  /** Default 0. */
  dampening: number;
  /** L2 penalty. Default 0. */
  weightDecay: number;
  /** Default false. Needs momentum without dampening. */
  nesterov: boolean;
}

/**
 * torch.optim.SGD: buf = momentum · buf + (1 - dampening) · g, the first buf being g itself; p -= lr · buf, or with
 * Nesterov's momentum p -= lr · (g + momentum · buf).
 */
export const sgdRule: Rule<SgdOptions> = /* @__PURE__ */ defineRule<SgdOptions>({
  name: "sgd",
  defaults: { momentum: 0, dampening: 0, weightDecay: 0, nesterov: false },
  check: ({ lr, momentum, dampening, weightDecay, nesterov }) => {
    expectNonNegative("sgd", { lr, momentum, weightDecay });
    expectFinite("sgd", { dampening });
    if (nesterov && (momentum === 0 || dampening !== 0))
      throw new ArgumentError(`sgd: nesterov needs momentum > 0 and dampening 0, got ${momentum} and ${dampening}`);
  },
  initialSlots: ({ momentum }) => (momentum === 0 ? {} : { momentum_buffer: 0 }),
  updateOne: (param, grad, { step, slots }, { lr, momentum, dampening, weightDecay, nesterov }) => {
    const g = withPenalty(grad, param, weightDecay);
    if (momentum === 0) return { param: param.sub(g.mul(lr)), slots: {} };
    // Missing if momentum was switched on after the first steps: then this one starts the buffer.
    const old = slots["momentum_buffer"];
    const buffer = step === 1 || !old ? g : old.mul(momentum).add(dampening === 0 ? g : g.mul(1 - dampening));
    const direction = nesterov ? g.add(buffer.mul(momentum)) : buffer;
    return { param: param.sub(direction.mul(lr)), slots: { momentum_buffer: buffer } };
  },
});

/** Stochastic gradient descent, see `sgdRule`. `lr` is required, in the options or in every group. */
export const sgd: MakeOptimizer<SgdOptions, "lr"> = /* @__PURE__ */ optimizerOf<SgdOptions, "lr">(sgdRule);
