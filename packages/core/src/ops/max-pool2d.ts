import type { Pair, PoolAttrs, Shape } from "../backend.js";
import { constant, defineOp, dispatch, dispatchAll, expectArguments, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes, numericDTypes } from "../dtype.js";
import { ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { fill } from "./fill.js";
import { type PoolOptions, poolAttrs, poolOutputSize } from "./pool-options.js";
import { unfoldWindows } from "./unfold2d.js";
import { asPair, dilatedSize } from "./window.js";

type Image = readonly [number, number, number, number];

/** [N, C, H, W] as [N·C, H·W]. */
const planes = (x: Tensor): Tensor => {
  const [n, channels, height, width] = x.shape as Image;
  return x.reshape([n * channels, height * width]);
};

/**
 * Position in the input plane of each window element, [kh·kw, oh·ow]. Padding is -Infinity and can only be the maximum
 * of a window that is -Infinity throughout, where the first real element counts: padding gets that one's position.
 */
const planePositions = (attrs: PoolAttrs, image: Pair, output: Pair): Int32Array => {
  const [height, width] = image;
  const [kh, kw] = attrs.kernel;
  const count = output[0] * output[1];
  const table = new Int32Array(kh * kw * count).fill(-1);
  for (let p = 0; p < count; p++) {
    const top = Math.floor(p / output[1]) * attrs.stride[0] - attrs.padding[0];
    const left = (p % output[1]) * attrs.stride[1] - attrs.padding[2];
    let first = -1;
    for (let k = 0; k < kh * kw; k++) {
      const y = top + Math.floor(k / kw) * attrs.dilation[0];
      const x = left + (k % kw) * attrs.dilation[1];
      if (y < 0 || y >= height || x < 0 || x >= width) continue;
      table[k * count + p] = y * width + x;
      if (first < 0) first = y * width + x;
    }
    for (let k = 0; k < kh * kw; k++) if (table[k * count + p] === -1) table[k * count + p] = first;
  }
  return table;
};

const rule: OpRule<"maxPool2d"> = defineOp({
  name: "maxPool2d",
  saves: { outputs: [1] },
  gradient: (c) => [gradInput(c.grad(), c.output(1), (c.inputSpecs[0] as { shape: Shape }).shape, c.attrs)],
  decompose: ([input], attrs, [output]) => {
    const x = input as Tensor;
    const [n, channels, height, width] = x.shape as Image;
    const { shape } = output as { shape: Shape };
    const [oh, ow] = shape.slice(2) as unknown as Pair;
    const [top, , left] = attrs.padding;
    const reach = (axis: 0 | 1, count: number): number =>
      (count - 1) * attrs.stride[axis] + dilatedSize(attrs.kernel[axis], attrs.dilation[axis]);
    const bottom = Math.max(0, reach(0, oh) - top - height);
    const right = Math.max(0, reach(1, ow) - left - width);
    const padded = x.pad({ before: [0, 0, top, left], after: [0, 0, bottom, right], value: Number.NEGATIVE_INFINITY });
    const window = { ...attrs, padding: [0, 0, 0, 0] as const };
    const area = attrs.kernel[0] * attrs.kernel[1];
    const columns = unfoldWindows(padded, window, [oh, ow]).reshape([n * channels, area, oh * ow]);
    const index = columns.argmax(1, { keepDims: true });
    const table = planePositions(attrs, [height, width], [oh, ow]);
    const positions = constant(x, { shape: [area, oh * ow], dtype: "int32" }, table);
    return [
      columns.gather(1, index).reshape(shape),
      positions.gather(0, index.reshape([n * channels, oh * ow])).reshape(shape),
    ];
  },
});

const gradRule: OpRule<"maxPool2dGrad"> = defineOp({
  name: "maxPool2dGrad",
  empty: 0,
  saves: { inputs: [1] },
  gradient: (c) => {
    const indices = c.input(1);
    return [planes(c.grad()).gather(1, planes(indices)).reshape(indices.shape), null];
  },
  decompose: ([gradient, indices], _attrs, [output]) => {
    const gy = gradient as Tensor;
    const { shape } = output as { shape: Shape };
    const [n, channels, height, width] = shape as Image;
    const zeros = fill(gy.runtime, [n * channels, height * width], gy.dtype, 0);
    return [zeros.scatterAdd(1, planes(indices as Tensor), planes(gy)).reshape(shape)];
  },
});

const gradInput = (gy: Tensor, indices: Tensor, shape: Shape, attrs: PoolAttrs): Tensor =>
  dispatch(gradRule, [gy, indices], attrs, { shape, dtype: gy.dtype });

/**
 * `maxPool2d` with the position of each maximum, y·W + x in its input plane (int32): the switches of unpooling. Of
 * several NaN too it is the first (PyTorch: the last).
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const maxPool2dWithIndices = (x: Tensor, options: PoolOptions): { y: Tensor; indices: Tensor } => {
  expectDType("maxPool2d", "x", x.dtype, floatDTypes);
  const attrs = poolAttrs("maxPool2d", options);
  const shape = poolOutputSize("maxPool2d", x, attrs);
  const outputs = [
    { shape, dtype: x.dtype },
    { shape, dtype: "int32" as const },
  ];
  const [y, indices] = dispatchAll(rule, [x], attrs, outputs) as readonly [Tensor, Tensor];
  return { y, indices };
};

/**
 * The maximum of each window of [N, C, H, W], as torch.nn.functional.max_pool2d: padding is -Infinity, ties go to the
 * first element in row-major order, NaN propagates. Stride defaults to the kernel.
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const maxPool2d = /* @__PURE__ */ scoped(
  (x: Tensor, options: PoolOptions): Tensor => maxPool2dWithIndices(x, options).y,
);

export interface UnpoolOptions {
  /** [H, W] of the result: the pool's input. */
  readonly outputSize: Pair;
}

/**
 * Put the elements of x [N, C, h, w] back where `indices` (from `maxPool2dWithIndices`) say, zeros elsewhere (Zeiler and
 * Fergus 2013, section 2.1). Positions named twice add up.
 *
 * @throws ShapeError, DTypeError; IndexError for a position outside the plane (at the latest when the result is read).
 */
export const maxUnpool2d = /* @__PURE__ */ scoped((x: Tensor, indices: Tensor, options: UnpoolOptions): Tensor => {
  expectArguments("maxUnpool2d", { x, indices });
  const [height, width] = asPair("maxUnpool2d", "outputSize", options.outputSize, 1);
  expectDType("maxUnpool2d", "x", x.dtype, numericDTypes);
  expectDType("maxUnpool2d", "indices", indices.dtype, ["int32"]);
  if (x.rank !== 4 || !sameShape(indices.shape, x.shape))
    throw new ShapeError(
      `maxUnpool2d: x is ${formatShape(x.shape)}, indices ${formatShape(indices.shape)}; expected [N, C, h, w] both`,
    );
  const [n, channels] = x.shape as Image;
  const zeros = fill(x.runtime, [n * channels, height * width], x.dtype, 0);
  return zeros.scatterAdd(1, planes(indices), planes(x)).reshape([n, channels, height, width]);
});
