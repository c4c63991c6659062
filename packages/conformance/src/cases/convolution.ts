import * as core from "@striate/core";
import type { ConvOptions, ConvTransposeOptions, FoldOptions, UnfoldOptions } from "../reference/convolution.js";
import * as reference from "../reference/convolution.js";
import type { NdArray } from "../reference/ndarray.js";
import { pair, type WindowOptions } from "../reference/window.js";
import { cycle, type Definition, defineCases, fixed, input, integers, ramp, typed } from "../suite.js";
import { bound, moved } from "../tolerance.js";
import { thenRelu } from "./then-relu.js";

interface ConvInputs {
  x: unknown;
  w: unknown;
  bias?: unknown;
}

/** Products that one output element adds up, and its bias. */
const products = ({ w }: { w: NdArray }): number => w.shape.slice(1).reduce((a, b) => a * b, 1) + 1;

const kernels = ["conv2d", "conv2dGradInput", "conv2dGradWeight"] as const;

const plainConv2d: Definition<ConvInputs, ConvOptions> = {
  tolerance: bound(products),
  kernels,
  run: ({ x, w, ...bias }, attrs) => core.conv2d(x, w, { ...attrs, ...bias }),
  reference: ({ x, w, bias }, attrs) => reference.conv2d(x, w, bias, attrs),
  samples: [
    { name: "1x1-of-1", inputs: { x: input([1, 1, 1, 1]), w: input([1, 1, 1, 1]) }, attrs: {} },
    { name: "1x1-b", inputs: { x: input([2, 5, 3, 4]), w: input([7, 5, 1, 1]), bias: input([7]) }, attrs: {} },
    { name: "1x1-s2", inputs: { x: input([2, 3, 5, 6]), w: input([4, 3, 1, 1]) }, attrs: { stride: 2 } },
    { name: "3x3", inputs: { x: input([1, 2, 5, 5]), w: input([3, 2, 3, 3]) }, attrs: {} },
    {
      name: "3x3-p1-b",
      inputs: { x: input([2, 3, 6, 7]), w: input([5, 3, 3, 3]), bias: input([5]) },
      attrs: { padding: 1 },
    },
    { name: "3x3-c16-o17-p1", inputs: { x: input([1, 16, 4, 5]), w: input([17, 16, 3, 3]) }, attrs: { padding: 1 } },
    {
      name: "3x3-s2-p1-b",
      inputs: { x: input([2, 3, 8, 7]), w: input([4, 3, 3, 3]), bias: input([4]) },
      attrs: { stride: 2, padding: 1 },
    },
    { name: "5x5", inputs: { x: input([1, 3, 9, 8]), w: input([2, 3, 5, 5]) }, attrs: {} },
    { name: "2x3-s3x2", inputs: { x: input([2, 2, 8, 9]), w: input([3, 2, 2, 3]) }, attrs: { stride: [3, 2] } },
    { name: "1x5-p0x2", inputs: { x: input([1, 2, 4, 6]), w: input([3, 2, 1, 5]) }, attrs: { padding: [0, 2] } },
    { name: "s4-above-kernel", inputs: { x: input([1, 2, 9, 10]), w: input([2, 2, 2, 3]) }, attrs: { stride: 4 } },
    {
      name: "kernel-above-image-p2",
      inputs: { x: input([1, 2, 2, 3]), w: input([3, 2, 5, 5]) },
      attrs: { padding: 2 },
    },
    {
      name: "asymmetric-p0123",
      inputs: { x: input([1, 2, 5, 4]), w: input([3, 2, 3, 3]), bias: input([3]) },
      attrs: { padding: [0, 1, 2, 3] },
    },
    {
      name: "asymmetric-s2-p2010",
      inputs: { x: input([2, 1, 6, 5]), w: input([2, 1, 3, 2]) },
      attrs: { stride: 2, padding: [2, 0, 1, 0] },
    },
    { name: "d2-p2", inputs: { x: input([1, 2, 6, 7]), w: input([3, 2, 3, 3]) }, attrs: { dilation: 2, padding: 2 } },
    {
      name: "d3x2-s2",
      inputs: { x: input([1, 2, 9, 8]), w: input([2, 2, 3, 2]) },
      attrs: { dilation: [3, 2], stride: 2 },
    },
    {
      name: "g2-b",
      inputs: { x: input([2, 4, 5, 5]), w: input([6, 2, 3, 3]), bias: input([6]) },
      attrs: { groups: 2, padding: 1 },
    },
    {
      name: "depthwise",
      inputs: { x: input([2, 5, 5, 4]), w: input([5, 1, 3, 3]), bias: input([5]) },
      attrs: { groups: 5, padding: 1 },
    },
    {
      name: "depthwise-x2-s2",
      inputs: { x: input([1, 3, 7, 6]), w: input([6, 1, 3, 3]) },
      attrs: { groups: 3, stride: 2 },
    },
    {
      name: "s2-p1-d2-g4-b",
      inputs: { x: input([2, 8, 9, 7]), w: input([4, 2, 3, 3]), bias: input([4]) },
      attrs: { stride: 2, padding: 1, dilation: 2, groups: 4 },
    },
    {
      name: "integers",
      inputs: { x: integers([2, 5, 7, 9]), w: integers([6, 5, 3, 3]), bias: integers([6]) },
      attrs: { padding: 1 },
      exact: true,
      gradient: false,
      dtypes: ["float32", "float64"],
    },
    {
      name: "integers-g2-s2-d2",
      inputs: { x: integers([2, 4, 9, 11]), w: integers([6, 2, 3, 2]) },
      attrs: { stride: 2, dilation: 2, groups: 2, padding: [1, 0, 2, 1] },
      exact: true,
      gradient: false,
      dtypes: ["float32", "float64"],
    },
    {
      name: "nan",
      inputs: { x: cycle([1, 1, 3, 3], [1, 2, 3, 4, Number.NaN]), w: fixed(cycle([1, 1, 2, 2], [1, 0, 2, 0])) },
      attrs: {},
      kind: "special",
    },
    {
      name: "zero-batch",
      inputs: { x: input([0, 2, 5, 5]), w: input([3, 2, 3, 3]), bias: input([3]) },
      attrs: {},
      kind: "zero-size",
    },
    {
      name: "large",
      inputs: { x: ramp([1, 1, 2048, 2049]), w: ramp([1, 1, 1, 1]) },
      attrs: {},
      kind: "large",
      dtypes: ["float32"],
    },
  ],
  errors: [
    { name: "channels", code: "shape", inputs: { x: input([1, 3, 5, 5]), w: input([2, 2, 3, 3]) }, attrs: {} },
    { name: "rank", code: "shape", inputs: { x: input([3, 5, 5]), w: input([2, 3, 3, 3]) }, attrs: {} },
    { name: "kernel", code: "shape", inputs: { x: input([1, 1, 2, 2]), w: input([1, 1, 3, 3]) }, attrs: {} },
    {
      name: "bias",
      code: "shape",
      inputs: { x: input([1, 1, 3, 3]), w: input([2, 1, 3, 3]), bias: input([3]) },
      attrs: {},
    },
    {
      name: "groups",
      code: "argument",
      inputs: { x: input([1, 4, 3, 3]), w: input([2, 4, 3, 3]) },
      attrs: { groups: 0 },
    },
    {
      name: "stride",
      code: "argument",
      inputs: { x: input([1, 1, 3, 3]), w: input([1, 1, 3, 3]) },
      attrs: { stride: 0 },
    },
    {
      name: "padding",
      code: "argument",
      inputs: { x: input([1, 1, 3, 3]), w: input([1, 1, 3, 3]) },
      attrs: { padding: -1 },
    },
    {
      name: "dtypes",
      code: "dtype",
      inputs: { x: input([1, 1, 3, 3]), w: typed("int32", integers([1, 1, 3, 3])) },
      attrs: {},
    },
  ],
};

