/** Geometry that convolutions and pools share. */
import type { Padding2d, Pair, Window2d } from "../backend.js";
import { ArgumentError, ShapeError } from "../errors.js";
import { formatShape } from "../shape.js";

/** One number for both directions, or [vertical, horizontal]. */
export type PairLike = number | Pair;
/** One number for all sides, [vertical, horizontal], or [top, bottom, left, right]. */
export type PaddingLike = number | Pair | Padding2d;

const expectIntegers = (op: string, name: string, given: PairLike | PaddingLike, least: number): void => {
  const list = typeof given === "number" ? [given] : given;
  if (!list.every((n) => Number.isInteger(n) && n >= least))
    throw new ArgumentError(`${op}: ${name} is ${JSON.stringify(given)}, expected integers of at least ${least}`);
};

/** @throws ArgumentError for anything but one or two integers of at least `least`. */
export const asPair = (op: string, name: string, value: PairLike, least: number): Pair => {
  expectIntegers(op, name, value, least);
  if (typeof value === "number") return [value, value];
  if (value.length !== 2)
    throw new ArgumentError(`${op}: ${name} has ${(value as readonly number[]).length} entries, expected 1 or 2`);
  return [...value];
};

/** @throws ArgumentError for anything but one, two or four non-negative integers. */
export const asPadding = (op: string, value: PaddingLike): Padding2d => {
  expectIntegers(op, "padding", value, 0);
  if (typeof value === "number") return [value, value, value, value];
  if (value.length === 2) return [value[0], value[0], value[1], value[1]];
  if (value.length !== 4)
    throw new ArgumentError(`${op}: padding has ${(value as readonly number[]).length} entries, expected 1, 2 or 4`);
  return [...value];
};

/** Extent of a kernel with its dilation. */
export const dilatedSize = (kernel: number, dilation: number): number => dilation * (kernel - 1) + 1;

/**
 * Output size of a window over the last two axes: floor((n + p - d(k-1) - 1)/s) + 1. With `ceilMode` rounded up, and
 * then a last window that would start beyond the input and the padding before it is dropped, as PyTorch.
 *
 * @throws ShapeError if the dilated kernel is larger than the padded input; with `ceilMode` by a stride or more.
 */
export const windowOutputSize = (op: string, image: Pair, window: Window2d, ceilMode = false): Pair => {
  const [top, bottom, left, right] = window.padding;
  const along = (axis: 0 | 1, before: number, after: number): number => {
    const n = image[axis];
    const stride = window.stride[axis];
    const span = n + before + after - dilatedSize(window.kernel[axis], window.dilation[axis]);
    const count = ceilMode ? Math.ceil(span / stride) + 1 : Math.floor(span / stride) + 1;
    if (count < 1)
      throw new ShapeError(
        `${op}: kernel ${formatShape(window.kernel)} with dilation ${formatShape(window.dilation)} is larger than ` +
          `the image ${formatShape(image)} with padding ${formatShape(window.padding)}`,
      );
    return ceilMode && (count - 1) * stride >= n + before ? count - 1 : count;
  };
  return [along(0, top, bottom), along(1, left, right)];
};
