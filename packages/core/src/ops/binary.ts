import type { BinaryKind, DType, Shape } from "../backend.js";
import { dispatch, type OpRule } from "../dispatch.js";
import { expectDType, expectElement, floatDTypes, numericDTypes } from "../dtype.js";
import { ArgumentError, DTypeError } from "../errors.js";
import { broadcastShapes, padRank } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";
import { unbroadcast } from "./unbroadcast.js";

const names: Readonly<Record<BinaryKind, string>> = {
  add: "add",
  sub: "sub",
  mul: "mul",
  div: "div",
  max: "maximum",
  min: "minimum",
  pow: "pow",
};

/** d(a op b)/da and d(a op b)/db, times g. */
type BinaryGradient =
  | {
      readonly saves: true;
      left(a: Tensor, b: Tensor, g: Tensor): Tensor;
      right(a: Tensor, b: Tensor, g: Tensor): Tensor;
    }
  | { readonly saves: false; left(g: Tensor): Tensor; right(g: Tensor): Tensor };

/** Nothing to the one that lost, half to each where both are equal, as PyTorch; at NaN both get all. */
const extremum = (below: "lt" | "gt"): BinaryGradient => {
  const own = (lost: Tensor, tie: Tensor, g: Tensor): Tensor => lost.where(0, tie.where(g.mul(0.5), g));
  return {
    saves: true,
    left: (a, b, g) => own(a[below](b), a.eq(b), g),
    right: (a, b, g) => own(b[below](a), a.eq(b), g),
  };
};

const gradients: { readonly [K in BinaryKind]: BinaryGradient } = {
  add: { saves: false, left: (g) => g, right: (g) => g },
  sub: { saves: false, left: (g) => g, right: (g) => g.neg() },
  mul: { saves: true, left: (_a, b, g) => g.mul(b), right: (a, _b, g) => g.mul(a) },
  div: { saves: true, left: (_a, b, g) => g.div(b), right: (a, b, g) => g.div(b).mul(a.div(b)).neg() },
  max: extremum("lt"),
  min: extremum("gt"),
  pow: {
    saves: true,
    // b·a^(b-1), which is 0 for b = 0 whatever a is.
    left: (a, b, g) => b.eq(0).where(0, g.mul(b).mul(a.pow(b.sub(1)))),
    // a^b·log a, which is 0 where a = 0 <= b.
    right: (a, b, g) =>
      a
        .eq(0)
        .logicalAnd(b.ge(0))
        .where(0, g.mul(a.pow(b)).mul(a.log())),
  },
};

const ruleOf = (kind: BinaryKind): OpRule<"binary"> => {
  const d = gradients[kind];
  return {
    name: "binary",
    label: names[kind],
    inputs: ["a", "b"],
    ...(d.saves && { saves: { inputs: [0, 1] } }),
    gradient: (c) =>
      (["left", "right"] as const).map((side, i) => {
        if (!c.needs[i]) return null;
        const g = d.saves ? d[side](c.input(0), c.input(1), c.grad()) : d[side](c.grad());
        return unbroadcast(g, (c.inputSpecs[i] as { shape: Shape }).shape);
      }),
  };
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
  gradient: (x, c, g) => x[below](c).where(0, x.eq(c).where(g.mul(0.5), g)),
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
  const common = {
    name: "binaryScalar",
    label: names[kind],
    inputs: [side === "left" ? "b" : "a"],
    decompose,
  } as const;
  return d.of === "x"
    ? { ...common, saves: { inputs: [0] }, gradient: (c) => [d.gradient(c.input(0), c.attrs.value, c.grad())] }
    : { ...common, gradient: (c) => [d.gradient(c.attrs.value, c.grad())] };
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
  expectElement(names[kind], value, x.dtype);
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
/**
 * a to the power b; floats only; NaN for a negative a and a fractional b, and, as in JavaScript, for 1 to the power NaN and
 * ±1 to the power ±Infinity (PyTorch: 1). One operand may be a number.
 */
export const pow: Binary = /* @__PURE__ */ binary("pow");
