import { around } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";

export const localResponseNormKernels: Pick<CpuKernels, "localResponseNorm"> = {
  // The window of channel c runs from c - floor(size/2) to c + floor((size-1)/2), as PyTorch's.
  localResponseNorm: {
    run: ({ inputs: [x], outputs: [y], attrs: { size, alpha, beta, k } }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      const { outer: batch, extent: channels, inner } = around(x.shape, 1);
      const squares = new Float64Array(inner);
      for (let n = 0; n < batch; n++) {
        const image = n * channels * inner;
        for (let c = 0; c < channels; c++) {
          squares.fill(0);
          const last = Math.min(c + Math.floor((size - 1) / 2), channels - 1);
          for (let other = Math.max(c - Math.floor(size / 2), 0); other <= last; other++) {
            const start = image + other * inner;
            for (let i = 0; i < inner; i++) {
              const v = xs[start + i] as number;
              squares[i] = (squares[i] as number) + v * v;
            }
          }
          const start = image + c * inner;
          for (let i = 0; i < inner; i++)
            ys[start + i] = (xs[start + i] as number) / (k + alpha * (squares[i] as number)) ** beta;
        }
      }
    },
  },
};
