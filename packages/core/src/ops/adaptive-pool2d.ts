import type { Pair } from "../backend.js";
import { expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { avgPool2d } from "./avg-pool2d.js";
import { concat } from "./concat.js";
import { maxPool2d } from "./max-pool2d.js";
import { asPair, type PairLike } from "./window.js";

/** Window i of m over n elements: from floor(i·n/m) to ceil((i+1)·n/m), as PyTorch. */
const adaptiveWindow = (i: number, n: number, m: number): Pair => [
  Math.floor((i * n) / m),
  Math.ceil(((i + 1) * n) / m),
];

const expectImage = (op: string, x: Tensor, outputSize: PairLike): Pair => {
  expectArguments(op, { x });
  expectDType(op, "x", x.dtype, floatDTypes);
  if (x.rank !== 4 || x.shape[2] === 0 || x.shape[3] === 0)
    throw new ShapeError(`${op}: x is ${formatShape(x.shape)}, expected [N, C, H, W] with H, W > 0`);
  return asPair(op, "outputSize", outputSize, 1);
};

/** Windows of equal size that do not overlap: an ordinary pool. */
const evenKernel = (x: Tensor, [oh, ow]: Pair): Pair | null => {
  const [height, width] = x.shape.slice(2) as [number, number];
  return height % oh === 0 && width % ow === 0 ? [height / oh, width / ow] : null;
};

const sliceAlong = (x: Tensor, axis: number, [from, to]: Pair): Tensor =>
  x.slice({ begin: x.shape.map((_, i) => (i === axis ? from : 0)), end: x.shape.map((n, i) => (i === axis ? to : n)) });

/**
 * Means over windows that divide [N, C, H, W] into `outputSize`, as torch.nn.functional.adaptive_avg_pool2d.
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const adaptiveAvgPool2d = /* @__PURE__ */ scoped((x: Tensor, outputSize: PairLike): Tensor => {
  const size = expectImage("adaptiveAvgPool2d", x, outputSize);
  const kernel = evenKernel(x, size);
  if (kernel) return avgPool2d(x, { kernel });
  // A window is a product of two intervals: the mean of the row means.
  const along = (t: Tensor, axis: number, m: number): Tensor =>
    concat(
      Array.from({ length: m }, (_, i) =>
        sliceAlong(t, axis, adaptiveWindow(i, t.shape[axis] as number, m)).mean(axis, { keepDims: true }),
      ),
      axis,
    );
  return along(along(x, 2, size[0]), 3, size[1]);
});

/**
 * Maxima over windows that divide [N, C, H, W] into `outputSize`, as torch.nn.functional.adaptive_max_pool2d.
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const adaptiveMaxPool2d = /* @__PURE__ */ scoped((x: Tensor, outputSize: PairLike): Tensor => {
  const size = expectImage("adaptiveMaxPool2d", x, outputSize);
  const kernel = evenKernel(x, size);
  if (kernel) return maxPool2d(x, { kernel });
  const [height, width] = x.shape.slice(2) as [number, number];
  const rows = Array.from({ length: size[0] }, (_, i) => {
    const row = sliceAlong(x, 2, adaptiveWindow(i, height, size[0]));
    const cells = Array.from({ length: size[1] }, (__, j) => {
      const cell = sliceAlong(row, 3, adaptiveWindow(j, width, size[1]));
      return maxPool2d(cell, { kernel: cell.shape.slice(2) as unknown as Pair });
    });
    return concat(cells, 3);
  });
  return concat(rows, 2);
});
