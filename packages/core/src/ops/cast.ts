import type { DType } from "../backend.js";
import { defineOp, dispatch, view } from "../dispatch.js";
import type { Tensor } from "../tensor.js";

const rule = defineOp({
  name: "cast",
  gradient: (c) => [cast(c.grad(), (c.inputSpecs[0] as { dtype: DType }).dtype)],
});

/**
 * Elements converted to `dtype`. Floats truncate towards zero on the way to integers, which is where a gradient ends;
 * what NaN and numbers outside the integers' range become depends on the backend, as in PyTorch. Anything becomes bool
 * as `x != 0`. A cast to the tensor's own dtype shares its storage.
 */
export const cast = (x: Tensor, dtype: DType): Tensor =>
  dtype === x.dtype ? view("cast", x, x.shape) : dispatch(rule, [x], {}, { shape: x.shape, dtype });
