import { philox4x32 } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";

export const randomBitsKernels: Pick<CpuKernels, "randomBits"> = {
  randomBits: {
    run: ({ outputs: [y], attrs: { seed, stream, offset } }) => {
      const ys = y.storage.elements;
      const key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0] as const;
      const words = new Uint32Array(4);
      for (let i = 0; i < ys.length; i += 4) {
        philox4x32([i / 4, offset, stream, 0], key, words);
        const count = Math.min(4, ys.length - i);
        for (let j = 0; j < count; j++) ys[i + j] = (words[j] as number) >>> 8;
      }
    },
  },
};
