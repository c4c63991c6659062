import type { Conv2dAttrs, Pair, Shape, TensorSpec, Window2d } from "../backend.js";
import { defineOp, dispatch, dispatchFused, expectArguments, type FusedRule, type OpRule } from "../dispatch.js";
import { expectDType, floatDTypes } from "../dtype.js";
import { ArgumentError, DTypeError, ShapeError } from "../errors.js";
import { scoped } from "../scope.js";
import { formatShape, sameShape } from "../shape.js";
import type { Tensor } from "../tensor.js";
import { reluRule } from "./unary.js";
import { foldWindows, unfoldWindows } from "./unfold2d.js";
import { asPadding, asPair, dilatedSize, type PaddingLike, type PairLike, windowOutputSize } from "./window.js";

export interface Conv2dOptions {
  /** [Cout] */
  readonly bias?: Tensor | undefined;
  /** Default 1. */
  readonly stride?: PairLike | undefined;
  /** Zeros around the image. Default 0. */
  readonly padding?: PaddingLike | undefined;
  /** Default 1. */
  readonly dilation?: PairLike | undefined;
  /** Input and output channels fall into this many independent groups. Default 1. */
  readonly groups?: number | undefined;
}

type Image = readonly [number, number, number, number];

const windowOf = (attrs: Conv2dAttrs, weight: Shape): Window2d => ({
  kernel: weight.slice(2) as unknown as Pair,
  stride: attrs.stride,
  padding: attrs.padding,
  dilation: attrs.dilation,
});

const imageSize = (shape: Shape): Pair => shape.slice(2) as unknown as Pair;

/** [N, Cout, oh, ow] as [N, groups, Cout/groups, oh·ow]. */
const groupedOutput = (y: Tensor, groups: number): Tensor => {
  const [n, channels, h, w] = y.shape as Image;
  return y.reshape([n, groups, channels / groups, h * w]);
};

/** [Cout, Cin/groups, kh, kw] as [1, groups, Cout/groups, Cin/groups·kh·kw]. */
const groupedWeight = (weight: Tensor, groups: number): Tensor => {
  const [out, inputs, kh, kw] = weight.shape as Image;
  return weight.reshape([1, groups, out / groups, inputs * kh * kw]);
};

/** The columns of [N, Cin, H, W] as [N, groups, Cin/groups·kh·kw, oh·ow]. */
const groupedColumns = (x: Tensor, attrs: Conv2dAttrs, weight: Shape, outputSize: Pair): Tensor => {
  const columns = unfoldWindows(x, windowOf(attrs, weight), outputSize);
  const [n, rows, positions] = columns.shape as readonly [number, number, number];
  return columns.reshape([n, attrs.groups, rows / attrs.groups, positions]);
};

const rule: OpRule<"conv2d"> = defineOp({
  name: "conv2d",
  inputs: ["x", "weight", "bias"],
  saves: { inputs: [0, 1] },
  gradient: (c) => {
    const g = c.grad();
    const [x, w] = c.inputSpecs as readonly { shape: Shape }[] as [{ shape: Shape }, { shape: Shape }];
    return [
      c.needs[0] ? gradInput(c.input(1), g, x.shape, c.attrs) : null,
      c.needs[1] ? gradWeight(c.input(0), g, w.shape, c.attrs) : null,
      c.needs[2] ? g.sum([0, 2, 3]) : null,
    ];
  },
  decompose: ([input, weight, bias], attrs, [output]) => {
    const [x, w] = [input as Tensor, weight as Tensor];
    const { shape } = output as { shape: Shape };
    const y = groupedWeight(w, attrs.groups)
      .matmul(groupedColumns(x, attrs, w.shape, imageSize(shape)))
      .reshape(shape);
    return [bias ? y.add(bias.reshape([1, -1, 1, 1])) : y];
  },
});

