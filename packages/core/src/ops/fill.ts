import type { DType, Shape } from "../backend.js";
import { defineOp, dispatch } from "../dispatch.js";
import { expectElement } from "../dtype.js";
import { expectAlive, type Runtime } from "../runtime.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({ name: "fill" });

/** Every element `value`. */
export const fill = (runtime: Runtime, shape: Shape, dtype: DType, value: number): Tensor =>
  dispatch(rule, [], { value }, { shape, dtype }, {}, runtime);

/** A tensor of the shape, dtype and backend of `x` with every element `value`. */
export const fullLike = (x: Tensor, value: number): Tensor => {
  expectAlive("fullLike", "x", x);
  expectElement("fullLike", value, x.dtype);
  return fill(x.runtime, x.shape, x.dtype, value);
};

/** Zeros of the shape, dtype and backend of `x`. */
export const zerosLike = (x: Tensor): Tensor => fullLike(x, 0);

/** Ones of the shape, dtype and backend of `x`. */
export const onesLike = (x: Tensor): Tensor => fullLike(x, 1);
