import { defineOp, dispatch, expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";

/** What becomes of the losses of the elements: their mean, their sum, or nothing. */
export type Reduction = "mean" | "sum" | "none";

export interface LossOptions {
  /** Default "mean". */
  readonly reduction?: Reduction | undefined;
}

const reductions: { readonly [R in Reduction]: (loss: Tensor) => Tensor } = {
  mean: (loss) => loss.mean(),
  sum: (loss) => loss.sum(),
  none: (loss) => loss,
};

/** @throws ArgumentError */
const expectReduction = (op: string, { reduction = "mean" }: LossOptions): void => {
  if (!Object.hasOwn(reductions, reduction))
    throw new ArgumentError(`${op}: reduction is ${reduction}, expected ${Object.keys(reductions).join(", ")}`);
};

const reduced = (loss: Tensor, { reduction = "mean" }: LossOptions): Tensor => reductions[reduction](loss);

const gradRule = defineOp({
  name: "crossEntropyGrad",
  decompose: ([x, t, gradient], { labelSmoothing }) => {
    const [logits, labels, g] = [x as Tensor, t as Tensor, gradient as Tensor];
    const classes = logits.shape[1] as number;
    const target = labels
      .oneHot(classes, logits.dtype)
      .mul(1 - labelSmoothing)
      .add(labelSmoothing / classes);
    return [logits.softmax(1).sub(target).mul(g.unsqueeze(1))];
  },
});

const rule = defineOp({
  name: "crossEntropy",
  saves: { inputs: [0, 1] },
  gradient: (c) => {
    const logits = c.input(0);
    return [
      dispatch(gradRule, [logits, c.input(1), c.grad()], c.attrs, { shape: logits.shape, dtype: logits.dtype }),
      null,
    ];
  },
  decompose: ([x, labels], { labelSmoothing }) => {
    const logProbabilities = (x as Tensor).logSoftmax(1);
    const likelihood = logProbabilities.gather(1, (labels as Tensor).unsqueeze(1)).squeeze(1);
    if (labelSmoothing === 0) return [likelihood.neg()];
    return [
      likelihood
        .mul(1 - labelSmoothing)
        .add(logProbabilities.mean(1).mul(labelSmoothing))
        .neg(),
    ];
  },
});

export interface CrossEntropyOptions extends LossOptions {
  /** Share of the target spread evenly over all classes, in [0, 1) (Szegedy et al. 2016, section 7). Default 0. */
  readonly labelSmoothing?: number | undefined;
}

/** Labels of all elements at once: for backends one fused op. */
const labelLosses = (logits: Tensor, labels: Tensor, labelSmoothing: number): Tensor => {
  const classes = logits.shape[1] as number;
  const rows =
    logits.rank === 2
      ? logits
      : logits.permute([0, ...logits.shape.slice(2).map((_, i) => i + 2), 1]).reshape([-1, classes]);
  const flat = labels.rank === 1 ? labels : labels.reshape([-1]);
  const losses = dispatch(rule, [rows, flat], { labelSmoothing }, { shape: flat.shape, dtype: logits.dtype });
  return labels.rank === 1 ? losses : losses.reshape(labels.shape);
};

/** -Σ target · log softmax(logits) over the classes. */
const probabilityLosses = (logits: Tensor, targets: Tensor, labelSmoothing: number): Tensor => {
  const smoothed =
    labelSmoothing === 0 ? targets : targets.mul(1 - labelSmoothing).add(labelSmoothing / (logits.shape[1] as number));
  return logits.logSoftmax(1).mul(smoothed).sum(1).neg();
};

/**
 * -log softmax(logits)[label]: logits [N, C] and labels [N] (int32), or logits [N, C, ...] and labels [N, ...]. With
 * reduction "none" the result has the labels' shape.
 *
 * Labels of the logits' dtype and shape are the probabilities of the classes, as mixup makes them; "mean" is over the
 * elements, not over the classes, and the result is differentiable in them too. Nobody checks that they sum to 1.
 *
 * @throws IndexError for a label outside [0, C) (at the latest when the result is read).
 */
export const crossEntropy = /* @__PURE__ */ scoped(
  (logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor => {
    const { labelSmoothing = 0 } = options;
    expectArguments("crossEntropy", { logits, labels });
    expectDType("crossEntropy", "logits", logits.dtype, floatDTypes);
    expectReduction("crossEntropy", options);
    if (!(labelSmoothing >= 0 && labelSmoothing < 1))
      throw new ArgumentError(`crossEntropy: labelSmoothing is ${labelSmoothing}, expected [0, 1)`);
    const areProbabilities = labels.dtype !== "int32" && labels.rank === logits.rank;
    expectDType("crossEntropy", "labels", labels.dtype, areProbabilities ? [logits.dtype] : ["int32"]);
    const expected = areProbabilities ? logits.shape : [logits.shape[0] as number, ...logits.shape.slice(2)];
    if (logits.rank < 2 || !sameShape(labels.shape, expected))
      throw new ShapeError(
        `crossEntropy: logits are ${formatShape(logits.shape)}, labels ${formatShape(labels.shape)}; ` +
          `expected [N, C, ...] and ${areProbabilities ? "probabilities of that shape" : "[N, ...]"}`,
      );
    const losses = areProbabilities ? probabilityLosses : labelLosses;
    return reduced(losses(logits, labels, labelSmoothing), options);
  },
);

const expectAlike = (op: string, x: Tensor, target: Tensor, options: LossOptions): void => {
  expectArguments(op, { x, target });
  expectDType(op, "x", x.dtype, floatDTypes);
  expectReduction(op, options);
  if (x.dtype !== target.dtype)
    throw new DTypeError(`${op}: x is ${x.dtype}, target ${target.dtype}; expected the same`);
  if (!sameShape(x.shape, target.shape))
    throw new ShapeError(`${op}: x is ${formatShape(x.shape)}, target ${formatShape(target.shape)}; expected the same`);
};

/** (x - target)² */
export const mseLoss = /* @__PURE__ */ scoped((x: Tensor, target: Tensor, options: LossOptions = {}): Tensor => {
  expectAlike("mseLoss", x, target, options);
  return reduced(x.sub(target).square(), options);
});

/** |x - target| */
export const l1Loss = /* @__PURE__ */ scoped((x: Tensor, target: Tensor, options: LossOptions = {}): Tensor => {
  expectAlike("l1Loss", x, target, options);
  return reduced(x.sub(target).abs(), options);
});

export interface SmoothL1Options extends LossOptions {
  /** Where the square turns into the absolute value, above 0. Default 1. */
  readonly beta?: number | undefined;
}

/** d²/(2β) for |d| < β, else |d| - β/2, with d = x - target (Girshick 2015, eq. 3). */
export const smoothL1Loss = /* @__PURE__ */ scoped(
  (x: Tensor, target: Tensor, options: SmoothL1Options = {}): Tensor => {
    const { beta = 1 } = options;
    expectAlike("smoothL1Loss", x, target, options);
    if (!(beta > 0)) throw new ArgumentError(`smoothL1Loss: beta is ${beta}, expected above 0`);
    const d = x.sub(target);
    // c/β · (d - c/2) with c = d within ±β: no branch whose square, of an infinite d, would be NaN in the gradient.
    const c = d.clamp({ min: -beta, max: beta });
    return reduced(c.div(beta).mul(d.sub(c.mul(0.5))), options);
  },
);

/** -t·log σ(x) - (1-t)·log(1-σ(x)) = t·softplus(-x) + (1-t)·softplus(x): nothing overflows or cancels. `target` is in [0, 1]. */
export const bceWithLogits = /* @__PURE__ */ scoped((x: Tensor, target: Tensor, options: LossOptions = {}): Tensor => {
  expectAlike("bceWithLogits", x, target, options);
  const others = target.neg().add(1);
  return reduced(target.mul(x.neg().softplus()).add(others.mul(x.softplus())), options);
});
