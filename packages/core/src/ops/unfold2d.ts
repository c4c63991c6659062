import type { Pair, Shape, Window2d } from "../backend.js";
import { defineOp, dispatch, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ShapeError } from "../errors.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { asPadding, asPair, type PaddingLike, type PairLike, windowOutputSize } from "./window.js";

export interface UnfoldOptions {
  readonly kernel: PairLike;
  /** Default 1. */
  readonly stride?: PairLike | undefined;
  /** Zeros around the image. Default 0. */
  readonly padding?: PaddingLike | undefined;
  /** Default 1. */
  readonly dilation?: PairLike | undefined;
}

/** @throws ArgumentError naming the option. */
export const windowOf = (op: string, options: UnfoldOptions): Window2d => ({
  kernel: asPair(op, "kernel", options.kernel, 1),
  stride: asPair(op, "stride", options.stride ?? 1, 1),
  padding: asPadding(op, options.padding ?? 0),
  dilation: asPair(op, "dilation", options.dilation ?? 1, 1),
});

const unfoldRule: OpRule<"unfold2d"> = defineOp({
  name: "unfold2d",
  empty: 0,
  gradient: (c) => {
    const { shape } = c.inputSpecs[0] as { shape: Shape };
    return [foldWindows(c.grad(), c.attrs.window, c.attrs.outputSize, shape)];
  },
});

const foldRule: OpRule<"fold2d"> = defineOp({
  name: "fold2d",
  empty: 0,
  gradient: (c) => [unfoldWindows(c.grad(), c.attrs.window, c.attrs.outputSize)],
});

/** `unfold2d` for a window and output size that were worked out before. */
export const unfoldWindows = (x: Tensor, window: Window2d, outputSize: Pair): Tensor => {
  const [n, channels] = x.shape as [number, number];
  const shape = [n, channels * window.kernel[0] * window.kernel[1], outputSize[0] * outputSize[1]];
  return dispatch(unfoldRule, [x], { window, outputSize }, { shape, dtype: x.dtype });
};

/** `fold2d` onto an image of `shape` [N, C, H, W]. */
export const foldWindows = (columns: Tensor, window: Window2d, outputSize: Pair, shape: Shape): Tensor =>
  dispatch(foldRule, [columns], { window, outputSize }, { shape, dtype: columns.dtype });

/**
 * The windows of an image as columns (im2col, torch.nn.Unfold): x [N, C, H, W] -> [N, C·kh·kw, oh·ow].
 *
 * @throws ShapeError unless x has rank 4 and the kernel fits.
 */
export const unfold2d = (x: Tensor, options: UnfoldOptions): Tensor => {
  expectDType("unfold2d", "x", x.dtype, floatDTypes);
  if (x.rank !== 4) throw new ShapeError(`unfold2d: x is ${formatShape(x.shape)}, expected [N, C, H, W]`);
  const window = windowOf("unfold2d", options);
  return unfoldWindows(x, window, windowOutputSize("unfold2d", x.shape.slice(2) as unknown as Pair, window));
};

export interface FoldOptions extends UnfoldOptions {
  /** [H, W] of the result. */
  readonly imageSize: Pair;
}

/**
 * The adjoint of `unfold2d` (col2im, torch.nn.Fold): x [N, C·kh·kw, oh·ow] -> [N, C, H, W], overlaps added.
 *
 * @throws ShapeError unless x is what `unfold2d` makes of such an image.
 */
export const fold2d = (x: Tensor, options: FoldOptions): Tensor => {
  expectDType("fold2d", "x", x.dtype, floatDTypes);
  const window = windowOf("fold2d", options);
  const imageSize = asPair("fold2d", "imageSize", options.imageSize, 0);
  const outputSize = windowOutputSize("fold2d", imageSize, window);
  const area = window.kernel[0] * window.kernel[1];
  const [n, rows, columns] = x.shape as [number, number, number];
  if (x.rank !== 3 || rows % area !== 0 || columns !== outputSize[0] * outputSize[1])
    throw new ShapeError(
      `fold2d: x is ${formatShape(x.shape)}, expected [N, C * ${area}, ${outputSize[0] * outputSize[1]}] for an image ` +
        formatShape(imageSize),
    );
  return foldWindows(x, window, outputSize, [n, rows / area, ...imageSize]);
};