const gradInputRule: OpRule<"conv2dGradInput"> = defineOp({
  name: "conv2dGradInput",
  empty: 0,
  saves: { inputs: [0, 1] },
  gradient: (c) => {
    const g = c.grad();
    const [w, gy] = c.inputSpecs as readonly { shape: Shape }[] as [{ shape: Shape }, { shape: Shape }];
    return [
      c.needs[0] ? gradWeight(g, c.input(1), w.shape, c.attrs) : null,
      c.needs[1] ? forward(g, c.input(0), undefined, gy.shape, c.attrs) : null,
    ];
  },
  decompose: ([weight, gradient], attrs, [output]) => {
    const [w, gy] = [weight as Tensor, gradient as Tensor];
    const { shape } = output as { shape: Shape };
    const columns = groupedWeight(w, attrs.groups).matmul(groupedOutput(gy, attrs.groups), { transposeA: true });
    const [n, , , positions] = columns.shape as Image;
    return [foldWindows(columns.reshape([n, -1, positions]), windowOf(attrs, w.shape), imageSize(gy.shape), shape)];
  },
});

const gradWeightRule: OpRule<"conv2dGradWeight"> = defineOp({
  name: "conv2dGradWeight",
  empty: 0,
  saves: { inputs: [0, 1] },
  gradient: (c) => {
    const g = c.grad();
    const [x, gy] = c.inputSpecs as readonly { shape: Shape }[] as [{ shape: Shape }, { shape: Shape }];
    return [
      c.needs[0] ? gradInput(g, c.input(1), x.shape, c.attrs) : null,
      c.needs[1] ? forward(c.input(0), g, undefined, gy.shape, c.attrs) : null,
    ];
  },
  decompose: ([input, gradient], attrs, [output]) => {
    const [x, gy] = [input as Tensor, gradient as Tensor];
    const { shape } = output as { shape: Shape };
    const columns = groupedColumns(x, attrs, shape, imageSize(gy.shape));
    return [groupedOutput(gy, attrs.groups).matmul(columns, { transposeB: true }).sum(0).reshape(shape)];
  },
});

const forward = (x: Tensor, w: Tensor, bias: Tensor | undefined, shape: Shape, attrs: Conv2dAttrs): Tensor =>
  dispatch(rule, bias ? [x, w, bias] : [x, w], attrs, { shape, dtype: x.dtype });

const gradInput = (w: Tensor, gy: Tensor, shape: Shape, attrs: Conv2dAttrs): Tensor =>
  dispatch(gradInputRule, [w, gy], attrs, { shape, dtype: gy.dtype });

const gradWeight = (x: Tensor, gy: Tensor, shape: Shape, attrs: Conv2dAttrs): Tensor =>
  dispatch(gradWeightRule, [x, gy], attrs, { shape, dtype: gy.dtype });

const attrsOf = (op: string, options: Conv2dOptions): Conv2dAttrs => {
  const { groups = 1 } = options;
  if (!Number.isInteger(groups) || groups < 1)
    throw new ArgumentError(`${op}: groups is ${groups}, expected a positive integer`);
  return {
    stride: asPair(op, "stride", options.stride ?? 1, 1),
    padding: asPadding(op, options.padding ?? 0),
    dilation: asPair(op, "dilation", options.dilation ?? 1, 1),
    groups,
  };
};

const expectImages = (op: string, x: Tensor, weight: Tensor, bias: Tensor | undefined, outputs: number): void => {
  expectDType(op, "x", x.dtype, floatDTypes);
  for (const [name, t] of Object.entries({ weight, bias }))
    if (t && t.dtype !== x.dtype)
      throw new DTypeError(`${op}: ${name} is ${t.dtype}, x is ${x.dtype}; expected the same`);
  if (x.rank !== 4 || weight.rank !== 4 || weight.size === 0)
    throw new ShapeError(
      `${op}: x is ${formatShape(x.shape)}, weight ${formatShape(weight.shape)}; expected both of rank 4, weight not empty`,
    );
  if (bias && !sameShape(bias.shape, [outputs]))
    throw new ShapeError(`${op}: bias is ${formatShape(bias.shape)}, expected [${outputs}]`);
};

