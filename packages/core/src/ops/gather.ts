import type { DType, Shape } from "../backend.js";
import { defineOp, dispatch, expectArguments, view } from "../dispatch.js";
import { expectDType, numericDTypes } from "../dtype.js";
import { ArgumentError, DTypeError, IndexError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, normalizeAxis, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";

const expectIndex = (op: string, x: Tensor, axis: number, index: Tensor): void => {
  expectDType(op, "index", index.dtype, ["int32"]);
  if (index.rank !== x.rank || index.shape.some((n, i) => i !== axis && n > (x.shape[i] as number)))
    throw new ShapeError(
      `${op}: index is ${formatShape(index.shape)}, x ${formatShape(x.shape)}; ` +
        `expected the same rank and no more elements on any axis but ${axis}`,
    );
};

const gatherRule = defineOp({
  name: "gather",
  inputs: ["x", "index"],
  saves: { inputs: [1] },
  gradient: (c) => {
    const { shape, dtype } = c.inputSpecs[0] as { shape: Shape; dtype: DType };
    const g = c.grad();
    return [fill(g.runtime, shape, dtype, 0).scatterAdd(c.attrs.axis, c.input(1), g), null];
  },
});

/**
 * y[.., i, ..] = x[.., index[.., i, ..], ..] on `axis`; y has the shape of `index` (int32), as torch.gather.
 *
 * @throws IndexError for an index outside the axis (at the latest when the result is read).
 */
export const gather = (x: Tensor, axis: number, index: Tensor): Tensor => {
  const a = normalizeAxis("gather", axis, x.rank);
  expectIndex("gather", x, a, index);
  if (x.size === 0 && index.size > 0)
    throw new IndexError(`gather: x of shape ${formatShape(x.shape)} has no elements to index`);
  return dispatch(gatherRule, [x, index], { axis: a }, { shape: index.shape, dtype: x.dtype });
};

const scatterAddRule = defineOp({
  name: "scatterAdd",
  inputs: ["x", "index", "source"],
  saves: { inputs: [1] },
  gradient: (c) => [c.grad(), null, c.needs[2] ? c.grad().gather(c.attrs.axis, c.input(1)) : null],
});

/**
 * A copy of x with source[.., i, ..] added at [.., index[.., i, ..], ..] on `axis`, as torch.scatter_add. `index` (int32)
 * and `source` have the same shape.
 *
 * @throws IndexError for an index outside the axis (at the latest when the result is read).
 */
export const scatterAdd = (x: Tensor, axis: number, index: Tensor, source: Tensor): Tensor => {
  const a = normalizeAxis("scatterAdd", axis, x.rank);
  expectDType("scatterAdd", "x", x.dtype, numericDTypes);
  expectIndex("scatterAdd", x, a, index);
  if (!sameShape(index.shape, source.shape))
    throw new ShapeError(`scatterAdd: source is ${formatShape(source.shape)}, index ${formatShape(index.shape)}`);
  if (x.dtype !== source.dtype) throw new DTypeError(`scatterAdd: source is ${source.dtype}, x is ${x.dtype}`);
  if (source.size === 0) return view("scatterAdd", x, x.shape);
  if (x.size === 0) throw new IndexError(`scatterAdd: x of shape ${formatShape(x.shape)} has no elements to index`);
  return dispatch(scatterAddRule, [x, index, source], { axis: a }, { shape: x.shape, dtype: x.dtype });
};

/** The slices of x at `index` (int32, rank 1) along `axis`, as torch.index_select. Indices may repeat. */
export const indexSelect = /* @__PURE__ */ scoped((x: Tensor, axis: number, index: Tensor): Tensor => {
  expectArguments("indexSelect", { x, index });
  const a = normalizeAxis("indexSelect", axis, x.rank);
  expectDType("indexSelect", "index", index.dtype, ["int32"]);
  if (index.rank !== 1) throw new ShapeError(`indexSelect: index is ${formatShape(index.shape)}, expected rank 1`);
  const line = index.reshape(x.shape.map((_, i) => (i === a ? index.size : 1)));
  const full = line.expand(x.shape.map((n, i) => (i === a ? index.size : n)));
  return gather(x, a, full);
});

/** 1 at each label's class, 0 elsewhere: labels [...] int32 -> [..., classes]. @throws IndexError for other labels. */
export const oneHot = /* @__PURE__ */ scoped((labels: Tensor, classes: number, dtype: DType = "float32"): Tensor => {
  expectArguments("oneHot", { labels });
  expectDType("oneHot", "labels", labels.dtype, ["int32"]);
  expectDType("oneHot", "dtype", dtype, numericDTypes);
  if (!Number.isInteger(classes) || classes < 1)
    throw new ArgumentError(`oneHot: classes is ${classes}, expected a positive integer`);
  const { runtime } = labels;
  const column = labels.unsqueeze(-1);
  return fill(runtime, [...labels.shape, classes], dtype, 0).scatterAdd(
    -1,
    column,
    fill(runtime, column.shape, dtype, 1),
  );
});
