/** Pooling as layers: the ops of core with their options bound. None has parameters, except `subsampling2d`. */
import { ArgumentError, type AvgPoolOptions, type PoolOptions, type Tensor, type UpsampleOptions } from "@striate/core";
import { fansOf } from "./init.js";
import type { Layer } from "./module.js";
import { expectSizes, type InitOptions, initsOf, type Pair, pairOf } from "./options.js";

export type Pool2dOptions = Omit<PoolOptions, "kernel">;

export const maxPool2d = (kernel: Pair, options: Pool2dOptions = {}): Layer => {
  expectSizes("maxPool2d", { kernel });
  return () => (x) => x.maxPool2d({ ...options, kernel });
};

/** For `maxUnpool2d`: its second result says where each maximum was. */
export const maxPool2dWithIndices = (
  kernel: Pair,
  options: Pool2dOptions = {},
): Layer<(x: Tensor) => { y: Tensor; indices: Tensor }> => {
  expectSizes("maxPool2dWithIndices", { kernel });
  return () => (x) => x.maxPool2dWithIndices({ ...options, kernel });
};

/**
 * Puts each value where its maximum was, zeros elsewhere. Without an `outputSize` the pool is taken to have left no
 * rest, as PyTorch: (h - 1) · stride - 2 · padding + kernel.
 */
export const maxUnpool2d = (
  kernel: Pair,
  { stride = kernel, padding = 0 }: { readonly stride?: Pair; readonly padding?: Pair } = {},
): Layer<(x: Tensor, indices: Tensor, outputSize?: readonly [number, number]) => Tensor> => {
  expectSizes("maxUnpool2d", { kernel, stride });
  const along = (axis: 0 | 1, n: number): number =>
    (n - 1) * pairOf(stride)[axis] - 2 * pairOf(padding)[axis] + pairOf(kernel)[axis];
  return () =>
    (x, indices, outputSize = [along(0, x.shape[2] as number), along(1, x.shape[3] as number)]) =>
      x.maxUnpool2d(indices, { outputSize });
};

export const avgPool2d = (kernel: Pair, options: Omit<AvgPoolOptions, "kernel"> = {}): Layer => {
  expectSizes("avgPool2d", { kernel });
  return () => (x) => x.avgPool2d({ ...options, kernel });
};

/** Mean over windows such that the output has the given size; 1 makes it global. */
export const adaptiveAvgPool2d = (outputSize: Pair): Layer => {
  expectSizes("adaptiveAvgPool2d", { outputSize });
  return () => (x) => x.adaptiveAvgPool2d(outputSize);
};

/** Maximum over windows such that the output has the given size. */
export const adaptiveMaxPool2d = (outputSize: Pair): Layer => {
  expectSizes("adaptiveMaxPool2d", { outputSize });
  return () => (x) => x.adaptiveMaxPool2d(outputSize);
};

/**
 * Trainable subsampling, β · (sum of the window) + b for each map, as S2 and S4 of LeNet-5; windows do not overlap
 * and cover the image. Parameters: weight (β) and bias (b), [channels]. Squash the result with a layer of its own.
 *
 * @throws ArgumentError, in the forward pass, if the kernel does not divide the image.
 */
export const subsampling2d = (channels: number, kernel: Pair, options: InitOptions = {}): Layer => {
  expectSizes("subsampling2d", { channels, kernel });
  const { weightInit, biasInit } = initsOf(options);
  const [kh, kw] = pairOf(kernel);
  const fans = fansOf([1, 1, kh, kw]);
  return (m) => {
    const weight = m.parameter("weight", [channels], weightInit, fans);
    const bias = m.parameter("bias", [channels], biasInit, fans);
    return (x) => {
      const [, , height = 0, width = 0] = x.shape;
      if (height % kh !== 0 || width % kw !== 0)
        throw new ArgumentError(
          `subsampling2d: kernel [${kh}, ${kw}] does not divide an image of [${height}, ${width}]`,
        );
      const sums = x.avgPool2d({ kernel }).mul(kh * kw);
      return sums.mul(weight.reshape([1, channels, 1, 1])).add(bias.reshape([1, channels, 1, 1]));
    };
  };
};

/** Enlarges images by an integer factor. */
export const upsample2d = (options: UpsampleOptions): Layer => {
  expectSizes("upsample2d", { scale: options.scale });
  return () => (x) => x.upsample2d(options);
};
