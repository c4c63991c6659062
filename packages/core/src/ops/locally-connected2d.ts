import type { Pair } from "../backend.js";
import { expectArguments } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { type UnfoldOptions, unfoldWindows, windowOf } from "./unfold2d.js";
import { windowOutputSize } from "./window.js";

export interface LocallyConnectedOptions extends Omit<UnfoldOptions, "kernel"> {
  /** [Cout, oh, ow] */
  readonly bias?: Tensor | undefined;
}

/**
 * A convolution whose weights are not shared between positions (LeCun 1989, figure 4; Gregor and LeCun 2010):
 * x [N, Cin, H, W], weight [oh, ow, Cout, Cin, kh, kw] -> [N, Cout, oh, ow].
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const locallyConnected2d = /* @__PURE__ */ scoped(
  (x: Tensor, weight: Tensor, options: LocallyConnectedOptions = {}): Tensor => {
    const op = "locallyConnected2d";
    expectArguments(op, { x, weight, bias: options.bias });
    expectDType(op, "x", x.dtype, floatDTypes);
    if (x.rank !== 4 || weight.rank !== 6 || weight.shape[3] !== x.shape[1])
      throw new ShapeError(
        `${op}: x is ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}; ` +
          "expected [N, Cin, H, W] and [oh, ow, Cout, Cin, kh, kw]",
      );
    const [oh, ow, outputs, channels, kh, kw] = weight.shape as [number, number, number, number, number, number];
    const { bias, ...geometry } = options;
    const window = windowOf(op, { ...geometry, kernel: [kh, kw] });
    const size = windowOutputSize(op, x.shape.slice(2) as unknown as Pair, window);
    if (!sameShape(size, [oh, ow]))
      throw new ShapeError(
        `${op}: x ${formatShape(x.shape)} has ${formatShape(size)} positions, weight ${formatShape(weight.shape)} has ` +
          formatShape([oh, ow]),
      );
    for (const [name, t] of Object.entries({ weight, bias }))
      if (t && t.dtype !== x.dtype)
        throw new DTypeError(`${op}: ${name} is ${t.dtype}, x is ${x.dtype}; expected the same`);
    if (bias && !sameShape(bias.shape, [outputs, oh, ow]))
      throw new ShapeError(`${op}: bias is ${formatShape(bias.shape)}, expected ${formatShape([outputs, oh, ow])}`);
    const columns = unfoldWindows(x, window, size);
    // One matrix product a position: [L, Cout, K] x [L, K, N].
    const y = weight
      .reshape([oh * ow, outputs, channels * kh * kw])
      .matmul(columns.permute([2, 1, 0]))
      .permute([2, 1, 0])
      .reshape([x.shape[0] as number, outputs, oh, ow]);
    return bias ? y.add(bias) : y;
  },
);
