import { around } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";

export const argReduceKernels: Pick<CpuKernels, "argReduce"> = {
  argReduce: ({ inputs: [x], outputs: [y], attrs: { kind, axis } }) => {
    const xs = x.storage.elements;
    const ys = y.storage.elements;
    const { outer, extent, inner } = around(x.shape, axis);
    // The minimum is the maximum of -x.
    const sign = kind === "argmax" ? 1 : -1;
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const start = o * extent * inner + i;
        let best = sign * (xs[start] as number);
        let at = 0;
        for (let j = 1; j < extent && !Number.isNaN(best); j++) {
          const v = sign * (xs[start + j * inner] as number);
          if (v <= best) continue;
          best = v;
          at = j;
        }
        ys[o * inner + i] = at;
      }
    }
  },
};
