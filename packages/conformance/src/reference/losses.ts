import { softplus } from "./elementwise.js";
import { at, build, type NdArray, scalar, zip } from "./ndarray.js";
import { logSoftmax } from "./reduce.js";

export type Reduction = "mean" | "sum" | "none";

export const reduceLoss = (losses: NdArray, reduction: Reduction = "mean"): NdArray => {
  if (reduction === "none") return losses;
  const sum = losses.data.reduce((a, b) => a + b, 0);
  return scalar(reduction === "sum" ? sum : sum / losses.data.length);
};

/**
 * logits [N, C]; labels [N], or probabilities [N, C] of the classes. The target is (1-s)·one-hot + s/C, or that of the
 * probabilities. One loss an example.
 */
export const crossEntropy = (logits: NdArray, labels: NdArray, labelSmoothing = 0): NdArray => {
  const classes = logits.shape[1] as number;
  const logProbabilities = logSoftmax(logits, 1);
  const share = (n: number, c: number): number =>
    labels.shape.length === 1 ? Number(c === labels.data[n]) : at(labels, [n, c]);
  return build(logits.shape.slice(0, 1), ([n]) => {
    let loss = 0;
    for (let c = 0; c < classes; c++) {
      const target = share(n as number, c) * (1 - labelSmoothing) + labelSmoothing / classes;
      if (target !== 0) loss -= target * at(logProbabilities, [n as number, c]);
    }
    return loss;
  });
};

export const squaredError = (x: NdArray, target: NdArray): NdArray => zip([x, target], (a, b) => (a - b) ** 2);
export const absoluteError = (x: NdArray, target: NdArray): NdArray => zip([x, target], (a, b) => Math.abs(a - b));

/** d²/(2·beta) below beta, d - beta/2 above. */
export const smoothAbsoluteError = (x: NdArray, target: NdArray, beta = 1): NdArray =>
  zip([x, target], (a, b) => {
    const distance = Math.abs(a - b);
    return distance < beta ? (distance * distance) / (2 * beta) : distance - beta / 2;
  });

/** Binary cross-entropy of sigmoid(x): softplus(x) - x·target. */
export const binaryCrossEntropy = (x: NdArray, target: NdArray): NdArray =>
  zip([x, target], (value, t) => softplus(value) - value * t);
