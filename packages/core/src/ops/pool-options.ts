import type { Pair, PoolAttrs } from "../backend.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { asPadding, asPair, dilatedSize, type PaddingLike, type PairLike, windowOutputSize } from "./window.js";

export interface PoolOptions {
  readonly kernel: PairLike;
  /** Default: the kernel. */
  readonly stride?: PairLike | undefined;
  /** Less than the dilated kernel, so that every window sees the image. Default 0. */
  readonly padding?: PaddingLike;
  /** Default 1. */
  readonly dilation?: PairLike;
  /** Round the output size up: the last window may reach past the padding. Default false. */
  readonly ceilMode?: boolean;
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

/** Shape of the pooled x. @throws ShapeError */
export const poolOutputSize = (op: string, x: Tensor, attrs: PoolAttrs): number[] => {
  if (x.rank !== 4 || x.shape[2] === 0 || x.shape[3] === 0)
    throw new ShapeError(`${op}: x is ${formatShape(x.shape)}, expected [N, C, H, W] with H, W > 0`);
  const size = windowOutputSize(op, x.shape.slice(2) as unknown as Pair, attrs, attrs.ceilMode);
  return [...x.shape.slice(0, 2), ...size];
};
