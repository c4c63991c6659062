import type { Pair, PoolAttrs } from "../backend.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { asPadding, asPair, dilatedSize, type PaddingLike, type PairLike, windowOutputSize } from "./window.js";

export interface PoolOptions {
  readonly kernel: PairLike;
  /** Default: the kernel. */
  readonly stride?: PairLike | undefined;
  /** Less than the dilated kernel, and such that every window sees the image. Default 0. */
  readonly padding?: PaddingLike | undefined;
  /** Default 1. */
  readonly dilation?: PairLike | undefined;
  /** Round the output size up: the last window may reach past the padding. Default false. */
  readonly ceilMode?: boolean | undefined;
}

/** @throws ArgumentError */
export const poolAttrs = (op: string, options: PoolOptions): PoolAttrs => {
  const kernel = asPair(op, "kernel", options.kernel, 1);
  const padding = asPadding(op, options.padding ?? 0);
  const dilation = asPair(op, "dilation", options.dilation ?? 1, 1);
  const [height, width] = [dilatedSize(kernel[0], dilation[0]), dilatedSize(kernel[1], dilation[1])];
  if (Math.max(padding[0], padding[1]) >= height || Math.max(padding[2], padding[3]) >= width)
    throw new ArgumentError(
      `${op}: padding ${formatShape(padding)} leaves windows without image, expected less than the dilated kernel ` +
        formatShape([height, width]),
    );
  const stride = asPair(op, "stride", options.stride ?? kernel, 1);
  return { kernel, stride, padding, dilation, ceilMode: options.ceilMode ?? false };
};

/**
 * Whether some window at the start of an axis of `n` elements steps over all of them: only where the dilation is larger
 * than the axis.
 */
const missesImage = (n: number, before: number, stride: number, dilation: number): boolean => {
  for (let start = -before; start < 0; start += stride) {
    // The first position of this window that is no longer padding.
    const first = (dilation - (-start % dilation)) % dilation;
    if (first >= n) return true;
  }
  return false;
};

/** Shape of the pooled x. @throws ShapeError, also for a window that would see nothing but padding */
export const poolOutputSize = (op: string, x: Tensor, attrs: PoolAttrs): number[] => {
  if (x.rank !== 4 || x.shape[2] === 0 || x.shape[3] === 0)
    throw new ShapeError(`${op}: x is ${formatShape(x.shape)}, expected [N, C, H, W] with H, W > 0`);
  const image = x.shape.slice(2) as unknown as Pair;
  const size = windowOutputSize(op, image, attrs, attrs.ceilMode);
  const { padding, stride, dilation } = attrs;
  if (
    missesImage(image[0], padding[0], stride[0], dilation[0]) ||
    missesImage(image[1], padding[2], stride[1], dilation[1])
  )
    throw new ShapeError(
      `${op}: with padding ${formatShape(padding)} and dilation ${formatShape(dilation)} a window steps over the whole ` +
        `image ${formatShape(image)}`,
    );
  return [...x.shape.slice(0, 2), ...size];
};
