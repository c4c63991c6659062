/**
 * Golden vectors of single operators: what each one is called here. Names and attributes on the left are PyTorch's.
 */

import type { Tensor } from "@striate/core";
import * as core from "@striate/core";
import type { PublicOpName } from "../cases/index.js";
import type { Attributes } from "./attributes.js";
import { VectorFormatError } from "./safetensors.js";

type Inputs = ReadonlyMap<string, Tensor>;

interface VectorOp {
  readonly op: PublicOpName;
  /** The outputs by the names that the vectors give them; the gradient arrives at the first. */
  run(inputs: Inputs, attrs: Attributes): Readonly<Record<string, Tensor>>;
}

const need = (inputs: Inputs, name: string): Tensor => {
  const tensor = inputs.get(name);
  if (!tensor) throw new VectorFormatError(`there is no input ${name}`);
  return tensor;
};

const optional = (inputs: Inputs, name: string, as = name): Readonly<Record<string, Tensor>> => {
  const tensor = inputs.get(name);
  return tensor ? { [as]: tensor } : {};
};

const unary = (op: PublicOpName, f: (x: Tensor, attrs: Attributes) => Tensor): VectorOp => ({
  op,
  run: (inputs, attrs) => ({ y: f(need(inputs, "x"), attrs) }),
});

const binary = (op: PublicOpName, f: (a: Tensor, b: Tensor) => Tensor): VectorOp => ({
  op,
  run: (inputs) => ({ y: f(need(inputs, "a"), need(inputs, "b")) }),
});

type Axes = number | readonly number[] | undefined;

const reduction = (op: PublicOpName, f: (x: Tensor, axes: Axes, options: { keepDims: boolean }) => Tensor): VectorOp =>
  unary(op, (x, attrs) => f(x, attrs.dims("dim"), { keepDims: attrs.flag("keepdim", false) }));

const reductions = ["mean", "sum", "none"] as const;

const loss = (
  op: PublicOpName,
  f: (x: Tensor, target: Tensor, options: { reduction: core.Reduction; beta: number }) => Tensor,
): VectorOp => ({
  op,
  run: (inputs, attrs) => ({
    y: f(need(inputs, "x"), need(inputs, "target"), {
      reduction: attrs.text("reduction", reductions, "mean"),
      beta: attrs.number("beta", 1),
    }),
  }),
});

/** stride null means the kernel. */
const poolOptions = (attrs: Attributes) => ({
  kernel: attrs.pair("kernel_size", 1),
  ...(attrs.has("stride") && { stride: attrs.pair("stride", 1) }),
  padding: attrs.pair("padding", 0),
  ceilMode: attrs.flag("ceil_mode", false),
});

const convOptions = (inputs: Inputs, attrs: Attributes) => ({
  stride: attrs.pair("stride", 1),
  padding: attrs.pair("padding", 0),
  dilation: attrs.pair("dilation", 1),
  groups: attrs.number("groups", 1),
  ...optional(inputs, "b", "bias"),
});

const affine = (inputs: Inputs) => ({ ...optional(inputs, "weight"), ...optional(inputs, "bias") });

/** PyTorch clips the bounds of a slice to the axis; here they must lie inside. */
const clipped = (bounds: readonly number[], shape: readonly number[]): number[] =>
  bounds.map((bound, axis) => {
    const n = shape[axis] as number;
    return Math.min(Math.max(bound < 0 ? bound + n : bound, 0), n);
  });

