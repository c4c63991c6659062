/** Activations as layers, for `sequential`; elsewhere the tensor's methods serve. */
import {
  customGradient,
  type MaxoutOptions,
  maximum,
  type PointwiseValue,
  pointwise,
  type Tensor,
} from "@striate/core";
import type { Layer } from "./module.js";
import { expectSizes } from "./options.js";

export const relu = (): Layer => () => Object.assign((x: Tensor) => x.relu(), { isRelu: true });

/** x > 0 ? x : negativeSlope · x */
export const leakyRelu =
  (negativeSlope = 0.01): Layer =>
  () =>
  (x) =>
    x.leakyRelu(negativeSlope);

/** x > 0 ? x : alpha · (e^x - 1) */
export const elu =
  (alpha = 1): Layer =>
  () =>
  (x) =>
    x.elu(alpha);

/** max(-a, x) */
export const srelu =
  (a = 1): Layer =>
  () =>
  (x) =>
    maximum(x, -a);

/** x · Φ(x), exact. */
export const gelu = (): Layer => () => (x) => x.gelu();

/** x · sigmoid(x) */
export const silu = (): Layer => () => (x) => x.silu();

/** log(1 + e^x) */
export const softplus = (): Layer => () => (x) => x.softplus();

/** 1 / (1 + e^(-slope · x)) */
export const sigmoid =
  (slope = 1): Layer =>
  () =>
  (x) =>
    (slope === 1 ? x : x.mul(slope)).sigmoid();

export const tanh = (): Layer => () => (x) => x.tanh();

/** a · tanh(b · x); the defaults are LeNet-5's. */
export const scaledTanh = (a = 1.7159, b = 2 / 3): Layer => {
  // a·b - b/a · y², one kernel instead of six: small networks spend their time on the number of kernels.
  const squash = customGradient("scaledTanh", {
    forward: (x) => ({ value: (x as Tensor).mul(b).tanh().mul(a) }),
    backward: ({ grad, value }) =>
      pointwise([grad, value], (g, y) => [
        (g as PointwiseValue).mul(
          (y as PointwiseValue)
            .square()
            .mul(-b / a)
            .add(a * b),
        ),
      ]),
  });
  return () => squash;
};

/** The largest of each `pieces` neighbouring channels. I. Goodfellow et al., ICML 2013. */
export const maxout = (pieces: number, options: Omit<MaxoutOptions, "pieces"> = {}): Layer => {
  expectSizes("maxout", { pieces });
  return () => (x) => x.maxout({ ...options, pieces });
};

export const softmax =
  (axis = -1): Layer =>
  () =>
  (x) =>
    x.softmax(axis);
