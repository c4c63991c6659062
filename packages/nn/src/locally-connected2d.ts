import type { LocallyConnectedOptions } from "@striate/core";
import type { Layer } from "./module.js";
import { type AffineOptions, expectSizes, initsOf, type Pair, pairOf } from "./options.js";

export interface LocallyConnected2dOptions extends Omit<LocallyConnectedOptions, "bias">, AffineOptions {
  /** [oh, ow], which the number of weights depends on. */
  readonly outputSize: Pair;
}

/**
 * A convolution with weights of its own at every position: [N, inChannels, H, W] -> [N, outChannels, oh, ow].
 * Parameters: weight [oh, ow, outChannels, inChannels, kh, kw], bias [outChannels, oh, ow].
 */
export const locallyConnected2d = (
  inChannels: number,
  outChannels: number,
  kernel: Pair,
  options: LocallyConnected2dOptions,
): Layer => {
  const { outputSize, bias: withBias = true, weightInit: _w, biasInit: _b, ...geometry } = options;
  expectSizes("locallyConnected2d", { inChannels, outChannels, kernel, outputSize });
  const { weightInit, biasInit } = initsOf(options);
  const [oh, ow] = pairOf(outputSize);
  const [kh, kw] = pairOf(kernel);
  // Of one position: each has its own weights.
  const fans = { fanIn: inChannels * kh * kw, fanOut: outChannels * kh * kw };
  return (m) => {
    const weight = m.parameter("weight", [oh, ow, outChannels, inChannels, kh, kw], weightInit, fans);
    const bias = withBias ? m.parameter("bias", [outChannels, oh, ow], biasInit, fans) : undefined;
    return (x) => x.locallyConnected2d(weight, { ...geometry, bias });
  };
};