export const vectorOps: Readonly<Record<string, VectorOp>> = {
  abs: unary("abs", core.abs),
  cos: unary("cos", core.cos),
  erf: unary("erf", core.erf),
  exp: unary("exp", core.exp),
  expm1: unary("expm1", core.expm1),
  log: unary("log", core.log),
  log1p: unary("log1p", core.log1p),
  neg: unary("neg", core.neg),
  reciprocal: unary("reciprocal", core.reciprocal),
  relu: unary("relu", core.relu),
  rsqrt: unary("rsqrt", core.rsqrt),
  sigmoid: unary("sigmoid", core.sigmoid),
  sin: unary("sin", core.sin),
  sqrt: unary("sqrt", core.sqrt),
  square: unary("square", core.square),
  tanh: unary("tanh", core.tanh),
  gelu: unary("gelu", core.gelu),
  silu: unary("silu", core.silu),
  softplus: unary("softplus", core.softplus),
  elu: unary("elu", (x, attrs) => core.elu(x, attrs.number("alpha", 1))),
  leaky_relu: unary("leakyRelu", (x, attrs) => core.leakyRelu(x, attrs.number("negative_slope", 0.01))),
  clamp: unary("clamp", (x, attrs) =>
    core.clamp(x, {
      ...(attrs.has("min") && { min: attrs.number("min", 0) }),
      ...(attrs.has("max") && { max: attrs.number("max", 0) }),
    }),
  ),

  add: binary("add", core.add),
  sub: binary("sub", core.sub),
  mul: binary("mul", core.mul),
  div: binary("div", core.div),
  pow: binary("pow", core.pow),
  maximum: binary("maximum", core.maximum),
  minimum: binary("minimum", core.minimum),
  matmul: binary("matmul", core.matmul),
  where: {
    op: "where",
    run: (inputs) => ({ y: core.where(core.cast(need(inputs, "cond"), "bool"), need(inputs, "a"), need(inputs, "b")) }),
  },

  sum: reduction("sum", core.sum),
  mean: reduction("mean", core.mean),
  max: reduction("max", core.max),
  min: reduction("min", core.min),
  var: reduction("variance", core.variance),
  logsumexp: reduction("logSumExp", core.logSumExp),
  argmax: reduction("argmax", (x, axis, options) => core.argmax(x, [axis].flat()[0], options)),
  argmin: reduction("argmin", (x, axis, options) => core.argmin(x, [axis].flat()[0], options)),
  cumsum: unary("cumsum", (x, attrs) => core.cumsum(x, attrs.number("dim", 0))),
  softmax: unary("softmax", (x, attrs) => core.softmax(x, attrs.number("dim", -1))),
  log_softmax: unary("logSoftmax", (x, attrs) => core.logSoftmax(x, attrs.number("dim", -1))),

  permute: unary("permute", (x, attrs) =>
    core.permute(
      x,
      attrs.numbers("dims").map((d) => (d < 0 ? d + x.rank : d)),
    ),
  ),
  slice: unary("slice", (x, attrs) =>
    core.slice(x, {
      begin: clipped(attrs.numbers("begin"), x.shape),
      end: clipped(attrs.numbers("end"), x.shape),
      ...(attrs.has("step") && { step: attrs.numbers("step") }),
    }),
  ),
  pad: unary("pad2d", (x, attrs) => {
    const side = (name: string): number => attrs.number(name, 0);
    return core.pad2d(x, [side("top"), side("bottom"), side("left"), side("right")], {
      mode: attrs.text("mode", ["constant", "reflect", "replicate"] as const, "constant"),
      value: attrs.number("value", 0),
    });
  }),
  concat: { op: "concat", run: (inputs, attrs) => ({ y: core.concat([...inputs.values()], attrs.number("dim", 0)) }) },
  gather: {
    op: "gather",
    run: (inputs, attrs) => ({ y: core.gather(need(inputs, "x"), attrs.number("dim", 0), need(inputs, "index")) }),
  },
  index_select: {
    op: "indexSelect",
    run: (inputs, attrs) => ({ y: core.indexSelect(need(inputs, "x"), attrs.number("dim", 0), need(inputs, "index")) }),
  },

  linear: {
    op: "linear",
    run: (inputs) => ({ y: core.linear(need(inputs, "x"), need(inputs, "w"), inputs.get("b")) }),
  },
  conv2d: {
    op: "conv2d",
    run: (inputs, attrs) => ({ y: core.conv2d(need(inputs, "x"), need(inputs, "w"), convOptions(inputs, attrs)) }),
  },
  conv_transpose2d: {
    op: "convTranspose2d",
    run: (inputs, attrs) => ({
      y: core.convTranspose2d(need(inputs, "x"), need(inputs, "w"), {
        ...convOptions(inputs, attrs),
        outputPadding: attrs.pair("output_padding", 0),
      }),
    }),
  },
  max_pool2d: unary("maxPool2d", (x, attrs) =>
    core.maxPool2d(x, { ...poolOptions(attrs), dilation: attrs.pair("dilation", 1) }),
  ),
  avg_pool2d: unary("avgPool2d", (x, attrs) =>
    core.avgPool2d(x, { ...poolOptions(attrs), countIncludePad: attrs.flag("count_include_pad", true) }),
  ),
  adaptive_avg_pool2d: unary("adaptiveAvgPool2d", (x, attrs) =>
    core.adaptiveAvgPool2d(x, attrs.pair("output_size", 1)),
  ),
  upsample2d: unary("upsample2d", (x, attrs) =>
    core.upsample2d(x, {
      scale: attrs.number("scale", 2),
      mode: attrs.text("mode", ["nearest", "bilinear"] as const, "nearest"),
    }),
  ),

  batch_norm: {
    op: "batchNorm",
    run: (inputs, attrs) => {
      const statistics = {
        ...optional(inputs, "running_mean", "runningMean"),
        ...optional(inputs, "running_var", "runningVar"),
      };
      // `batchNorm` rebinds the handles that it is given: hand out copies.
      const moving = Object.fromEntries(Object.entries(statistics).map(([name, tensor]) => [name, tensor.detach()]));
      const y = core.batchNorm(need(inputs, "x"), {
        ...affine(inputs),
        ...moving,
        training: attrs.flag("training", false),
        momentum: attrs.number("momentum", 0.1),
        eps: attrs.number("eps", 1e-5),
      });
      const { runningMean, runningVar } = moving;
      return { y, ...(runningMean && { running_mean: runningMean }), ...(runningVar && { running_var: runningVar }) };
    },
  },
  layer_norm: {
    op: "layerNorm",
    run: (inputs, attrs) => {
      const x = need(inputs, "x");
      const dimensions = attrs.number("normalized_ndim", 1);
      return {
        y: core.layerNorm(x, {
          ...affine(inputs),
          normalizedShape: x.shape.slice(x.rank - dimensions),
          eps: attrs.number("eps", 1e-5),
        }),
      };
    },
  },
  group_norm: {
    op: "groupNorm",
    run: (inputs, attrs) => ({
      y: core.groupNorm(need(inputs, "x"), {
        ...affine(inputs),
        groups: attrs.number("groups", 1),
        eps: attrs.number("eps", 1e-5),
      }),
    }),
  },
  local_response_norm: unary("localResponseNorm", (x, attrs) =>
    core.localResponseNorm(x, {
      size: attrs.number("size", 5),
      alpha: attrs.number("alpha", 1e-4),
      beta: attrs.number("beta", 0.75),
      k: attrs.number("k", 1),
    }),
  ),

  cross_entropy: {
    op: "crossEntropy",
    run: (inputs, attrs) => ({
      y: core.crossEntropy(need(inputs, "x"), need(inputs, "target"), {
        labelSmoothing: attrs.number("label_smoothing", 0),
        reduction: attrs.text("reduction", reductions, "mean"),
      }),
    }),
  },
  mse_loss: loss("mseLoss", core.mseLoss),
  l1_loss: loss("l1Loss", core.l1Loss),
  smooth_l1_loss: loss("smoothL1Loss", core.smoothL1Loss),
  bce_with_logits: loss("bceWithLogits", core.bceWithLogits),
};