/** What a kernel gets, after all checks. */
const callOf = (op: string, x: Tensor, weight: Tensor, options: Conv2dOptions) => {
  const attrs = attrsOf(op, options);
  const { bias } = options;
  const [outputs] = weight.shape as Image;
  expectImages(op, x, weight, bias, outputs);
  const [n, channels] = x.shape as Image;
  if (channels !== (weight.shape[1] as number) * attrs.groups || outputs % attrs.groups !== 0)
    throw new ShapeError(
      `${op}: x ${formatShape(x.shape)} has ${channels} channels; weight ${formatShape(weight.shape)} in ${attrs.groups} ` +
        `groups expects ${(weight.shape[1] as number) * attrs.groups}, and ${outputs} outputs divisible by the groups`,
    );
  const size = windowOutputSize(op, imageSize(x.shape), windowOf(attrs, weight.shape));
  const inputs = bias ? [x, weight, bias] : [x, weight];
  return { inputs, attrs, output: { shape: [n, outputs, ...size], dtype: x.dtype } };
};

/**
 * Cross-correlation, as torch.nn.functional.conv2d: x [N, Cin, H, W], weight [Cout, Cin/groups, kh, kw]
 * -> [N, Cout, oh, ow] with oh = floor((H + top + bottom - dh(kh-1) - 1)/sh) + 1.
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const conv2d = (x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor => {
  const { inputs, attrs, output } = callOf("conv2d", x, weight, options);
  return dispatch(rule, inputs, attrs, output);
};

const withRelu: FusedRule<"conv2dRelu", "conv2d", "unary"> = {
  fused: defineOp({
    name: "conv2dRelu",
    decompose: (inputs, attrs, [output]) => [dispatch(rule, inputs, attrs, output as TensorSpec).relu()],
  }),
  first: rule,
  second: reluRule,
  secondAttrs: { kind: "relu" },
};

/** `conv2d(x, weight, options).relu()` to the bit, in one pass over the output where the backend can. */
export const conv2dRelu = (x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor => {
  const { inputs, attrs, output } = callOf("conv2dRelu", x, weight, options);
  return dispatchFused(withRelu, inputs, attrs, [output])[0] as Tensor;
};

export interface ConvTranspose2dOptions extends Conv2dOptions {
  /** Rows and columns added at the bottom and right, below the stride or the dilation. Default 0. */
  readonly outputPadding?: PairLike | undefined;
}

/**
 * Transposed convolution, the adjoint of `conv2d` in x, as torch.nn.functional.conv_transpose2d: x [N, Cin, H, W],
 * weight [Cin, Cout/groups, kh, kw] -> [N, Cout, oh, ow] with oh = (H-1)·sh - top - bottom + dh(kh-1) + outputPadding + 1.
 *
 * @throws ShapeError, DTypeError, ArgumentError naming the argument.
 */
export const convTranspose2d = /* @__PURE__ */ scoped(
  (x: Tensor, weight: Tensor, options: ConvTranspose2dOptions = {}): Tensor => {
    const op = "convTranspose2d";
    expectArguments(op, { x, weight, bias: options.bias });
    const attrs = attrsOf(op, options);
    const outputs = (weight.shape[1] as number) * attrs.groups;
    expectImages(op, x, weight, options.bias, outputs);
    const [n, channels, height, width] = x.shape as Image;
    if (channels !== weight.shape[0] || channels % attrs.groups !== 0)
      throw new ShapeError(
        `${op}: x ${formatShape(x.shape)} has ${channels} channels; weight ${formatShape(weight.shape)} expects ` +
          `${weight.shape[0]}, divisible by ${attrs.groups} groups`,
      );
    const extra = asPair(op, "outputPadding", options.outputPadding ?? 0, 0);
    extra.forEach((p, i) => {
      const limit = Math.max(attrs.stride[i] as number, attrs.dilation[i] as number);
      if (p >= limit) throw new ArgumentError(`${op}: outputPadding is ${formatShape(extra)}, expected below ${limit}`);
    });
    const [top, bottom, left, right] = attrs.padding;
    const along = (axis: 0 | 1, n: number, padding: number): number =>
      (n - 1) * attrs.stride[axis] -
      padding +
      dilatedSize(weight.shape[2 + axis] as number, attrs.dilation[axis]) +
      extra[axis];
    const size = [along(0, height, top + bottom), along(1, width, left + right)];
    if (size.some((m) => m < 1))
      throw new ShapeError(
        `${op}: x ${formatShape(x.shape)} with padding ${formatShape(attrs.padding)} leaves nothing`,
      );
    const y = gradInput(weight, x, [n, outputs, ...size], attrs);
    return options.bias ? y.add(options.bias.reshape([1, outputs, 1, 1])) : y;
  },
);
