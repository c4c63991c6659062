import { randomWords } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";

export const randomBitsKernels: Pick<CpuKernels, "randomBits"> = {
  randomBits: {
    run: ({ outputs: [y], attrs: { seed, stream, offset } }) => {
      const ys = y.storage.elements;
      const words = randomWords(seed, stream, offset, ys.length);
      for (let i = 0; i < ys.length; i++) ys[i] = (words[i] as number) >>> 8;
    },
  },
};
