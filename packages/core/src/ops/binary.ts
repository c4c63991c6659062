import type { BinaryKind, DType, Shape } from "../backend.js";
import { dispatch, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes, numericDTypes } from "../dtype.js";
import { ArgumentError, DTypeError } from "../errors.js";
import { broadcastShapes, padRank } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";
import { unbroadcast } from "./unbroadcast.js";

/** Where both are equal, `max` and `min` share the gradient half and half, as PyTorch. */
const extremum =
  (below: "lt" | "gt") =>
  (a: Tensor, b: Tensor, g: Tensor): readonly [Tensor, Tensor] => {
    const half = g.mul(0.5);
    const zero = g.zerosLike();
    const tie = a.eq(b);
    const takesB = a[below](b);
    const takesA = b[below](a);
    return [takesA.where(g, tie.where(half, zero)), takesB.where(g, tie.where(half, zero))];
  };

type BinaryGradient =
  | { readonly saves: true; gradient(a: Tensor, b: Tensor, g: Tensor): readonly [Tensor, Tensor] }
  | { readonly saves: false; gradient(g: Tensor): readonly [Tensor, Tensor] };

const gradients: { readonly [K in BinaryKind]: BinaryGradient } = {
  add: { saves: false, gradient: (g) => [g, g] },
  sub: { saves: false, gradient: (g) => [g, g.neg()] },
  mul: { saves: true, gradient: (a, b, g) => [g.mul(b), g.mul(a)] },
  div: { saves: true, gradient: (a, b, g) => [g.div(b), g.div(b).mul(a.div(b)).neg()] },
  max: { saves: true, gradient: extremum("lt") },
  min: { saves: true, gradient: extremum("gt") },
  pow: {
    saves: true,
    // d/da b·a^(b-1), which is 0 for b = 0 whatever a is; d/db a^b·log a, which is 0 where a = 0 <= b.
    gradient: (a, b, g) => [
      b.eq(0).where(g.zerosLike(), g.mul(b).mul(a.pow(b.sub(1)))),
      a
        .eq(0)
        .logicalAnd(b.ge(0))
        .where(g.zerosLike(), g.mul(a.pow(b)).mul(a.log())),
    ],
  },
};

const ruleOf = (kind: BinaryKind): OpRule<"binary"> => {
  const d = gradients[kind];
  const shapesBack = (c: { inputSpecs: readonly { shape: Shape }[] }, grads: readonly Tensor[]): Tensor[] =>
    grads.map((g, i) => unbroadcast(g, (c.inputSpecs[i] as { shape: Shape }).shape));
  return d.saves
    ? {
        name: "binary",
        saves: { inputs: [0, 1] },
        gradient: (c) => shapesBack(c, d.gradient(c.input(0), c.input(1), c.grad())),
      }
    : { name: "binary", gradient: (c) => shapesBack(c, d.gradient(c.grad())) };
};

type Side = "left" | "right";

/** d(x op c)/dx ("right") or d(c op x)/dx ("left"), times g. */
type ScalarGradient =
  | { readonly of: "x"; gradient(x: Tensor, c: number, g: Tensor): Tensor }
  | { readonly of: "nothing"; gradient(c: number, g: Tensor): Tensor };

const passOn: ScalarGradient = { of: "nothing", gradient: (_c, g) => g };
const scaled: ScalarGradient = { of: "nothing", gradient: (c, g) => g.mul(c) };
const scalarExtremum = (below: "lt" | "gt"): ScalarGradient => ({
  of: "x",
  gradient: (x, c, g) => extremum(below)(x, x.fullLike(c), g)[0],
});

const scalarGradients: { readonly [K in BinaryKind]: Readonly<Record<Side, ScalarGradient>> } = {
  add: { right: passOn, left: passOn },
  sub: { right: passOn, left: { of: "nothing", gradient: (_c, g) => g.neg() } },
  mul: { right: scaled, left: scaled },
  div: {
    right: { of: "nothing", gradient: (c, g) => g.div(c) },
    left: { of: "x", gradient: (x, c, g) => g.mul(-c).div(x).div(x) },
  },
  max: { right: scalarExtremum("lt"), left: scalarExtremum("lt") },
  min: { right: scalarExtremum("gt"), left: scalarExtremum("gt") },
  pow: {
    right: { of: "x", gradient: (x, c, g) => (c === 0 ? g.zerosLike() : g.mul(x.pow(c - 1)).mul(c)) },
    // 0^x is constant for x >= 0.
    left: {
      of: "x",
      gradient: (x, c, g) => {
        const slope = g.mul(pow(c, x)).mul(Math.log(c));
        return c === 0 ? x.ge(0).where(g.zerosLike(), slope) : slope;
      },
    },
  },
};

