import type { ActivationKind } from "../backend.js";
import { defineOp, dispatch, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import type { Tensor } from "../tensor.js";

const SQRT_HALF = Math.SQRT1_2;
const INV_SQRT_TWO_PI = 1 / Math.sqrt(2 * Math.PI);

interface Formula {
  forward(x: Tensor, alpha: number): Tensor;
  /** df/dx */
  derivative(x: Tensor, alpha: number): Tensor;
}

/** Φ, the normal distribution. */
const normalCdf = (x: Tensor): Tensor => x.mul(SQRT_HALF).erf().add(1).mul(0.5);
const normalPdf = (x: Tensor): Tensor => x.square().mul(-0.5).exp().mul(INV_SQRT_TWO_PI);

// A derivative by `where` on x > 0 takes the right-hand branch for x <= 0 and the left one for NaN, which stays NaN.
const formulas: { readonly [K in ActivationKind]: Formula } = {
  leakyRelu: {
    forward: (x, alpha) => x.gt(0).where(x, x.mul(alpha)),
    derivative: (x, alpha) => x.gt(0).where(x.onesLike(), x.fullLike(alpha)),
  },
  elu: {
    // The branch that is not taken must not overflow: its infinity would become NaN in a gradient through `where`.
    forward: (x, alpha) => x.gt(0).where(x, x.clamp({ max: 0 }).expm1().mul(alpha)),
    derivative: (x, alpha) => x.gt(0).where(x.onesLike(), x.clamp({ max: 0 }).exp().mul(alpha)),
  },
  gelu: {
    forward: (x) => x.mul(normalCdf(x)),
    derivative: (x) => normalCdf(x).add(x.mul(normalPdf(x))),
  },
  silu: {
    forward: (x) => x.mul(x.sigmoid()),
    derivative: (x) => {
      const s = x.sigmoid();
      return s.add(x.mul(s).mul(s.neg().add(1)));
    },
  },
  softplus: {
    forward: (x) => x.relu().add(x.abs().neg().exp().log1p()),
    derivative: (x) => x.sigmoid(),
  },
};

const gradRule = defineOp({
  name: "activationGrad",
  decompose: ([x, g], { kind, alpha }) => [(g as Tensor).mul(formulas[kind].derivative(x as Tensor, alpha))],
});

const ruleOf = (kind: ActivationKind): OpRule<"activation"> => ({
  name: "activation",
  label: kind,
  saves: { inputs: [0] },
  gradient: (c) => {
    const x = c.input(0);
    return [dispatch(gradRule, [x, c.grad()], c.attrs, { shape: x.shape, dtype: x.dtype })];
  },
  decompose: ([x], { alpha }) => [formulas[kind].forward(x as Tensor, alpha)],
});

const activation = (kind: ActivationKind, defaultAlpha: number): ((x: Tensor, alpha?: number) => Tensor) => {
  const rule = ruleOf(kind);
  return (x, alpha = defaultAlpha) => {
    expectDType(kind, "x", x.dtype, floatDTypes);
    return dispatch(rule, [x], { kind, alpha }, { shape: x.shape, dtype: x.dtype });
  };
};

/** x for x > 0, else negativeSlope · x, by default 0.01 (Maas et al. 2013). */
export const leakyRelu: (x: Tensor, negativeSlope?: number) => Tensor = /* @__PURE__ */ activation("leakyRelu", 0.01);

/** x for x > 0, else alpha · (e^x - 1), by default with alpha 1 (Clevert et al. 2015, eq. 15). */
export const elu: (x: Tensor, alpha?: number) => Tensor = /* @__PURE__ */ activation("elu", 1);

/** x · Φ(x) with the exact error function (Hendrycks and Gimpel 2016). */
export const gelu: (x: Tensor) => Tensor = /* @__PURE__ */ activation("gelu", 1);

/** x · sigmoid(x), also called swish (Elfwing et al. 2017). */
export const silu: (x: Tensor) => Tensor = /* @__PURE__ */ activation("silu", 1);

/** log(1 + e^x) without overflow. */
export const softplus: (x: Tensor) => Tensor = /* @__PURE__ */ activation("softplus", 1);
