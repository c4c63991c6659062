import {
  ArgumentError,
  type Conv2dOptions as Conv2dOpOptions,
  type ConvTranspose2dOptions as ConvTranspose2dOpOptions,
  conv2dRelu,
  type Tensor,
} from "@striate/core";
import { fansOf } from "./init.js";
import type { Layer } from "./module.js";
import { type AffineOptions, expectGroups, expectSizes, initsOf, type Pair, pairOf } from "./options.js";

type NumericPadding = NonNullable<Conv2dOpOptions["padding"]>;

export interface Conv2dOptions extends Omit<Conv2dOpOptions, "bias" | "padding">, AffineOptions {
  /** Zeros around the image. "same" keeps its size at stride 1, "full" takes every position that touches it. Default 0. */
  readonly padding?: NumericPadding | "valid" | "same" | "full";
}

/** The named paddings for windows that reach over `reach` + 1 pixels. At "same", an odd one goes behind, as PyTorch. */
const namedPadding = {
  valid: () => [0, 0],
  same: (reach: number) => [Math.floor(reach / 2), Math.ceil(reach / 2)],
  full: (reach: number) => [reach, reach],
} as const;

const paddingOf = (
  padding: NonNullable<Conv2dOptions["padding"]>,
  kernel: Pair,
  dilation: Pair,
  stride: Pair,
): NumericPadding => {
  if (typeof padding !== "string") return padding;
  const sides = namedPadding[padding];
  if (!sides)
    throw new ArgumentError(
      `conv2d: padding is ${JSON.stringify(padding)}, expected numbers, "valid", "same" or "full"`,
    );
  if (padding === "same" && pairOf(stride).some((s) => s !== 1))
    throw new ArgumentError(`conv2d: padding "same" needs stride 1, got ${JSON.stringify(stride)}`);
  const [kh, kw] = pairOf(kernel);
  const [dh, dw] = pairOf(dilation);
  return [...sides(dh * (kh - 1)), ...sides(dw * (kw - 1))] as unknown as readonly [number, number, number, number];
};

/**
 * [N, inChannels, H, W] -> [N, outChannels, oh, ow]. Parameters: weight [outChannels, inChannels/groups, kh, kw],
 * bias [outChannels].
 */
export const conv2d = (inChannels: number, outChannels: number, kernel: Pair, options: Conv2dOptions = {}): Layer => {
  const { stride = 1, dilation = 1, groups = 1 } = options;
  expectSizes("conv2d", { inChannels, outChannels, kernel, stride, dilation });
  expectGroups("conv2d", groups, { inChannels, outChannels });
  const { weightInit, biasInit } = initsOf(options);
  const padding = paddingOf(options.padding ?? 0, kernel, dilation, stride);
  return (m) => {
    const weight = m.parameter("weight", [outChannels, inChannels / groups, ...pairOf(kernel)], weightInit);
    const bias =
      options.bias === false ? undefined : m.parameter("bias", [outChannels], biasInit, fansOf(weight.shape));
    const geometry = { bias, stride, padding, dilation, groups };
    return Object.assign((x: Tensor) => x.conv2d(weight, geometry), {
      withRelu: (x: Tensor) => conv2dRelu(x, weight, geometry),
    });
  };
};

export interface ConvTranspose2dOptions extends Omit<ConvTranspose2dOpOptions, "bias">, AffineOptions {}

/**
 * [N, inChannels, H, W] -> [N, outChannels, oh, ow], the adjoint of a convolution. Parameters: weight
 * [inChannels, outChannels/groups, kh, kw], bias [outChannels]; fans are those of that shape, as PyTorch takes them.
 */
export const convTranspose2d = (
  inChannels: number,
  outChannels: number,
  kernel: Pair,
  options: ConvTranspose2dOptions = {},
): Layer => {
  const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
  expectSizes("convTranspose2d", { inChannels, outChannels, kernel, stride, dilation });
  expectGroups("convTranspose2d", groups, { inChannels, outChannels });
  const { weightInit, biasInit } = initsOf(options);
  return (m) => {
    const weight = m.parameter("weight", [inChannels, outChannels / groups, ...pairOf(kernel)], weightInit);
    const bias =
      options.bias === false ? undefined : m.parameter("bias", [outChannels], biasInit, fansOf(weight.shape));
    return (x) => x.convTranspose2d(weight, { bias, stride, padding, outputPadding, dilation, groups });
  };
};
