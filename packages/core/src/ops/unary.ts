import type { UnaryKind } from "../backend.js";
import { defineOp, dispatch, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes, numericDTypes } from "../dtype.js";
import type { Tensor } from "../tensor.js";

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** The gradient in terms of the input x or of the output y, whichever is cheaper to keep. */
type Derivative =
  | { readonly of: "x" | "y"; gradient(saved: Tensor, g: Tensor): Tensor }
  | { readonly of: "nothing"; gradient(g: Tensor): Tensor };

const stepFunction: Derivative = { of: "nothing", gradient: (g) => g.zerosLike() };

const derivatives: { readonly [K in UnaryKind]: Derivative } = {
  neg: { of: "nothing", gradient: (g) => g.neg() },
  abs: { of: "x", gradient: (x, g) => g.mul(x.sign()) },
  sign: stepFunction,
  square: { of: "x", gradient: (x, g) => g.mul(x).mul(2) },
  relu: { of: "y", gradient: (y, g) => reluGrad(y, g) },
  floor: stepFunction,
  ceil: stepFunction,
  round: stepFunction,
  sqrt: { of: "y", gradient: (y, g) => g.div(y).mul(0.5) },
  rsqrt: { of: "y", gradient: (y, g) => g.mul(y.mul(y).mul(y)).mul(-0.5) },
  reciprocal: { of: "y", gradient: (y, g) => g.mul(y.mul(y)).neg() },
  exp: { of: "y", gradient: (y, g) => g.mul(y) },
  expm1: { of: "y", gradient: (y, g) => g.mul(y.add(1)) },
  log: { of: "x", gradient: (x, g) => g.div(x) },
  log1p: { of: "x", gradient: (x, g) => g.div(x.add(1)) },
  sin: { of: "x", gradient: (x, g) => g.mul(x.cos()) },
  cos: { of: "x", gradient: (x, g) => g.mul(x.sin()).neg() },
  tanh: { of: "y", gradient: (y, g) => g.mul(y.square().neg().add(1)) },
  sigmoid: { of: "y", gradient: (y, g) => g.mul(y).mul(y.neg().add(1)) },
  erf: { of: "x", gradient: (x, g) => g.mul(x.square().neg().exp()).mul(TWO_OVER_SQRT_PI) },
};

const integerKinds: readonly UnaryKind[] = ["neg", "abs", "sign", "square", "relu"];

const ruleOf = (kind: UnaryKind): OpRule<"unary"> => {
  const d = derivatives[kind];
  const common = { name: "unary", label: kind, inputs: ["x"] } as const;
  if (d.of === "nothing") return { ...common, gradient: (c) => [d.gradient(c.grad())] };
  return d.of === "x"
    ? { ...common, saves: { inputs: [0] }, gradient: (c) => [d.gradient(c.input(0), c.grad())] }
    : { ...common, saves: { outputs: [0] }, gradient: (c) => [d.gradient(c.output(0), c.grad())] };
};

/** Also of kernels that end in a ReLU. */
export const reluRule: OpRule<"unary"> = /* @__PURE__ */ ruleOf("relu");

const unary = (kind: UnaryKind, rule = ruleOf(kind)): ((x: Tensor) => Tensor) => {
  const allowed = integerKinds.includes(kind) ? numericDTypes : floatDTypes;
  return (x) => {
    expectDType(kind, "x", x.dtype, allowed);
    return dispatch(rule, [x], { kind }, { shape: x.shape, dtype: x.dtype });
  };
};

/** -x */
export const neg: (x: Tensor) => Tensor = /* @__PURE__ */ unary("neg");
/** |x|; its gradient is `sign`. */
export const abs: (x: Tensor) => Tensor = /* @__PURE__ */ unary("abs");
/** -1, 0 or 1; NaN stays NaN, where PyTorch gives 0. */
export const sign: (x: Tensor) => Tensor = /* @__PURE__ */ unary("sign");
/** x² */
export const square: (x: Tensor) => Tensor = /* @__PURE__ */ unary("square");
/** max(x, 0) (Nair and Hinton 2010); its gradient at 0 is 0. */
export const relu: (x: Tensor) => Tensor = /* @__PURE__ */ unary("relu", reluRule);
/** The next integer below; its gradient is 0. */
export const floor: (x: Tensor) => Tensor = /* @__PURE__ */ unary("floor");
/** The next integer above; its gradient is 0. */
export const ceil: (x: Tensor) => Tensor = /* @__PURE__ */ unary("ceil");
/** The nearest integer, halves to even; its gradient is 0. */
export const round: (x: Tensor) => Tensor = /* @__PURE__ */ unary("round");
/** √x; NaN below 0. */
export const sqrt: (x: Tensor) => Tensor = /* @__PURE__ */ unary("sqrt");
/** 1/√x */
export const rsqrt: (x: Tensor) => Tensor = /* @__PURE__ */ unary("rsqrt");
/** 1/x */
export const reciprocal: (x: Tensor) => Tensor = /* @__PURE__ */ unary("reciprocal");
/** e^x */
export const exp: (x: Tensor) => Tensor = /* @__PURE__ */ unary("exp");
/** e^x - 1, accurate near 0. */
export const expm1: (x: Tensor) => Tensor = /* @__PURE__ */ unary("expm1");
/** Natural logarithm. */
export const log: (x: Tensor) => Tensor = /* @__PURE__ */ unary("log");
/** log(1 + x), accurate near 0. */
export const log1p: (x: Tensor) => Tensor = /* @__PURE__ */ unary("log1p");
/** Sine of radians. */
export const sin: (x: Tensor) => Tensor = /* @__PURE__ */ unary("sin");
/** Cosine of radians. */
export const cos: (x: Tensor) => Tensor = /* @__PURE__ */ unary("cos");
/** Hyperbolic tangent. */
export const tanh: (x: Tensor) => Tensor = /* @__PURE__ */ unary("tanh");
/** 1/(1 + e^-x) */
export const sigmoid: (x: Tensor) => Tensor = /* @__PURE__ */ unary("sigmoid");
/** The Gauss error function. */
export const erf: (x: Tensor) => Tensor = /* @__PURE__ */ unary("erf");

const reluGradRule = defineOp({
  name: "reluGrad",
  decompose: ([x, g]) => {
    const [a, b] = [x as Tensor, g as Tensor];
    return [a.le(0).where(0, b)];
  },
});

/** The gradient of relu: `g` where x > 0 or x is NaN, else 0. */
export const reluGrad = (x: Tensor, g: Tensor): Tensor =>
  dispatch(reluGradRule, [x, g], {}, { shape: x.shape, dtype: x.dtype });