const scalarRuleOf = (kind: BinaryKind, side: Side): OpRule<"binaryScalar"> => {
  const d = scalarGradients[kind][side];
  const decompose: OpRule<"binaryScalar">["decompose"] = ([input], { value }) => {
    const x = input as Tensor;
    const c = fill(x.runtime, [], x.dtype, value);
    return [side === "right" ? binaryOp(kind, x, c) : binaryOp(kind, c, x)];
  };
  return d.of === "x"
    ? {
        name: "binaryScalar",
        saves: { inputs: [0] },
        gradient: (c) => [d.gradient(c.input(0), c.attrs.value, c.grad())],
        decompose,
      }
    : { name: "binaryScalar", gradient: (c) => [d.gradient(c.attrs.value, c.grad())], decompose };
};

const forKinds = <R>(make: (kind: BinaryKind) => R): Readonly<Record<BinaryKind, R>> => ({
  add: make("add"),
  sub: make("sub"),
  mul: make("mul"),
  div: make("div"),
  max: make("max"),
  min: make("min"),
  pow: make("pow"),
});

const rules = /* @__PURE__ */ forKinds(ruleOf);
const scalarRules = /* @__PURE__ */ forKinds((kind) => ({
  left: scalarRuleOf(kind, "left"),
  right: scalarRuleOf(kind, "right"),
}));

const names: Readonly<Record<BinaryKind, string>> = {
  add: "add",
  sub: "sub",
  mul: "mul",
  div: "div",
  max: "maximum",
  min: "minimum",
  pow: "pow",
};

const expectKind = (kind: BinaryKind, dtype: DType): void =>
  expectDType(names[kind], "a", dtype, kind === "div" || kind === "pow" ? floatDTypes : numericDTypes);

const binaryOp = (kind: BinaryKind, a: Tensor, b: Tensor): Tensor => {
  expectKind(kind, a.dtype);
  if (a.dtype !== b.dtype)
    throw new DTypeError(`${names[kind]}: a is ${a.dtype}, b is ${b.dtype}; cast one of them, there is no promotion`);
  const shape = broadcastShapes(names[kind], a.shape, b.shape);
  const inputs = [padRank(a.shape, shape.length), padRank(b.shape, shape.length)];
  return dispatch(rules[kind], [a, b], { kind }, { shape, dtype: a.dtype }, { inputs });
};

const scalarOp = (kind: BinaryKind, x: Tensor, value: number, side: Side): Tensor => {
  expectKind(kind, x.dtype);
  if (!floatDTypes.includes(x.dtype) && !Number.isInteger(value))
    throw new DTypeError(`${names[kind]}: ${value} is no integer, the tensor is ${x.dtype}`);
  return dispatch(scalarRules[kind][side], [x], { kind, value, side }, { shape: x.shape, dtype: x.dtype });
};

/** A tensor or a number; a number takes the other operand's dtype. */
export type Operand = Tensor | number;

const binary =
  (kind: BinaryKind) =>
  (a: Operand, b: Operand): Tensor => {
    if (typeof a === "number") {
      if (typeof b === "number")
        throw new ArgumentError(`${names[kind]}: both operands are numbers, expected a tensor`);
      return scalarOp(kind, b, a, "left");
    }
    return typeof b === "number" ? scalarOp(kind, a, b, "right") : binaryOp(kind, a, b);
  };

type Binary = (a: Operand, b: Operand) => Tensor;

/** a + b, broadcast. One operand may be a number. */
export const add: Binary = /* @__PURE__ */ binary("add");
/** a - b, broadcast. One operand may be a number. */
export const sub: Binary = /* @__PURE__ */ binary("sub");
/** a · b element by element, broadcast. One operand may be a number. */
export const mul: Binary = /* @__PURE__ */ binary("mul");
/** a / b, broadcast; floats only. One operand may be a number. */
export const div: Binary = /* @__PURE__ */ binary("div");
/** The larger of a and b; NaN if either is. Ties share the gradient. One operand may be a number. */
export const maximum: Binary = /* @__PURE__ */ binary("max");
/** The smaller of a and b; NaN if either is. Ties share the gradient. One operand may be a number. */
export const minimum: Binary = /* @__PURE__ */ binary("min");
/** a to the power b; floats only; NaN for a negative a and a fractional b. One operand may be a number. */
export const pow: Binary = /* @__PURE__ */ binary("pow");
