import { defineOp, dispatch, expectArguments } from "../dispatch.js";
import { expectDType, expectElement } from "../dtype.js";
import { ArgumentError, DTypeError } from "../errors.js";
import { scoped } from "../scope.js";
import { broadcastShapes, padRank } from "../shape.js";
import type { Tensor } from "../tensor.js";
import type { Operand } from "./binary.js";
import { fill } from "./fill.js";
import { unbroadcast } from "./unbroadcast.js";

const rule = defineOp({
  name: "where",
  saves: { inputs: [0] },
  gradient: (c) => {
    const condition = c.input(0);
    const g = c.grad();
    const back = (i: 1 | 2, chosen: Tensor): Tensor =>
      unbroadcast(chosen, (c.inputSpecs[i] as { shape: readonly number[] }).shape);
    return [
      null,
      c.needs[1] ? back(1, condition.where(g, 0)) : null,
      c.needs[2] ? back(2, condition.where(0, g)) : null,
    ];
  },
});

/**
 * a where `condition` (bool) holds, else b; all three broadcast. One of a and b may be a number. Bits are selected, so
 * a NaN that is not chosen does not show.
 */
export const where = /* @__PURE__ */ scoped((condition: Tensor, a: Operand, b: Operand): Tensor => {
  const isTensor = (value: Operand): Tensor | undefined => (typeof value === "number" ? undefined : value);
  expectArguments("where", { condition, a: isTensor(a), b: isTensor(b) });
  expectDType("where", "condition", condition.dtype, ["bool"]);
  const like = typeof a === "number" ? b : a;
  if (typeof like === "number") throw new ArgumentError("where: a and b are both numbers, expected a tensor");
  const lift = (value: Operand): Tensor => {
    if (typeof value !== "number") return value;
    expectElement("where", value, like.dtype);
    return fill(like.runtime, [], like.dtype, value);
  };
  const [x, y] = [lift(a), lift(b)];
  if (x.dtype !== y.dtype)
    throw new DTypeError(`where: a is ${x.dtype}, b is ${y.dtype}; cast one of them, there is no promotion`);
  const shape = broadcastShapes("where", condition.shape, x.shape, y.shape);
  const inputs = [condition, x, y].map((t) => padRank(t.shape, shape.length));
  return dispatch(rule, [condition, x, y], {}, { shape, dtype: x.dtype }, { inputs });
});
