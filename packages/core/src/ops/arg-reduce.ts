import { defineOp, dispatch, expectArguments } from "../dispatch.js";
import { expectDType, numericDTypes } from "../dtype.js";
import { ShapeError } from "../errors.js";
import { scope } from "../scope.js";
import { formatShape, normalizeAxis, reducedShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";
import type { ReduceOptions } from "./reduce.js";

type ArgReduce = (x: Tensor, axis?: number, options?: ReduceOptions) => Tensor;

const argReduce = (kind: "argmax" | "argmin"): ArgReduce => {
  const rule = defineOp({ name: "argReduce", label: kind });
  const along: ArgReduce = (x, axis, options = {}) => {
    expectDType(kind, "x", x.dtype, numericDTypes);
    if (axis === undefined) {
      expectArguments(kind, { x });
      return scope(() => along(x.reshape([x.size]), 0).reshape(options.keepDims ? x.shape.map(() => 1) : []));
    }
    const a = normalizeAxis(kind, axis, x.rank);
    const shape = reducedShape(x.shape, [a], options.keepDims ?? false);
    if (x.shape[a] === 0 && sizeOf(shape) > 0)
      throw new ShapeError(`${kind}: x of shape ${formatShape(x.shape)} has no elements along axis ${a}`);
    const outputs = [reducedShape(x.shape, [a], false)];
    return dispatch(rule, [x], { kind, axis: a }, { shape, dtype: "int32" }, { outputs });
  };
  return along;
};

/** Position (int32) of the maximum along `axis`, of the flattened tensor if undefined. Ties: the first; NaN wins. */
export const argmax: ArgReduce = /* @__PURE__ */ argReduce("argmax");

/** Position (int32) of the minimum along `axis`, of the flattened tensor if undefined. Ties: the first; NaN wins. */
export const argmin: ArgReduce = /* @__PURE__ */ argReduce("argmin");
