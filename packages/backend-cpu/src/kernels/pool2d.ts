import type { AvgPoolAttrs, Shape } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";
import { type Coverage, coverImage, imageSize } from "../window.js";

/** What an average divides by, for each placement of the window along one axis. */
const divisors = ({ first, end, padded }: Coverage, dilation: number, countIncludePad: boolean): Int32Array =>
  countIncludePad ? padded : first.map((f, i) => Math.max(0, Math.ceil(((end[i] as number) - f) / dilation)));

/**
 * Calls `visit` for each output of an average pool, in order: its window covers `image[h, w]` for h from h0 to h1 in
 * steps of the dilation, w likewise, where the image's elements begin at `start`.
 */
const eachAverage = (
  image: Shape,
  output: Shape,
  attrs: AvgPoolAttrs,
  visit: (o: number, divisor: number, start: number, h0: number, h1: number, w0: number, w1: number) => void,
): void => {
  const [height, width] = imageSize(image);
  const [oh, ow] = imageSize(output);
  const planes = (image[0] as number) * (image[1] as number);
  const { rows, columns } = coverImage(attrs, [height, width], [oh, ow]);
  const rowDivisors = divisors(rows, attrs.dilation[0], attrs.countIncludePad);
  const columnDivisors = divisors(columns, attrs.dilation[1], attrs.countIncludePad);
  let o = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < oh; i++) {
      for (let j = 0; j < ow; j++) {
        const divisor = (rowDivisors[i] as number) * (columnDivisors[j] as number);
        visit(
          o++,
          divisor,
          plane * height * width,
          rows.first[i] as number,
          rows.end[i] as number,
          columns.first[j] as number,
          columns.end[j] as number,
        );
      }
    }
  }
};

type Pool2dKernels = Pick<CpuKernels, "maxPool2d" | "maxPool2dGrad" | "avgPool2d" | "avgPool2dGrad">;

export const pool2dKernels: Pool2dKernels = {
  // A window that lies in the padding altogether has no maximum: it gives -Infinity at index -1.
  maxPool2d: {
    run: ({ inputs: [x], outputs: [y, indices], attrs }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      const positions = indices.storage.elements;
      const [height, width] = imageSize(x.shape);
      const [oh, ow] = imageSize(y.shape);
      const { rows, columns } = coverImage(attrs, [height, width], [oh, ow]);
      const [rowStep, columnStep] = attrs.dilation;
      let o = 0;
      for (let start = 0; start < xs.length; start += height * width) {
        for (let i = 0; i < oh; i++) {
          const [h0, h1] = [rows.first[i] as number, rows.end[i] as number];
          for (let j = 0; j < ow; j++, o++) {
            const [w0, w1] = [columns.first[j] as number, columns.end[j] as number];
            let best = Number.NEGATIVE_INFINITY;
            let at = h0 < h1 && w0 < w1 ? h0 * width + w0 : -1;
            for (let h = h0; h < h1; h += rowStep) {
              for (let w = w0; w < w1; w += columnStep) {
                const v = xs[start + h * width + w] as number;
                // Not `v > best`: a NaN takes the place of a number, and no other NaN takes its place.
                if (v <= best || Number.isNaN(best)) continue;
                best = v;
                at = h * width + w;
              }
            }
            ys[o] = best;
            positions[o] = at;
          }
        }
      }
    },
  },

  maxPool2dGrad: {
    run: ({ inputs: [gy, indices], outputs: [gx] }) => {
      const gys = gy.storage.elements;
      const gxs = gx.storage.elements;
      const positions = indices.storage.elements;
      const [height, width] = imageSize(gx.shape);
      const [oh, ow] = imageSize(gy.shape);
      gxs.fill(0);
      let start = 0;
      for (let o = 0; o < gys.length; start += height * width) {
        for (const end = o + oh * ow; o < end; o++) {
          const at = positions[o] as number;
          if (at >= 0) gxs[start + at] = (gxs[start + at] as number) + (gys[o] as number);
        }
      }
    },
  },

  // A window without a position to count gives 0.
  avgPool2d: {
    run: ({ inputs: [x], outputs: [y], attrs }) => {
      const xs = x.storage.elements;
      const ys = y.storage.elements;
      const width = x.shape[3] as number;
      const [rowStep, columnStep] = attrs.dilation;
      eachAverage(x.shape, y.shape, attrs, (o, divisor, start, h0, h1, w0, w1) => {
        let sum = 0;
        for (let h = h0; h < h1; h += rowStep)
          for (let w = w0; w < w1; w += columnStep) sum += xs[start + h * width + w] as number;
        ys[o] = divisor === 0 ? 0 : sum / divisor;
      });
    },
  },

  avgPool2dGrad: {
    run: ({ inputs: [gy], outputs: [gx], attrs }) => {
      const gys = gy.storage.elements;
      const gxs = gx.storage.elements;
      const width = gx.shape[3] as number;
      const [rowStep, columnStep] = attrs.dilation;
      gxs.fill(0);
      eachAverage(gx.shape, gy.shape, attrs, (o, divisor, start, h0, h1, w0, w1) => {
        const share = (gys[o] as number) / divisor;
        for (let h = h0; h < h1; h += rowStep) {
          for (let w = w0; w < w1; w += columnStep) {
            const i = start + h * width + w;
            gxs[i] = (gxs[i] as number) + share;
          }
        }
      });
    },
  },
};