export const conv2d = defineCases(plainConv2d);

export const conv2dRelu = defineCases({
  ...thenRelu(plainConv2d),
  kernels: ["conv2dRelu", "conv2dGradInput", "conv2dGradWeight"],
  run: ({ x, w, ...bias }, attrs) => core.conv2dRelu(x, w, { ...attrs, ...bias }),
});

export const convTranspose2d = defineCases<ConvInputs, ConvTransposeOptions>({
  tolerance: bound(({ x, w }) => ((x.shape[1] as number) * w.data.length) / (w.shape[0] as number) + 1),
  kernels,
  run: ({ x, w, ...bias }, attrs) => core.convTranspose2d(x, w, { ...attrs, ...bias }),
  reference: ({ x, w, bias }, attrs) => reference.convTranspose2d(x, w, bias, attrs),
  samples: [
    { name: "1x1", inputs: { x: input([2, 3, 4, 5]), w: input([3, 2, 1, 1]) }, attrs: {} },
    { name: "3x3-b", inputs: { x: input([2, 3, 4, 5]), w: input([3, 2, 3, 3]), bias: input([2]) }, attrs: {} },
    { name: "2x2-s2", inputs: { x: input([1, 2, 3, 4]), w: input([2, 3, 2, 2]) }, attrs: { stride: 2 } },
    {
      name: "3x3-s2-p1-op1-b",
      inputs: { x: input([2, 2, 3, 4]), w: input([2, 3, 3, 3]), bias: input([3]) },
      attrs: { stride: 2, padding: 1, outputPadding: 1 },
    },
    { name: "d2", inputs: { x: input([1, 2, 4, 3]), w: input([2, 2, 3, 2]) }, attrs: { dilation: 2 } },
    // More rows and columns than the stride: the convolution of its gradient has room for another window.
    {
      name: "d3-op2x1",
      inputs: { x: input([2, 2, 3, 4]), w: input([2, 3, 2, 3]) },
      attrs: { dilation: 3, outputPadding: [2, 1] },
    },
    {
      name: "g2-s3x2-p1x0",
      inputs: { x: input([2, 4, 3, 3]), w: input([4, 3, 3, 2]), bias: input([6]) },
      attrs: { groups: 2, stride: [3, 2], padding: [1, 0], outputPadding: [2, 1] },
    },
    { name: "depthwise", inputs: { x: input([1, 3, 4, 4]), w: input([3, 1, 3, 3]) }, attrs: { groups: 3, padding: 1 } },
    {
      name: "asymmetric-p0121",
      inputs: { x: input([1, 2, 4, 4]), w: input([2, 2, 3, 4]) },
      attrs: { padding: [0, 1, 2, 1] },
    },
    {
      name: "integers",
      inputs: { x: integers([2, 3, 5, 4]), w: integers([3, 4, 3, 3]) },
      attrs: { stride: 2 },
      exact: true,
      gradient: false,
      dtypes: ["float32", "float64"],
    },
    { name: "zero-batch", inputs: { x: input([0, 2, 3, 3]), w: input([2, 3, 3, 3]) }, attrs: {}, kind: "zero-size" },
  ],
  errors: [
    { name: "channels", code: "shape", inputs: { x: input([1, 3, 3, 3]), w: input([2, 2, 3, 3]) }, attrs: {} },
    {
      name: "output-padding",
      code: "argument",
      inputs: { x: input([1, 2, 3, 3]), w: input([2, 2, 3, 3]) },
      attrs: { outputPadding: 1 },
    },
    {
      name: "dtypes",
      code: "dtype",
      inputs: { x: input([1, 1, 3, 3]), w: typed("int32", integers([1, 1, 3, 3])) },
      attrs: {},
    },
  ],
});

