/**
 * A network that learns which feature maps to combine: J. Bouvrie, "Notes on Convolutional Neural Networks", 2006,
 * section 3.3.
 */
import { ArgumentError, scope, type Tensor } from "@striate/core";
import {
  combinedConv2d,
  conv2d,
  flatten,
  init,
  inOrder,
  type Layer,
  linear,
  type Module,
  maxPool2d,
  relu,
} from "@striate/nn";

export interface CombinedNetOptions {
  /** Default 3. */
  readonly channels?: number;
  /** Maps of the two convolutions; the second learns which of the first it combines. Default 16, 32. */
  readonly widths?: readonly [number, number];
  /** Default 10. */
  readonly classes?: number;
}

/** So small that each map starts from nearly the mean of all, and different so that no two stay alike. */
const combinationInit = /* @__PURE__ */ init.normal(0, 0.1);

/**
 * [N, channels, 32, 32] -> logits [N, classes]: conv 5x5, ReLU, max pool 2, combined conv 5x5, ReLU, max pool 2,
 * linear. Train it with `combinationEntropy` added to the loss.
 */
export const combinedNet = ({ channels = 3, widths = [16, 32], classes = 10 }: CombinedNetOptions = {}): Layer => {
  const [first, second] = widths;
  return (m) =>
    inOrder(m, {
      conv1: conv2d(channels, first, 5),
      relu1: relu(),
      pool1: maxPool2d(2),
      conv2: combinedConv2d(first, second, 5, { combinationInit }),
      relu2: relu(),
      pool2: maxPool2d(2),
      flatten: flatten(),
      fc: linear(second * 25, classes),
    });
};

const expectNonNegative = (lambda: number): void => {
  if (!(Number.isFinite(lambda) && lambda >= 0))
    throw new ArgumentError(`combinationEntropy: lambda is ${lambda}, expected a finite number >= 0`);
};

/**
 * A penalty that drives each output map of the `combinedConv2d` layers in `net` towards few input maps: λ · Σ_o
 * H(alpha_o), the entropies of the alphas of each map. 0 where each map takes one input map; λ · log(inputs) a map
 * where it takes the mean of all, which is a maximum: the loss, or the initial scores, must lead away from it.
 *
 * The notes have λ · Σ|alpha|, for the same end. But the alphas are a softmax: they are positive and add up to 1, so
 * that sum is the number of maps whatever the scores are, and by the notes' own formula, λ(|alpha_i| - alpha_i Σ_k
 * |alpha_k|), its gradient is 0.
 *
 * @throws ArgumentError for a negative λ, or if no layer of `net` has combinations.
 */
export const combinationEntropy = (net: Pick<Module, "namedParameters">, lambda: number): Tensor => {
  expectNonNegative(lambda);
  const scores = [...net.namedParameters()].flatMap(([name, parameter]) =>
    name === "combination" || name.endsWith(".combination") ? [parameter] : [],
  );
  if (scores.length === 0) throw new ArgumentError("combinationEntropy: no layer of the network has combinations");
  return scope(() => {
    const entropies = scores.map((c) => c.softmax(1).mul(c.logSoftmax(1)).sum());
    return entropies.reduce((sum, entropy) => sum.add(entropy)).mul(-lambda);
  });
};
