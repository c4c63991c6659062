import { ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { type UnfoldOptions, unfold2d } from "./unfold2d.js";

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
    if (x.rank !== 4 || weight.rank !== 6 || weight.shape[3] !== x.shape[1])
      throw new ShapeError(
        `${op}: x is ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}; ` +
          "expected [N, Cin, H, W] and [oh, ow, Cout, Cin, kh, kw]",
      );
    const [oh, ow, outputs, channels, kh, kw] = weight.shape as [number, number, number, number, number, number];
    const { bias, ...geometry } = options;
    const columns = unfold2d(x, { ...geometry, kernel: [kh, kw] });
    if (columns.shape[2] !== oh * ow)
      throw new ShapeError(
        `${op}: x ${formatShape(x.shape)} has ${columns.shape[2]} positions, weight ${formatShape(weight.shape)} ${oh * ow}`,
      );
    if (bias && !sameShape(bias.shape, [outputs, oh, ow]))
      throw new ShapeError(`${op}: bias is ${formatShape(bias.shape)}, expected ${formatShape([outputs, oh, ow])}`);
    // One matrix product a position: [L, Cout, K] x [L, K, N].
    const y = weight
      .reshape([oh * ow, outputs, channels * kh * kw])
      .matmul(columns.permute([2, 1, 0]))
      .permute([2, 1, 0])
      .reshape([x.shape[0] as number, outputs, oh, ow]);
    return bias ? y.add(bias) : y;
  },
);