export const locallyConnected2d = defineCases<ConvInputs, WindowOptions>({
  tolerance: bound(({ w }) => w.shape.slice(3).reduce((a, b) => a * b, 1) + 1),
  run: ({ x, w, ...bias }, attrs) => core.locallyConnected2d(x, w, { ...attrs, ...bias }),
  reference: ({ x, w, bias }, attrs) => reference.locallyConnected2d(x, w, bias, attrs),
  samples: [
    {
      name: "3x3-b",
      inputs: { x: input([2, 2, 4, 5]), w: input([2, 3, 3, 2, 3, 3]), bias: input([3, 2, 3]) },
      attrs: {},
    },
    { name: "2x2-s2", inputs: { x: input([1, 3, 4, 6]), w: input([2, 3, 2, 3, 2, 2]) }, attrs: { stride: 2 } },
    {
      name: "3x2-p1-d2",
      inputs: { x: input([2, 1, 5, 4]), w: input([3, 4, 2, 1, 3, 2]) },
      attrs: { padding: 1, dilation: 2 },
    },
    {
      name: "zero-batch",
      inputs: { x: input([0, 2, 4, 4]), w: input([2, 2, 3, 2, 3, 3]) },
      attrs: {},
      kind: "zero-size",
    },
  ],
  errors: [
    { name: "positions", code: "shape", inputs: { x: input([1, 1, 4, 4]), w: input([3, 3, 2, 1, 3, 3]) }, attrs: {} },
    { name: "channels", code: "shape", inputs: { x: input([1, 2, 4, 4]), w: input([2, 2, 2, 1, 3, 3]) }, attrs: {} },
  ],
});

