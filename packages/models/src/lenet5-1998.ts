/**
 * LeNet-5 as it was published: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
 * Recognition", Proceedings of the IEEE 86(11), 1998, section II.B. `lenet5` is its modern form.
 */
import { ArgumentError, crossEntropy, noGrad, ShapeError, scope, type Tensor, tensor } from "@striate/core";
import {
  conv2d,
  flatten,
  init,
  inOrder,
  type Layer,
  linear,
  partialConv2d,
  scaledTanh,
  subsampling2d,
} from "@striate/nn";
import { digitBitmaps } from "./digit-bitmaps.js";

/** The maps of S2 that feed each map of C3: table I. 60 links. */
export const lenet5Connections: readonly (readonly number[])[] = [
  [0, 1, 2],
  [1, 2, 3],
  [2, 3, 4],
  [3, 4, 5],
  [0, 4, 5],
  [0, 1, 5],
  [0, 1, 2, 3],
  [1, 2, 3, 4],
  [2, 3, 4, 5],
  [0, 3, 4, 5],
  [0, 1, 4, 5],
  [0, 1, 2, 5],
  [0, 1, 3, 4],
  [1, 2, 4, 5],
  [0, 2, 3, 5],
  [0, 1, 2, 3, 4, 5],
];

/**
 * What 28x28 images of 0 to 255 become: 32x32, background -0.1, ink 1.175, so that the mean is about 0 and the variance
 * about 1 (section II.B). In the form that `batches` of @striate/data takes: (value / 255 - mean) / std.
 */
export const lenet5Normalization = { mean: [0.1 / 1.275], std: [1 / 1.275] } as const;

/** Uniform in ±2.4 / fan-in, where the sigmoids are neither saturated nor linear: weights and biases. */
const inits = {
  weightInit: /* @__PURE__ */ init.fanInUniform(2.4),
  biasInit: /* @__PURE__ */ init.fanInUniform(2.4),
} as const;

/**
 * C1 to F6: [N, 1, 32, 32] -> [N, 84], every layer squashed by 1.7159 tanh(2/3 a). Parameters: c1, s2, c3, s4, c5 and
 * f6, each with weight and bias; 60,000 in all.
 */
export const lenet5Features = (): Layer => (m) =>
  inOrder(m, {
    c1: conv2d(1, 6, 5, inits),
    squash1: scaledTanh(),
    s2: subsampling2d(6, 2, inits),
    squash2: scaledTanh(),
    c3: partialConv2d(6, lenet5Connections, 5, inits),
    squash3: scaledTanh(),
    s4: subsampling2d(16, 2, inits),
    squash4: scaledTanh(),
    c5: conv2d(16, 120, 5, inits),
    squash5: scaledTanh(),
    flatten: flatten(),
    f6: linear(120, 84, inits),
    squash6: scaledTanh(),
  });

/**
 * Euclidean radial basis functions: [N, features] -> [N, codes], -Σ_j (x_j - code_ij)², the negatives of the paper's
 * outputs, so that the nearest code has the largest logit. Buffer: weight [codes, features], saved and not trained.
 *
 * @throws ArgumentError unless there are codes, all of one length above 0.
 */
export const rbf = (codes: readonly (readonly number[])[]): Layer => {
  const features = codes[0]?.length ?? 0;
  if (features === 0 || codes.some((code) => code.length !== features))
    throw new ArgumentError(
      `rbf: the codes have [${codes.map((code) => code.length).join(", ")}] elements, expected one length above 0`,
    );
  return (m) => {
    const weight = m.buffer("weight", [codes.length, features], 0);
    scope(() => {
      weight.assign(tensor(codes.flat(), { backend: m.backend, shape: weight.shape, dtype: m.dtype }));
    });
    return (x) => x.unsqueeze(1).sub(weight).square().sum(2).neg();
  };
};

const bitmaps = (classes: number): Layer => {
  if (!(Number.isInteger(classes) && classes >= 1 && classes <= digitBitmaps.length))
    throw new ArgumentError(
      `lenet5Of1998: classes is ${classes}, expected 1 to ${digitBitmaps.length}: the head "rbf" has a bitmap for each`,
    );
  return rbf(digitBitmaps.slice(0, classes));
};

const heads = {
  rbf: bitmaps,
  softmax: (classes: number): Layer => linear(84, classes, inits),
} as const;

export interface Lenet5Of1998Options {
  /**
   * What F6 goes into. "rbf": the distances to the bitmaps of the digits, for `mapLoss`. "softmax": trained units, for
   * `crossEntropy`. Default "rbf".
   */
  readonly head?: keyof typeof heads;
  /** Default 10. */
  readonly classes?: number;
}

/**
 * [N, 1, 32, 32] -> logits [N, classes]: `features`, see `lenet5Features`, then `output`. `lenet5Normalization`
 * prepares the images. 60,000 parameters, and 840 fixed values in the RBF units; 340,908 connections.
 *
 * @throws ArgumentError for an unknown head, or classes without bitmaps.
 */
export const lenet5Of1998 = ({ head = "rbf", classes = 10 }: Lenet5Of1998Options = {}): Layer => {
  if (!Object.hasOwn(heads, head))
    throw new ArgumentError(
      `lenet5Of1998: head is ${JSON.stringify(head)}, expected one of ${Object.keys(heads).join(", ")}`,
    );
  const output = heads[head](classes);
  return (m) => inOrder(m, { features: lenet5Features(), output });
};

export interface MapLossOptions {
  /** Distance of a "rubbish" class, above 0: codes that are farther away are not pushed farther. Default 1. */
  readonly j?: number | undefined;
}

/**
 * The criterion of maximum a posteriori (equation 9) of the distances y = -logits: the mean over the images of
 * y_label + log(e^-j + Σ_i e^-y_i). The first term alone pulls every image towards its code; the second pushes it away
 * from the others. By a log-sum-exp: the distances of a new network are so large that e^-y is 0.
 *
 * logits [N, C], labels [N] (int32). It is the cross-entropy over C + 1 classes, the last of which always has logit -j.
 *
 * @throws ArgumentError for a bad `j`; ShapeError, DTypeError, IndexError for logits and labels that do not fit.
 */
export const mapLoss = (logits: Tensor, labels: Tensor, { j = 1 }: MapLossOptions = {}): Tensor => {
  if (!(Number.isFinite(j) && j > 0)) throw new ArgumentError(`mapLoss: j is ${j}, expected a finite number above 0`);
  if (logits.rank !== 2 || labels.rank !== 1 || labels.shape[0] !== logits.shape[0])
    throw new ShapeError(
      `mapLoss: logits are [${logits.shape.join(", ")}], labels [${labels.shape.join(", ")}]; expected [N, C] and [N]`,
    );
  return scope(() => {
    // The rubbish class is nobody's label: what `crossEntropy` would let pass is refused here.
    noGrad(() => logits.gather(1, labels.unsqueeze(1)));
    return crossEntropy(logits.pad({ before: [0, 0], after: [0, 1], value: -j }), labels);
  });
};
