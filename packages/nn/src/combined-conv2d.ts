import type { Conv2dOptions as Conv2dOpOptions } from "@striate/core";
import { constant, fansOf, type Initialiser } from "./init.js";
import type { Layer } from "./module.js";
import { type AffineOptions, expectSizes, initsOf, type Pair, pairOf } from "./options.js";

export interface CombinedConv2dOptions extends Omit<Conv2dOpOptions, "bias" | "groups">, AffineOptions {
  /** Of the scores c. Default 0: every output map starts from the mean of all. */
  readonly combinationInit?: Initialiser;
}

/**
 * A convolution that learns which input maps each output map combines (J. Bouvrie, "Notes on Convolutional Neural
 * Networks", 2006, section 5): y_o = Σ_i alpha_oi · (x_i * w_i) + b_o, where the alphas of an output map are
 * softmax(c_o). [N, inChannels, H, W] -> [N, outChannels, oh, ow].
 *
 * Parameters: weight [inChannels, 1, kh, kw], one kernel an input map; combination [outChannels, inChannels], the
 * scores c; bias [outChannels]. The alphas of a map add up to 1, so a penalty
 * λ · Σ|alpha| on them is constant; one on their entropy, or on |c|, is not.
 */
export const combinedConv2d = (
  inChannels: number,
  outChannels: number,
  kernel: Pair,
  options: CombinedConv2dOptions = {},
): Layer => {
  const { bias: withBias = true, weightInit: _w, biasInit: _b, combinationInit = constant(0), ...geometry } = options;
  expectSizes("combinedConv2d", { inChannels, outChannels, kernel });
  const { weightInit, biasInit } = initsOf(options);
  return (m) => {
    const weight = m.parameter("weight", [inChannels, 1, ...pairOf(kernel)], weightInit);
    const combination = m.parameter("combination", [outChannels, inChannels], combinationInit);
    const bias = withBias ? m.parameter("bias", [outChannels], biasInit, fansOf(weight.shape)) : undefined;
    return (x) =>
      x
        .conv2d(weight, { ...geometry, groups: inChannels })
        .conv2d(combination.softmax(1).reshape([outChannels, inChannels, 1, 1]), { bias });
  };
};
