import type { Pair, Shape, Window2d } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";
import { imageSize } from "../window.js";

/**
 * Pairs the elements of columns [planes, kh * kw, oh * ow] with the pixels of images [planes, H, W] under them: `visit`
 * gets `length` consecutive elements from `column` on, whose pixels are `step` apart from `pixel` on. What lies in the
 * padding is left out.
 */
const eachColumnRun = (
  planes: number,
  [height, width]: Pair,
  [rows, columns]: Pair,
  { kernel, stride, padding, dilation }: Window2d,
  visit: (column: number, pixel: number, length: number, step: number) => void,
): void => {
  const step = stride[1];
  let column = 0;
  for (let plane = 0; plane < planes; plane++) {
    for (let i = 0; i < kernel[0]; i++) {
      for (let j = 0; j < kernel[1]; j++) {
        const left = j * dilation[1] - padding[2];
        const from = Math.max(0, Math.ceil(-left / step));
        const to = Math.min(columns, Math.ceil((width - left) / step));
        for (let row = 0; row < rows; row++, column += columns) {
          const h = row * stride[0] - padding[0] + i * dilation[0];
          if (h < 0 || h >= height || from >= to) continue;
          visit(column + from, (plane * height + h) * width + left + from * step, to - from, step);
        }
      }
    }
  }
};

const planesOf = (shape: Shape): number => (shape[0] as number) * (shape[1] as number);

export const unfold2dKernels: Pick<CpuKernels, "unfold2d" | "fold2d"> = {
  unfold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
    const xs = x.storage.elements;
    const ys = y.storage.elements;
    ys.fill(0);
    eachColumnRun(planesOf(x.shape), imageSize(x.shape), outputSize, window, (column, pixel, length, step) => {
      for (let o = 0; o < length; o++) ys[column + o] = xs[pixel + o * step] as number;
    });
  },

  fold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
    const xs = x.storage.elements;
    const sums = new Float64Array(y.storage.elements.length);
    eachColumnRun(planesOf(y.shape), imageSize(y.shape), outputSize, window, (column, pixel, length, step) => {
      for (let o = 0; o < length; o++)
        sums[pixel + o * step] = (sums[pixel + o * step] as number) + (xs[column + o] as number);
    });
    y.storage.elements.set(sums);
  },
};
