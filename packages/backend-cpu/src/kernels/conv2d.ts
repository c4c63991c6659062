import type { Conv2dAttrs } from "@striate/core/backend";
import type { CpuKernels, CpuOperand } from "../storage.js";
import { createSums, type Gemm, type Matrix, outerSum, steps, store, transpose } from "./gemm.js";

/*
 * All three convolutions are products among the same three matrices: the weights W [outputs, window], the output
 * Y [outputs, positions] and the image's columns X [window, positions] (im2col), whose entry for window offset (c, i, j)
 * and position (n, h, w) is the pixel at channel c, row h·stride + i·dilation, column w·stride + j·dilation of image n.
 * Where the padding lies in memory as zeros, the address of that pixel is a sum of one term for each of the two, which
 * is all that a `Matrix` asks. So X is never built: a few images at a time are copied into a frame of zeros.
 */

/** So many images are taken at a time that there are at least this many positions, if the batch has them. */
const POSITIONS = 256;

/** The matrices of a few images and one group of channels. */
interface Part {
  readonly group: number;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly weights: Matrix;
  readonly output: Matrix;
  /** In the frame, which is all zeros at first. */
  readonly columns: Matrix;
  readonly frame: Float64Array;
  /** Calls `visit` for each row of pixels: its first element in the images, and in the frame. */
  eachRow(visit: (pixel: number, framed: number) => void): void;
}

/** Scratch memory for frames, kept as large as the largest yet. */
type Scratch = (length: number) => Float64Array;

const createScratch = (): Scratch => {
  let scratch = new Float64Array(0);
  return (length) => {
    if (scratch.length < length) scratch = new Float64Array(length);
    return scratch;
  };
};

/** Visits the parts of a convolution of x [N, C, H, W] with w [O, C/groups, kh, kw] to y [N, O, oh, ow], by group. */
const eachPart = (
  scratch: Scratch,
  x: CpuOperand,
  w: CpuOperand,
  y: CpuOperand,
  { stride, padding, dilation, groups }: Conv2dAttrs,
  visit: (part: Part) => void,
): void => {
  const [batch, allChannels, imageHeight, imageWidth] = x.shape as [number, number, number, number];
  const [allOutputs, channels, kernelHeight, kernelWidth] = w.shape as [number, number, number, number];
  const [, , outputHeight, outputWidth] = y.shape as [number, number, number, number];
  const [top, bottom, left, right] = padding;
  const height = imageHeight + top + bottom;
  const width = imageWidth + left + right;
  const outputs = allOutputs / groups;
  const window = channels * kernelHeight * kernelWidth;
  const positions = outputHeight * outputWidth;
  const size = Math.min(batch, Math.ceil(POSITIONS / positions));
  const frameStep = channels * height * width;
  const frame = scratch(size * frameStep);

  const weights = { elements: w.storage.elements, rows: steps(outputs, window), columns: steps(window, 1) };
  const outputRows = steps(outputs, positions);
  const outputColumns = outerSum(steps(size, allOutputs * positions), steps(positions, 1));
  const offsets = outerSum(
    steps(channels, height * width),
    steps(kernelHeight, dilation[0] * width),
    steps(kernelWidth, dilation[1]),
  );
  const origins = outerSum(
    steps(size, frameStep),
    steps(outputHeight, stride[0] * width),
    steps(outputWidth, stride[1]),
  );

  for (let group = 0; group < groups; group++) {
    for (let image = 0; image < batch; image += size) {
      const images = Math.min(size, batch - image);
      frame.fill(0, 0, images * frameStep);
      visit({
        group,
        isFirst: image === 0,
        isLast: image + images === batch,
        weights: { ...weights, base: group * outputs * window },
        output: {
          elements: y.storage.elements,
          base: (image * allOutputs + group * outputs) * positions,
          rows: outputRows,
          columns: outputColumns.subarray(0, images * positions),
        },
        columns: { elements: frame, base: 0, rows: offsets, columns: origins.subarray(0, images * positions) },
        frame,
        eachRow: (visitRow) => {
          for (let n = 0; n < images; n++) {
            for (let c = 0; c < channels; c++) {
              const plane = (image + n) * allChannels + group * channels + c;
              const framed = n * frameStep + (c * height + top) * width + left;
              for (let i = 0; i < imageHeight; i++)
                visitRow((plane * imageHeight + i) * imageWidth, framed + i * width);
            }
          }
        },
      });
    }
  }
};

const load = (x: CpuOperand, { frame, eachRow }: Part): void => {
  const xs = x.storage.elements;
  const width = x.shape[3] as number;
  eachRow((pixel, framed) => {
    for (let j = 0; j < width; j++) frame[framed + j] = xs[pixel + j] as number;
  });
};

const unload = (x: CpuOperand, { frame, eachRow }: Part): void => {
  const xs = x.storage.elements;
  const width = x.shape[3] as number;
  eachRow((pixel, framed) => {
    for (let j = 0; j < width; j++) xs[pixel + j] = frame[framed + j] as number;
  });
};

type Conv2dKernels = Pick<CpuKernels, "conv2d" | "conv2dGradInput" | "conv2dGradWeight">;

export const conv2dKernels = (gemm: Gemm): Conv2dKernels => {
  const scratch = createScratch();
  return {
    // Y = W · X + bias
    conv2d: {
      run: ({ inputs, outputs: [y], attrs }) => {
        const [x, w, b] = inputs;
        const bias = b?.storage.elements;
        const outputs = (w.shape[0] as number) / attrs.groups;
        eachPart(scratch, x, w, y, attrs, (part) => {
          load(x, part);
          gemm.multiply(
            part.output,
            part.weights,
            part.columns,
            bias && { elements: bias, base: part.group * outputs },
          );
        });
      },
    },

    // X += Wᵀ · Y, where X's entries overlap as the windows do (col2im).
    conv2dGradInput: {
      run: ({ inputs: [w, gy], outputs: [gx], attrs }) =>
        eachPart(scratch, gx, w, gy, attrs, (part) => {
          gemm.multiplyAdd(part.columns, transpose(part.weights), part.output);
          unload(gx, part);
        }),
    },

    // W = Y · Xᵀ, summed over the images.
    conv2dGradWeight: {
      run: ({ inputs: [x, gy], outputs: [gw], attrs }) => {
        const [outputs, channels, kernelHeight, kernelWidth] = gw.shape as [number, number, number, number];
        const sums = createSums(outputs / attrs.groups, channels * kernelHeight * kernelWidth);
        eachPart(scratch, x, gw, gy, attrs, (part) => {
          load(x, part);
          if (part.isFirst) sums.fill(0);
          gemm.accumulate(sums, part.output, transpose(part.columns));
          if (part.isLast) store(sums, part.weights);
        });
      },
    },
  };
};
