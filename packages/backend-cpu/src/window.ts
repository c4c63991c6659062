import type { Pair, Window2d } from "@striate/core/backend";

/**
 * Along one axis, the input positions under each placement of a sliding window: first, first + dilation, … below end.
 * `padded` counts the placement's positions up to the end of the padding, those in the padding before included.
 */
export interface Coverage {
  readonly first: Int32Array;
  readonly end: Int32Array;
  readonly padded: Int32Array;
}

const cover = (
  size: number,
  outputs: number,
  kernel: number,
  stride: number,
  dilation: number,
  before: number,
  after: number,
): Coverage => {
  const first = new Int32Array(outputs);
  const end = new Int32Array(outputs);
  const padded = new Int32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    const start = o * stride - before;
    first[o] = start + Math.max(0, Math.ceil(-start / dilation)) * dilation;
    end[o] = Math.min(start + kernel * dilation, size);
    padded[o] = Math.min(kernel, Math.ceil((size + after - start) / dilation));
  }
  return { first, end, padded };
};

/** Coverage of the rows and columns of an image. */
export const coverImage = (window: Window2d, image: Pair, outputs: Pair): { rows: Coverage; columns: Coverage } => {
  const { kernel, stride, dilation } = window;
  const [top, bottom, left, right] = window.padding;
  return {
    rows: cover(image[0], outputs[0], kernel[0], stride[0], dilation[0], top, bottom),
    columns: cover(image[1], outputs[1], kernel[1], stride[1], dilation[1], left, right),
  };
};

/** The last two axes of a shape. */
export const imageSize = (shape: readonly number[]): Pair => shape.slice(-2) as unknown as Pair;
