/** Initial values of parameters, as torch.nn.init. */
import { ArgumentError } from "@striate/core";
import type { RandomSource } from "./random.js";

/** How many inputs a unit sums up, and how many units an input reaches. */
export interface Fans {
  readonly fanIn: number;
  readonly fanOut: number;
}

/** A parameter to be filled. */
export interface InitTarget extends Fans {
  /** Zeros, row-major. */
  readonly values: Float32Array | Float64Array;
  readonly shape: readonly number[];
  readonly random: RandomSource;
}

/** Fills `target.values`. */
export type Initialiser = (target: InitTarget) => void;

/** Of a weight [units, inputs, ...window]. A vector, which has no fans of its own, must be given its weight's. */
export const fansOf = (shape: readonly number[]): Fans => {
  const [units = 1, inputs = 1, ...window] = shape;
  const field = window.reduce((a, b) => a * b, 1);
  return { fanIn: inputs * field, fanOut: units * field };
};

/** Every element `value`. */
export const constant =
  (value: number): Initialiser =>
  ({ values }) => {
    values.fill(value);
  };

/** Uniform in (low, high). */
export const uniform =
  (low = 0, high = 1): Initialiser =>
  ({ values, random }) =>
    random.uniform(values, low, high);

export const normal =
  (mean = 0, std = 1): Initialiser =>
  ({ values, random }) =>
    random.normal(values, mean, std);

/** Standard deviation gain / √fan, uniform or normal. Without fan there is nothing to scale, and nothing to draw. */
const drawScaled = (distribution: "uniform" | "normal", target: InitTarget, std: number): void => {
  const { values, random } = target;
  if (distribution === "normal") random.normal(values, 0, std);
  else random.uniform(values, -Math.sqrt(3) * std, Math.sqrt(3) * std);
};

const gains = {
  linear: () => 1,
  sigmoid: () => 1,
  tanh: () => 5 / 3,
  relu: () => Math.SQRT2,
  leakyRelu: (slope: number) => Math.sqrt(2 / (1 + slope ** 2)),
} as const;

export interface KaimingOptions {
  /** Keep the variance of activations (fanIn) or of gradients (fanOut). Default "fanIn". */
  readonly mode?: keyof Fans;
  /** What follows the weights. Default "leakyRelu". */
  readonly nonlinearity?: keyof typeof gains;
  /** Negative slope of a leaky ReLU. Default 0, which is ReLU. */
  readonly a?: number;
}

const kaiming =
  (name: string, distribution: "uniform" | "normal") =>
  ({ mode = "fanIn", nonlinearity = "leakyRelu", a = 0 }: KaimingOptions = {}): Initialiser => {
    const gain = gains[nonlinearity];
    if (!gain)
      throw new ArgumentError(
        `${name}: nonlinearity is ${JSON.stringify(nonlinearity)}, expected one of ${Object.keys(gains).join(", ")}`,
      );
    return (target) => drawScaled(distribution, target, gain(a) / Math.sqrt(target[mode]));
  };

const xavier =
  (distribution: "uniform" | "normal") =>
  ({ gain = 1 }: { readonly gain?: number } = {}): Initialiser =>
  (target) =>
    drawScaled(distribution, target, gain * Math.sqrt(2 / (target.fanIn + target.fanOut)));

/** K. He et al., "Delving Deep into Rectifiers", ICCV 2015: variance gain² / fan. */
export const kaimingUniform: (options?: KaimingOptions) => Initialiser = /* @__PURE__ */ kaiming(
  "kaimingUniform",
  "uniform",
);
/** As `kaimingUniform`, normal. */
export const kaimingNormal: (options?: KaimingOptions) => Initialiser = /* @__PURE__ */ kaiming(
  "kaimingNormal",
  "normal",
);

/** X. Glorot, Y. Bengio, AISTATS 2010: variance gain² · 2 / (fanIn + fanOut). */
export const xavierUniform: (options?: { readonly gain?: number }) => Initialiser = /* @__PURE__ */ xavier("uniform");
/** As `xavierUniform`, normal. */
export const xavierNormal: (options?: { readonly gain?: number }) => Initialiser = /* @__PURE__ */ xavier("normal");

/** Uniform in ±scale / fanIn. LeNet-5 (Y. LeCun et al., 1998) has scale 2.4. */
export const fanInUniform =
  (scale = 2.4): Initialiser =>
  ({ values, random, fanIn }) =>
    random.uniform(values, -scale / fanIn, scale / fanIn);

/** What PyTorch gives linear layers and convolutions, weights and biases: uniform in ±1 / √fanIn. */
export const torchDefault: Initialiser = /* @__PURE__ */ kaimingUniform({ a: Math.sqrt(5) });

/**
 * Convolution weights [out, in, kh, kw] that pass the first min(out, in) channels through; `rest` fills the other
 * units. torch.nn.init.dirac_ has zeros there.
 *
 * @throws ArgumentError, when it fills, for a shape that is not of rank 4.
 */
export const dirac =
  ({ rest = constant(0) }: { readonly rest?: Initialiser } = {}): Initialiser =>
  (target) => {
    const { values, shape } = target;
    if (shape.length !== 4)
      throw new ArgumentError(`dirac: the shape is [${shape.join(", ")}], expected [out, in, kh, kw]`);
    const [out, inputs, kh, kw] = shape as readonly [number, number, number, number];
    rest(target);
    const unit = inputs * kh * kw;
    const centre = Math.floor(kh / 2) * kw + Math.floor(kw / 2);
    const passed = Math.min(out, inputs);
    values.fill(0, 0, passed * unit);
    for (let i = 0; i < passed; i++) values[i * unit + i * kh * kw + centre] = 1;
  };
