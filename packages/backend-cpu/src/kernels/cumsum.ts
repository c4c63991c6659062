import { around } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";

export const cumsumKernels: Pick<CpuKernels, "cumsum"> = {
  cumsum: {
    run: ({ inputs: [x], outputs: [y], attrs: { axis } }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      const { outer, extent, inner } = around(x.shape, axis);
      for (let o = 0; o < outer; o++) {
        for (let i = 0; i < inner; i++) {
          let sum = 0;
          const start = o * extent * inner + i;
          for (let j = 0; j < extent; j++) {
            sum += xs[start + j * inner] as number;
            ys[start + j * inner] = sum;
          }
        }
      }
    },
  },
};
