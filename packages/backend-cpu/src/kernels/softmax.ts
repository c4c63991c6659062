import { around } from "@striate/core/backend";
import type { CpuKernels, CpuOperand, Elements } from "../storage.js";

/** Calls `visit` for each line along `axis`: its first element, the step between its elements, their number. */
const eachLine = (
  { shape }: CpuOperand,
  axis: number,
  visit: (start: number, step: number, length: number) => void,
): void => {
  const { outer, extent, inner } = around(shape, axis);
  for (let o = 0; o < outer; o++) for (let i = 0; i < inner; i++) visit(o * extent * inner + i, inner, extent);
};

/**
 * The two terms of log Σ e^x along a line, its maximum and log Σ e^(x - maximum). They are kept apart because their sum
 * would round away what is left of x - maximum - log Σ where one element outweighs the others.
 */
export const logSumExp = (
  x: Elements,
  start: number,
  step: number,
  length: number,
): { readonly max: number; readonly logSum: number } => {
  let max = Number.NEGATIVE_INFINITY;
  for (let j = 0; j < length; j++) max = Math.max(max, x[start + j * step] as number);
  let sum = 0;
  for (let j = 0; j < length; j++) sum += Math.exp((x[start + j * step] as number) - max);
  return { max, logSum: Math.log(sum) };
};

type SoftmaxKernels = Pick<CpuKernels, "softmax" | "logSoftmax" | "softmaxGrad" | "logSoftmaxGrad">;

export const softmaxKernels: SoftmaxKernels = {
  softmax: {
    run: ({ inputs: [x], outputs: [y], attrs: { axis } }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      eachLine(x, axis, (start, step, length) => {
        const { max, logSum } = logSumExp(xs, start, step, length);
        for (let j = 0; j < length; j++)
          ys[start + j * step] = Math.exp((xs[start + j * step] as number) - max - logSum);
      });
    },
  },

  logSoftmax: {
    run: ({ inputs: [x], outputs: [y], attrs: { axis } }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      eachLine(x, axis, (start, step, length) => {
        const { max, logSum } = logSumExp(xs, start, step, length);
        for (let j = 0; j < length; j++) ys[start + j * step] = (xs[start + j * step] as number) - max - logSum;
      });
    },
  },

  // gx = y (gy - Σ gy·y)
  softmaxGrad: {
    run: ({ inputs: [y, gy], outputs: [gx], attrs: { axis } }) => {
      const ys = y.storage.elements;
      const gys = gy.storage.elements;
      const gxs = gx.storage.elements;
      eachLine(y, axis, (start, step, length) => {
        let sum = 0;
        for (let j = 0; j < length; j++) sum += (gys[start + j * step] as number) * (ys[start + j * step] as number);
        for (let j = 0; j < length; j++) {
          const i = start + j * step;
          gxs[i] = (ys[i] as number) * ((gys[i] as number) - sum);
        }
      });
    },
  },

  // gx = gy - e^y Σ gy
  logSoftmaxGrad: {
    run: ({ inputs: [y, gy], outputs: [gx], attrs: { axis } }) => {
      const ys = y.storage.elements;
      const gys = gy.storage.elements;
      const gxs = gx.storage.elements;
      eachLine(y, axis, (start, step, length) => {
        let sum = 0;
        for (let j = 0; j < length; j++) sum += gys[start + j * step] as number;
        for (let j = 0; j < length; j++) {
          const i = start + j * step;
          gxs[i] = (gys[i] as number) - Math.exp(ys[i] as number) * sum;
        }
      });
    },
  },
};
