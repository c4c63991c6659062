import type { AvgPoolAttrs, Padding2d, Pair, Shape } from "../backend.js";
import { constant, defineOp, dispatch, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import type { Tensor } from "../tensor.js";
import { type PoolOptions, poolAttrs, poolOutputSize } from "./pool-options.js";
import { foldWindows, unfoldWindows } from "./unfold2d.js";
import { dilatedSize } from "./window.js";

/** 1 / (elements that each window averages over), [1, 1, oh, ow]. */
const inverseCounts = (like: Tensor, attrs: AvgPoolAttrs, image: Pair, output: Pair): Tensor => {
  const along = (axis: 0 | 1, position: number): number => {
    const before = attrs.padding[axis === 0 ? 0 : 2];
    const after = attrs.padding[axis === 0 ? 1 : 3];
    const start = position * attrs.stride[axis] - before;
    const [low, high] = attrs.countIncludePad ? [-before, image[axis] + after] : [0, image[axis]];
    let count = 0;
    for (let k = 0; k < attrs.kernel[axis]; k++) {
      const at = start + k * attrs.dilation[axis];
      if (at >= low && at < high) count++;
    }
    return count;
  };
  const data = new Float64Array(output[0] * output[1]);
  for (let y = 0; y < output[0]; y++)
    for (let x = 0; x < output[1]; x++) data[y * output[1] + x] = 1 / (along(0, y) * along(1, x));
  return constant(like, { shape: [1, 1, ...output], dtype: like.dtype }, data);
};

/** The window with enough padding at the end for ceil mode's last windows. */
const reachingWindow = (attrs: AvgPoolAttrs, image: Pair, output: Pair): AvgPoolAttrs => {
  const [top, bottom, left, right] = attrs.padding;
  const missing = (axis: 0 | 1, before: number): number =>
    (output[axis] - 1) * attrs.stride[axis] +
    dilatedSize(attrs.kernel[axis], attrs.dilation[axis]) -
    before -
    image[axis];
  const padding: Padding2d = [top, Math.max(bottom, missing(0, top)), left, Math.max(right, missing(1, left))];
  return { ...attrs, padding };
};

const sizes = (shape: Shape): Pair => shape.slice(2) as unknown as Pair;

const rule: OpRule<"avgPool2d"> = defineOp({
  name: "avgPool2d",
  gradient: (c) => [gradInput(c.grad(), (c.inputSpecs[0] as { shape: Shape }).shape, c.attrs)],
  decompose: ([input], attrs, [output]) => {
    const x = input as Tensor;
    const { shape } = output as { shape: Shape };
    const [image, out] = [sizes(x.shape), sizes(shape)];
    const columns = unfoldWindows(x, reachingWindow(attrs, image, out), out);
    const area = attrs.kernel[0] * attrs.kernel[1];
    const sums = columns
      .reshape([-1, area, out[0] * out[1]])
      .sum(1)
      .reshape(shape);
    return [sums.mul(inverseCounts(x, attrs, image, out))];
  },
});

const gradRule: OpRule<"avgPool2dGrad"> = defineOp({
  name: "avgPool2dGrad",
  empty: 0,
  gradient: (c) => [forward(c.grad(), (c.inputSpecs[0] as { shape: Shape }).shape, c.attrs)],
  decompose: ([gradient], attrs, [output]) => {
    const gy = gradient as Tensor;
    const { shape } = output as { shape: Shape };
    const [image, out] = [sizes(shape), sizes(gy.shape)];
    const [n, channels] = shape as [number, number];
    const area = attrs.kernel[0] * attrs.kernel[1];
    const count = out[0] * out[1];
    const spread = gy.mul(inverseCounts(gy, attrs, image, out)).reshape([n * channels, 1, count]);
    const columns = spread.expand([n * channels, area, count]).reshape([n, channels * area, count]);
    return [foldWindows(columns, reachingWindow(attrs, image, out), out, shape)];
  },
});

const forward = (x: Tensor, shape: Shape, attrs: AvgPoolAttrs): Tensor =>
  dispatch(rule, [x], attrs, { shape, dtype: x.dtype });

const gradInput = (gy: Tensor, shape: Shape, attrs: AvgPoolAttrs): Tensor =>
  dispatch(gradRule, [gy], attrs, { shape, dtype: gy.dtype });

export interface AvgPoolOptions extends PoolOptions {
  /** Whether padding counts in the divisor. Default true, as PyTorch. */
  readonly countIncludePad?: boolean | undefined;
}

/**
 * The mean of each window of [N, C, H, W], as torch.nn.functional.avg_pool2d. Stride defaults to the kernel.
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const avgPool2d = (x: Tensor, options: AvgPoolOptions): Tensor => {
  expectDType("avgPool2d", "x", x.dtype, floatDTypes);
  const attrs = { ...poolAttrs("avgPool2d", options), countIncludePad: options.countIncludePad ?? true };
  return forward(x, poolOutputSize("avgPool2d", x, attrs), attrs);
};
