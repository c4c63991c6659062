import { defineOp, dispatch, expectArguments, type OpRule, view } from "../dispatch.js";
import { expectDType, floatDTypes, numericDTypes } from "../dtype.js";
import { ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, normalizeAxes, reducedShape, sizeOf } from "../shape.js";
import type { Tensor } from "../tensor.js";

export interface ReduceOptions {
  /** Leave the reduced axes in place with size 1. Default false. */
  readonly keepDims?: boolean | undefined;
}

/** One axis or several, negative ones counted from the end; all if undefined. */
export type Axes = number | readonly number[];

type Kind = "sum" | "max" | "min";

/** g, shaped like the reduced tensor, with ones in place of the reduced axes. */
const keepDims = (g: Tensor, shape: readonly number[], axes: readonly number[]): Tensor =>
  g.reshape(reducedShape(shape, axes, true));

// `amax`'s rule: elements that tie for the extreme share the gradient evenly.
const extremum = (label: "max" | "min"): OpRule<"reduce"> => ({
  name: "reduce",
  label,
  saves: { inputs: [0], outputs: [0] },
  gradient: (c) => {
    const x = c.input(0);
    const { axes } = c.attrs;
    const isExtreme = x.eq(keepDims(c.output(0), x.shape, axes)).cast(x.dtype);
    const count = isExtreme.sum(axes, { keepDims: true });
    return [isExtreme.mul(keepDims(c.grad(), x.shape, axes).div(count))];
  },
});

const rules: { readonly [K in Kind]: OpRule<"reduce"> } = {
  sum: defineOp({
    name: "reduce",
    label: "sum",
    empty: 0,
    gradient: (c) => {
      const { shape } = c.inputSpecs[0] as { shape: readonly number[] };
      return [keepDims(c.grad(), shape, c.attrs.axes).expand(shape)];
    },
  }),
  max: extremum("max"),
  min: extremum("min"),
};

const reduce = (kind: Kind, x: Tensor, over: Axes | undefined, options: ReduceOptions = {}): Tensor => {
  expectDType(kind, "x", x.dtype, numericDTypes);
  const axes = normalizeAxes(kind, over, x.rank);
  const shape = reducedShape(x.shape, axes, options.keepDims ?? false);
  if (axes.length === 0) return view(kind, x, shape);
  if (kind !== "sum" && x.size === 0 && sizeOf(shape) > 0)
    throw new ShapeError(`${kind}: x of shape ${formatShape(x.shape)} has no elements along axes ${formatShape(axes)}`);
  const outputs = [reducedShape(x.shape, axes, false)];
  return dispatch(rules[kind], [x], { kind, axes }, { shape, dtype: x.dtype }, { outputs });
};

/** Sum over `axes`; 0 over no elements. Integers wrap. */
export const sum = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor => reduce("sum", x, axes, options);

/** Maximum over `axes`; NaN if there is one. Ties share the gradient evenly. @throws ShapeError over no elements. */
export const max = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor => reduce("max", x, axes, options);

/** Minimum over `axes`; NaN if there is one. Ties share the gradient evenly. @throws ShapeError over no elements. */
export const min = (x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor => reduce("min", x, axes, options);

const countAlong = (x: Tensor, axes: readonly number[]): number => sizeOf(axes.map((a) => x.shape[a] as number));

/** Arithmetic mean over `axes`; NaN over no elements. */
export const mean = /* @__PURE__ */ scoped((x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor => {
  expectArguments("mean", { x });
  expectDType("mean", "x", x.dtype, floatDTypes);
  const over = normalizeAxes("mean", axes, x.rank);
  return x.sum(over, options).div(countAlong(x, over));
});

const varianceRule = defineOp({
  name: "variance",
  empty: Number.NaN,
  saves: { inputs: [0] },
  gradient: (c) => {
    const x = c.input(0);
    const { axes } = c.attrs;
    const centred = x.sub(x.mean(axes, { keepDims: true }));
    return [centred.mul(keepDims(c.grad(), x.shape, axes).mul(2 / countAlong(x, axes)))];
  },
  decompose: ([input], { axes }, [output]) => {
    const x = input as Tensor;
    const centred = x.sub(x.mean(axes, { keepDims: true }));
    return [
      centred
        .square()
        .mean(axes)
        .reshape((output as { shape: readonly number[] }).shape),
    ];
  },
});

export interface VarianceOptions extends ReduceOptions {
  /** Divide by n - 1 (Bessel) instead of n. Default false. */
  readonly unbiased?: boolean | undefined;
}

/** Mean squared distance from the mean over `axes`, by two passes: never E[x²] - E[x]². NaN over no elements. */
export const variance = /* @__PURE__ */ scoped((x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor => {
  expectArguments("variance", { x });
  expectDType("variance", "x", x.dtype, floatDTypes);
  const over = normalizeAxes("variance", axes, x.rank);
  const shape = reducedShape(x.shape, over, options.keepDims ?? false);
  const n = countAlong(x, over);
  const outputs = [reducedShape(x.shape, over, false)];
  const biased =
    over.length === 0 ? x.sub(x) : dispatch(varianceRule, [x], { axes: over }, { shape, dtype: x.dtype }, { outputs });
  return options.unbiased ? biased.mul(n / (n - 1)) : biased;
});

/** log Σ e^x over `axes`, with the maximum subtracted first; -Infinity over no elements. */
export const logSumExp = /* @__PURE__ */ scoped((x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor => {
  expectArguments("logSumExp", { x });
  expectDType("logSumExp", "x", x.dtype, floatDTypes);
  const over = normalizeAxes("logSumExp", axes, x.rank);
  const shape = reducedShape(x.shape, over, options.keepDims ?? false);
  if (x.size === 0) return x.sum(over, options).log();
  const maximum = x.detach().max(over, { keepDims: true });
  // An infinite maximum would give Inf - Inf; any finite shift is right there.
  const shift = maximum.abs().eq(Number.POSITIVE_INFINITY).where(0, maximum);
  return x.sub(shift).exp().sum(over, { keepDims: true }).log().add(shift).reshape(shape);
});
