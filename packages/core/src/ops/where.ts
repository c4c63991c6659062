import { defineOp, dispatch } from "../dispatch.js";
import { expectDType } from "../dtype.js";
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
    return [null, condition.where(g, 0), condition.where(0, g)].map(
      (x, i) => x && unbroadcast(x, (c.inputSpecs[i] as { shape: readonly number[] }).shape),
    );
  },
});

/**
 * a where `condition` (bool) holds, else b; all three broadcast. One of a and b may be a number. Bits are selected, so
 * a NaN that is not chosen does not show.
 */
export const where = /* @__PURE__ */ scoped((condition: Tensor, a: Operand, b: Operand): Tensor => {
  expectDType("where", "condition", condition.dtype, ["bool"]);
  const like = typeof a === "number" ? b : a;
  if (typeof like === "number") throw new ArgumentError("where: a and b are both numbers, expected a tensor");
  const lift = (value: Operand): Tensor =>
    typeof value === "number" ? fill(like.runtime, [], like.dtype, value) : value;
  const [x, y] = [lift(a), lift(b)];
  if (x.dtype !== y.dtype)
    throw new DTypeError(`where: a is ${x.dtype}, b is ${y.dtype}; cast one of them, there is no promotion`);
  const shape = broadcastShapes("where", condition.shape, x.shape, y.shape);
  const inputs = [condition, x, y].map((t) => padRank(t.shape, shape.length));
  return dispatch(rule, [condition, x, y], {}, { shape, dtype: x.dtype }, { inputs });
});
