import { around } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";

// The elements of channel c in [N, C, ...] are runs of `inner`, the first at c·inner, the next ones `step` further on.

export const batchNormKernels: Pick<CpuKernels, "batchNorm" | "batchNormGrad"> = {
  batchNorm: {
    run: ({ inputs: [x, weight, bias], outputs: [y, mean, variance], attrs: { eps } }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      const { outer: batch, extent: channels, inner } = around(x.shape, 1);
      const step = channels * inner;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let start = c * inner; start < xs.length; start += step)
          for (let i = start; i < start + inner; i++) sum += xs[i] as number;
        const m = sum / (batch * inner);
        let squares = 0;
        for (let start = c * inner; start < xs.length; start += step) {
          for (let i = start; i < start + inner; i++) {
            const d = (xs[i] as number) - m;
            squares += d * d;
          }
        }
        const v = squares / (batch * inner);
        const scale = (weight.storage.elements[c] as number) / Math.sqrt(v + eps);
        const shift = bias.storage.elements[c] as number;
        for (let start = c * inner; start < xs.length; start += step)
          for (let i = start; i < start + inner; i++) ys[i] = ((xs[i] as number) - m) * scale + shift;
        mean.storage.elements[c] = m;
        variance.storage.elements[c] = v;
      }
    },
  },

  // gx = w/σ · (gy - mean(gy) - x̂ · mean(gy · x̂)) with x̂ = (x - mean)/σ.
  batchNormGrad: {
    run: ({ inputs: [x, weight, mean, variance, gy], outputs: [gx, gweight, gbias], attrs: { eps } }) => {
      const xs = x.storage.elements;
      const gys = gy.storage.elements;
      const gxs = gx.storage.elements;
      const { outer: batch, extent: channels, inner } = around(x.shape, 1);
      const step = channels * inner;
      for (let c = 0; c < channels; c++) {
        const m = mean.storage.elements[c] as number;
        const inverse = 1 / Math.sqrt((variance.storage.elements[c] as number) + eps);
        let sum = 0;
        let product = 0;
        for (let start = c * inner; start < xs.length; start += step) {
          for (let i = start; i < start + inner; i++) {
            const g = gys[i] as number;
            sum += g;
            product += g * ((xs[i] as number) - m);
          }
        }
        const scale = (weight.storage.elements[c] as number) * inverse;
        const offset = sum / (batch * inner);
        const slope = (product / (batch * inner)) * inverse * inverse;
        for (let start = c * inner; start < xs.length; start += step)
          for (let i = start; i < start + inner; i++)
            gxs[i] = scale * ((gys[i] as number) - offset - ((xs[i] as number) - m) * slope);
        gweight.storage.elements[c] = product * inverse;
        gbias.storage.elements[c] = sum;
      }
    },
  },
};
