import { defineOp, dispatch } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { normalizeAxis } from "../shape.js";
import type { Tensor } from "../tensor.js";

const keep = { keepDims: true } as const;

const softmaxGradRule = defineOp({
  name: "softmaxGrad",
  decompose: ([output, gradient], { axis }) => {
    const [y, g] = [output as Tensor, gradient as Tensor];
    return [y.mul(g.sub(g.mul(y).sum(axis, keep)))];
  },
});

const softmaxRule = defineOp({
  name: "softmax",
  saves: { outputs: [0] },
  gradient: (c) => {
    const y = c.output(0);
    return [dispatch(softmaxGradRule, [y, c.grad()], c.attrs, { shape: y.shape, dtype: y.dtype })];
  },
  decompose: ([input], { axis }) => {
    const x = input as Tensor;
    const e = x.sub(x.max(axis, keep)).exp();
    return [e.div(e.sum(axis, keep))];
  },
});

const logSoftmaxGradRule = defineOp({
  name: "logSoftmaxGrad",
  decompose: ([output, gradient], { axis }) => {
    const [y, g] = [output as Tensor, gradient as Tensor];
    return [g.sub(y.exp().mul(g.sum(axis, keep)))];
  },
});

const logSoftmaxRule = defineOp({
  name: "logSoftmax",
  saves: { outputs: [0] },
  gradient: (c) => {
    const y = c.output(0);
    return [dispatch(logSoftmaxGradRule, [y, c.grad()], c.attrs, { shape: y.shape, dtype: y.dtype })];
  },
  decompose: ([input], { axis }) => {
    const x = input as Tensor;
    const shifted = x.sub(x.max(axis, keep));
    return [shifted.sub(shifted.exp().sum(axis, keep).log())];
  },
});

/** e^x / Σ e^x along `axis` (default the last), with the maximum subtracted first. */
export const softmax = (x: Tensor, axis = -1): Tensor => {
  expectDType("softmax", "x", x.dtype, floatDTypes);
  return dispatch(
    softmaxRule,
    [x],
    { axis: normalizeAxis("softmax", axis, x.rank) },
    { shape: x.shape, dtype: x.dtype },
  );
};

/** log softmax along `axis` (default the last), without computing the softmax. */
export const logSoftmax = (x: Tensor, axis = -1): Tensor => {
  expectDType("logSoftmax", "x", x.dtype, floatDTypes);
  const attrs = { axis: normalizeAxis("logSoftmax", axis, x.rank) };
  return dispatch(logSoftmaxRule, [x], attrs, { shape: x.shape, dtype: x.dtype });
};