export const unfold2d = defineCases<{ x: unknown }, UnfoldOptions>({
  tolerance: moved,
  run: ({ x }, attrs) => core.unfold2d(x, attrs),
  reference: ({ x }, attrs) => reference.unfold2d(x, attrs),
  samples: [
    { name: "1x1", inputs: { x: input([2, 3, 2, 2]) }, attrs: { kernel: 1 } },
    { name: "3x3", inputs: { x: input([2, 3, 4, 5]) }, attrs: { kernel: 3 } },
    { name: "2x3-s2x1-p1", inputs: { x: input([1, 2, 5, 4]) }, attrs: { kernel: [2, 3], stride: [2, 1], padding: 1 } },
    { name: "3x3-d2-p2", inputs: { x: input([1, 2, 5, 6]) }, attrs: { kernel: 3, dilation: 2, padding: 2 } },
    { name: "asymmetric-p0312", inputs: { x: input([1, 1, 4, 3]) }, attrs: { kernel: 2, padding: [0, 3, 1, 2] } },
    { name: "s3-above-kernel", inputs: { x: input([1, 2, 7, 8]) }, attrs: { kernel: 2, stride: 3 } },
    { name: "zero-batch", inputs: { x: input([0, 2, 4, 4]) }, attrs: { kernel: 2 }, kind: "zero-size" },
  ],
  errors: [
    { name: "kernel", code: "shape", inputs: { x: input([1, 1, 2, 2]) }, attrs: { kernel: 3 } },
    { name: "rank", code: "shape", inputs: { x: input([1, 2, 2]) }, attrs: { kernel: 1 } },
  ],
});

export const fold2d = defineCases<{ x: unknown }, FoldOptions>({
  tolerance: bound((_inputs, { kernel }) => pair(kernel)[0] * pair(kernel)[1]),
  run: ({ x }, { imageSize, ...attrs }) => core.fold2d(x, { ...attrs, imageSize: pair(imageSize) }),
  reference: ({ x }, attrs) => reference.fold2d(x, attrs),
  samples: [
    { name: "3x3", inputs: { x: input([2, 18, 6]) }, attrs: { kernel: 3, imageSize: [4, 5] } },
    {
      name: "2x3-s2x1-p1",
      inputs: { x: input([1, 12, 12]) },
      attrs: { kernel: [2, 3], stride: [2, 1], padding: 1, imageSize: [5, 4] },
    },
    {
      name: "3x3-d2-p2",
      inputs: { x: input([1, 18, 30]) },
      attrs: { kernel: 3, dilation: 2, padding: 2, imageSize: [5, 6] },
    },
    { name: "s3-above-kernel", inputs: { x: input([1, 8, 6]) }, attrs: { kernel: 2, stride: 3, imageSize: [7, 8] } },
    {
      name: "integers",
      inputs: { x: integers([2, 18, 12]) },
      attrs: { kernel: 3, imageSize: [5, 6] },
      exact: true,
      gradient: false,
    },
    { name: "zero-batch", inputs: { x: input([0, 8, 9]) }, attrs: { kernel: 2, imageSize: [4, 4] }, kind: "zero-size" },
  ],
  errors: [
    { name: "columns", code: "shape", inputs: { x: input([1, 8, 8]) }, attrs: { kernel: 2, imageSize: [4, 4] } },
  ],
});
