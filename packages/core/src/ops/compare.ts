import type { CompareKind } from "../backend.js";
import { defineOp, dispatch, expectArguments } from "../dispatch.js";
import { expectDType, expectElement } from "../dtype.js";
import { DTypeError } from "../errors.js";
import { scope } from "../scope.js";
import { broadcastShapes, padRank } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";

const rule = defineOp({ name: "compare" });

const compareOp = (op: string, kind: CompareKind, a: Tensor, b: Tensor): Tensor => {
  if (a.dtype !== b.dtype)
    throw new DTypeError(`${op}: a is ${a.dtype}, b is ${b.dtype}; cast one of them, there is no promotion`);
  const shape = broadcastShapes(op, a.shape, b.shape);
  const inputs = [padRank(a.shape, shape.length), padRank(b.shape, shape.length)];
  return dispatch(rule, [a, b], { kind }, { shape, dtype: "bool" }, { inputs });
};

const compare =
  (op: string, kind: CompareKind, swap = false) =>
  (a: Tensor, b: Tensor | number): Tensor =>
    scope(() => {
      expectArguments(op, { a, b: typeof b === "number" ? undefined : b });
      if (typeof b === "number") expectElement(op, b, a.dtype);
      const other = typeof b === "number" ? fill(a.runtime, [], a.dtype, b) : b;
      return swap ? compareOp(op, kind, other, a) : compareOp(op, kind, a, other);
    });

type Compare = (a: Tensor, b: Tensor | number) => Tensor;

/** a == b as bool, broadcast; false where either is NaN. */
export const eq: Compare = /* @__PURE__ */ compare("eq", "eq");
/** a != b as bool, broadcast; true where either is NaN. */
export const ne: Compare = /* @__PURE__ */ compare("ne", "ne");
/** a < b as bool, broadcast. */
export const lt: Compare = /* @__PURE__ */ compare("lt", "lt");
/** a <= b as bool, broadcast. */
export const le: Compare = /* @__PURE__ */ compare("le", "le");
/** a > b as bool, broadcast. */
export const gt: Compare = /* @__PURE__ */ compare("gt", "lt", true);
/** a >= b as bool, broadcast. */
export const ge: Compare = /* @__PURE__ */ compare("ge", "le", true);

const expectBool = (op: string, operands: Readonly<Record<string, Tensor>>): void => {
  for (const [name, t] of Object.entries(operands)) expectDType(op, name, t.dtype, ["bool"]);
  expectArguments(op, operands);
};

/** Not, for bool. */
export const logicalNot = (a: Tensor): Tensor => {
  expectBool("logicalNot", { a });
  return eq(a, 0);
};

/** And, for bool, broadcast. */
export const logicalAnd = (a: Tensor, b: Tensor): Tensor => {
  expectBool("logicalAnd", { a, b });
  return a.where(b, 0);
};

/** Or, for bool, broadcast. */
export const logicalOr = (a: Tensor, b: Tensor): Tensor => {
  expectBool("logicalOr", { a, b });
  return a.where(1, b);
};
