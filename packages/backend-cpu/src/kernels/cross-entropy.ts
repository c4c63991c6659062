import { IndexError } from "@striate/core/backend";
import type { CpuKernels, Elements } from "../storage.js";
import { logSumExp } from "./softmax.js";

const labelAt = (op: string, labels: Elements, n: number, classes: number): number => {
  const label = labels[n] as number;
  if (label < 0 || label >= classes)
    throw new IndexError(`${op}: labels[${n}] is ${label}, expected 0 to ${classes - 1}`);
  return label;
};

export const crossEntropyKernels: Pick<CpuKernels, "crossEntropy" | "crossEntropyGrad"> = {
  // -Σ t·log softmax(x) with t = (1-s) one-hot + s/C
  crossEntropy: {
    run: ({ inputs: [logits, labels], outputs: [loss], attrs: { labelSmoothing } }) => {
      const xs = logits.storage.elements;
      const classes = logits.shape[1] as number;
      const losses = loss.storage.elements;
      for (let n = 0; n < losses.length; n++) {
        const start = n * classes;
        const label = labelAt("crossEntropy", labels.storage.elements, n, classes);
        const { max, logSum } = logSumExp(xs, start, 1, classes);
        let value = (1 - labelSmoothing) * (max - (xs[start + label] as number) + logSum);
        // Without smoothing, a logit of -Infinity must not meet a factor of 0.
        if (labelSmoothing !== 0) {
          let sum = 0;
          for (let c = 0; c < classes; c++) sum += max - (xs[start + c] as number) + logSum;
          value += (labelSmoothing / classes) * sum;
        }
        losses[n] = value;
      }
    },
  },

  // gx = gy (softmax(x) - t)
  crossEntropyGrad: {
    run: ({ inputs: [logits, labels, gy], outputs: [gx], attrs: { labelSmoothing } }) => {
      const xs = logits.storage.elements;
      const gxs = gx.storage.elements;
      const [batch, classes] = logits.shape as [number, number];
      const others = labelSmoothing / classes;
      for (let n = 0; n < batch; n++) {
        const start = n * classes;
        const label = labelAt("crossEntropyGrad", labels.storage.elements, n, classes);
        const { max, logSum } = logSumExp(xs, start, 1, classes);
        const g = gy.storage.elements[n] as number;
        for (let c = 0; c < classes; c++) {
          const target = c === label ? 1 - labelSmoothing + others : others;
          gxs[start + c] = g * (Math.exp((xs[start + c] as number) - max - logSum) - target);
        }
      }
    },
  },
};
