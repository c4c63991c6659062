import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Padding2d, Shape } from "../backend.js";
import * as ops from "../index.js";
import { gradcheck, memoryUsage, ones, permutation, type Tensor, tensor, valueAndGrad } from "../index.js";
import { sizeOf } from "../shape.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

const backend = await createMinimalBackend();

/** Distinct values in [from, to], in random order: no ties, and nothing within reach of a kink at an integer. */
const distinct = (shape: Shape, from = -2, to = 2, seed = 1): Tensor => {
  const n = sizeOf(shape);
  const values = Float64Array.from(permutation(n, { seed }), (k) => from + ((k + 0.3) / n) * (to - from));
  return tensor(values, { backend, shape });
};
const positive = (shape: Shape, seed = 1): Tensor => distinct(shape, 0.3, 2, seed);
/** For a second operand: never equal to the first. */
const other = (shape: Shape): Tensor => distinct(shape, 0.4, 2.1, 2);
const int = (values: readonly number[], shape: Shape = [values.length]): Tensor =>
  tensor(Int32Array.from(values), { backend, shape });

type Case = readonly [name: string, fn: (...x: Tensor[]) => Tensor, ...inputs: Tensor[]];

const unary = ["neg", "abs", "sign", "square", "relu", "floor", "ceil", "round", "exp", "expm1", "sin", "cos"] as const;
const smooth = ["tanh", "sigmoid", "erf", "reciprocal", "gelu", "silu", "softplus", "leakyRelu", "elu"] as const;
const halfLine = ["sqrt", "rsqrt", "log", "log1p"] as const;
const binary = ["add", "sub", "mul", "div", "maximum", "minimum", "pow"] as const;
const reductions = ["sum", "mean", "max", "min", "variance", "logSumExp"] as const;

const image = distinct([2, 4, 5, 6]);
const kernel = distinct([4, 2, 3, 2], -1, 1, 2);
const channels = distinct([4], -1, 1, 3);
const labels = int([2, 0, 1]);
const uneven = [1, 0, 2, 1] as const satisfies Padding2d;

const cases: readonly Case[] = [
  ...[...unary, ...smooth].map((op): Case => [op, (x) => x[op](), distinct([2, 5])]),
  ...halfLine.map((op): Case => [op, (x) => x[op](), positive([2, 3])]),
  ["leakyRelu 0.2", (x) => x.leakyRelu(0.2), distinct([6])],
  ["elu 0.5", (x) => x.elu(0.5), distinct([6])],
  ["clamp", (x) => x.clamp({ min: -0.9, max: 1.1 }), distinct([8])],
  ["cast", (x) => x.cast("float64"), distinct([3])],
  ...binary.flatMap((op): Case[] => [
    [`${op} of equal shapes`, (a, b) => a[op](b), positive([2, 3]), other([2, 3])],
    [`${op} of a row`, (a, b) => a[op](b), positive([2, 3]), other([3])],
    [`${op} of column and row`, (a, b) => a[op](b), positive([2, 1]), other([1, 3])],
    [`${op} of itself`, (a) => a[op](a), positive([3])],
    [`${op} of a number on the right`, (a) => a[op](1.3), positive([4])],
    [`${op} of a number on the left`, (a) => ops[op](1.3, a), positive([4])],
  ]),
  ["pow 0", (x) => x.pow(0), distinct([3])],
  ["pow 1", (x) => x.pow(1), distinct([3])],
  ["pow 2", (x) => x.pow(2), distinct([3])],
  ["where", (a, b) => a.gt(b).where(a, b), distinct([2, 3]), distinct([3], -1, 1, 5)],
  ["where with a number", (a) => a.gt(0.4).where(2, a), distinct([4])],
  ...reductions.flatMap((op): Case[] => [
    [`${op} of all`, (x) => x[op](), distinct([2, 3])],
    [`${op} over the ends`, (x) => x[op]([0, 2]), distinct([2, 3, 2])],
    [`${op} over the middle, kept`, (x) => x[op](-2, { keepDims: true }), distinct([2, 3, 2])],
    [`${op} over nothing`, (x) => x[op]([]).add(x), distinct([3])],
  ]),
  ["unbiased variance", (x) => x.variance(1, { unbiased: true }), distinct([2, 4])],
  ["cumsum", (x) => x.cumsum(1), distinct([2, 5])],
  ["cumsum of one", (x) => x.cumsum(0), distinct([1, 2])],
  ...[false, true].flatMap((transposeA) =>
    [false, true].map(
      (transposeB): Case => [
        `matmul ${transposeA} ${transposeB}`,
        (a, b) => a.matmul(b, { transposeA, transposeB }),
        distinct(transposeA ? [4, 3] : [3, 4]),
        distinct(transposeB ? [2, 4] : [4, 2], -1, 1, 2),
      ],
    ),
  ),
  ["matmul with one batch broadcast", (a, b) => a.matmul(b), distinct([2, 1, 2, 3]), distinct([3, 3, 2], -1, 1, 2)],
  ["matmul with one b for all", (a, b) => a.matmul(b), distinct([3, 2, 3]), distinct([3, 2], -1, 1, 2)],
  ["linear", (x, w, b) => x.linear(w, b), distinct([2, 2, 3]), distinct([4, 3], -1, 1, 2), channels],
  ["reshape", (x) => x.reshape([3, -1]), distinct([2, 3])],
  ["flatten", (x) => x.flatten(1), distinct([2, 3, 2])],
  ["squeeze and unsqueeze", (x) => x.squeeze(1).unsqueeze(-1), distinct([2, 1, 2])],
  ["permute", (x) => x.permute([2, 0, 1]), distinct([2, 3, 2])],
  ["expand", (x) => x.expand([2, 3, 2]), distinct([3, 1])],
  ["slice", (x) => x.slice({ begin: [1, 0], end: [3, -1] }), distinct([4, 3])],
  ["slice with steps", (x) => x.slice({ begin: [1, 0], step: [2, 3] }), distinct([6, 7])],
  [
    "slice to nothing",
    (x) =>
      x
        .slice({ begin: [1], end: [1] })
        .sum()
        .add(x.sum()),
    distinct([3]),
  ],
  ["flip", (x) => x.flip([0, 2]), distinct([2, 3, 2])],
  ["concat", (a, b, c) => ops.concat([a, b, c, a], 1), distinct([2, 2]), distinct([2, 1]), distinct([2, 0])],
  ["stack", (a, b) => ops.stack([a, b], -1), distinct([2]), distinct([2])],
  ["pad", (x) => x.pad({ before: [1, 0], after: [0, 2], value: 3 }), distinct([2, 2])],
  ["pad2d reflect", (x) => x.pad2d([2, 1, 1, 2], { mode: "reflect" }), distinct([1, 3, 4])],
  ["pad2d replicate", (x) => x.pad2d([2, 1, 3, 0], { mode: "replicate" }), distinct([2, 2])],
  ["gather", (x) => x.gather(1, int([0, 2, 2, 1, 0, 0], [2, 3])), distinct([2, 3])],
  ["indexSelect", (x) => x.indexSelect(0, int([1, 1, 0])), distinct([2, 3])],
  ["scatterAdd", (x, s) => x.scatterAdd(0, int([1, 0, 1, 1], [2, 2]), s), distinct([3, 2]), distinct([2, 2])],
  ...[1, 2].map(
    (tables): Case => [
      `remapLookUp by ${tables}`,
      (table) => {
        // Every 13th entry is tried below.
        const x = tensor(
          Uint8Array.from({ length: 36 }, (_, i) => 13 * (i % 19)),
          { backend, shape: [2, 2, 3, 3] },
        );
        return ops.remapLookUp(x, {
          rows: int([0, 1, 2, -1], [2, 2]),
          columns: int([2, 1, 0, 0, -1, 2], [2, 3]),
          table,
        });
      },
      distinct([tables, 2, 256]),
    ],
  ),
  ["softmax", (x) => x.softmax(1), distinct([2, 3, 2])],
  ["logSoftmax", (x) => x.logSoftmax(), distinct([2, 3])],
  ["conv2d", (x, w) => x.conv2d(w), distinct([1, 2, 4, 4]), distinct([3, 2, 2, 3], -1, 1, 2)],
  [
    "conv2d in two groups, strided, dilated, unevenly padded",
    (x, w, bias) => x.conv2d(w, { bias, groups: 2, stride: [2, 1], dilation: [1, 2], padding: uneven }),
    image,
    kernel,
    channels,
  ],
  ["depthwise conv2d", (x, w) => x.conv2d(w, { groups: 4, padding: 1 }), image, distinct([8, 1, 3, 3], -1, 1, 2)],
  [
    "conv2d with a remainder that no window sees",
    (x, w) => x.conv2d(w, { stride: 3 }),
    distinct([1, 1, 6, 7]),
    distinct([1, 1, 2, 2], -1, 1, 2),
  ],
  [
    "convTranspose2d",
    (x, w, bias) => x.convTranspose2d(w, { bias, groups: 2, stride: 2, padding: [1, 0], outputPadding: [1, 0] }),
    distinct([2, 4, 2, 3]),
    distinct([4, 2, 3, 2], -1, 1, 2),
    channels,
  ],
  [
    "locallyConnected2d",
    (x, w, bias) => x.locallyConnected2d(w, { bias, stride: 2, padding: [1, 0, 0, 1] }),
    distinct([2, 2, 3, 4]),
    distinct([2, 2, 3, 2, 2, 2], -1, 1, 2),
    distinct([3, 2, 2], -1, 1, 3),
  ],
  ["unfold2d", (x) => x.unfold2d({ kernel: [2, 3], stride: 2, padding: uneven }), distinct([2, 2, 4, 5])],
  ["fold2d", (x) => x.fold2d({ kernel: 2, dilation: 2, imageSize: [3, 4] }), distinct([2, 8, 2])],
  ["maxPool2d", (x) => x.maxPool2d({ kernel: 3, stride: 2, padding: 1, ceilMode: true }), image],
  ["maxPool2d dilated", (x) => x.maxPool2d({ kernel: 2, stride: 1, dilation: [2, 3], padding: uneven }), image],
  ["avgPool2d", (x) => x.avgPool2d({ kernel: 3, stride: 2, padding: uneven, ceilMode: true }), image],
  ["avgPool2d of pixels", (x) => x.avgPool2d({ kernel: 2, padding: 1, countIncludePad: false }), image],
  [
    "maxUnpool2d",
    (x) => x.maxUnpool2d(int([0, 8, 8, 3], [1, 1, 2, 2]), { outputSize: [3, 3] }),
    distinct([1, 1, 2, 2]),
  ],
  ["adaptiveAvgPool2d", (x) => x.adaptiveAvgPool2d([3, 2]), image],
  ["adaptiveMaxPool2d", (x) => x.adaptiveMaxPool2d([2, 3]), distinct([1, 2, 3, 4])],
  ["upsample2d nearest", (x) => x.upsample2d({ scale: 2 }), distinct([1, 2, 2, 3])],
  ["upsample2d bilinear", (x) => x.upsample2d({ scale: 3, mode: "bilinear" }), distinct([1, 2, 2, 3])],
  [
    "batchNorm",
    (x, weight, bias) => x.batchNorm({ weight, bias, training: true }),
    distinct([3, 4, 2]),
    positive([4]),
    channels,
  ],
  [
    "batchNorm in evaluation",
    (x, weight, runningMean, runningVar) => x.batchNorm({ weight, runningMean, runningVar, training: false }),
    distinct([2, 4, 2]),
    positive([4]),
    channels,
    positive([4], 2),
  ],
  [
    "layerNorm",
    (x, weight, bias) => x.layerNorm({ weight, bias }),
    distinct([2, 3, 4]),
    positive([3, 4]),
    distinct([3, 4]),
  ],
  [
    "groupNorm",
    (x, w, b) => x.groupNorm({ groups: 2, weight: w, bias: b }),
    distinct([2, 4, 3]),
    positive([4]),
    channels,
  ],
  [
    "localResponseNorm",
    (x) => x.localResponseNorm({ size: 3, alpha: 0.5, k: 2, divideBySize: false }),
    distinct([2, 5, 2]),
  ],
  ["localResponseNorm of an even size", (x) => x.localResponseNorm({ size: 4, alpha: 0.5 }), distinct([1, 5, 2])],
  ["dropout", (x) => x.dropout({ p: 0.4, seed: 3 }), distinct([20])],
  ["maxout", (x) => x.maxout({ pieces: 2 }), distinct([2, 6, 2])],
  ["crossEntropy", (x) => ops.crossEntropy(x, labels, { labelSmoothing: 0.1 }), distinct([3, 4])],
  [
    "crossEntropy of images",
    (x) => ops.crossEntropy(x, int([0, 2, 1, 1], [1, 2, 2]), { reduction: "none" }),
    distinct([1, 3, 2, 2]),
  ],
  [
    "crossEntropy by probabilities of images",
    (x, t) => ops.crossEntropy(x, t, { labelSmoothing: 0.1 }),
    distinct([2, 3, 2, 2]),
    distinct([2, 3, 2, 2], 0, 1, 2),
  ],
  ["mseLoss", (x, t) => ops.mseLoss(x, t), distinct([2, 3]), distinct([2, 3], -1, 1, 2)],
  ["l1Loss", (x, t) => ops.l1Loss(x, t, { reduction: "sum" }), distinct([2, 3]), distinct([2, 3], -1, 1, 2)],
  ["smoothL1Loss", (x, t) => ops.smoothL1Loss(x, t, { beta: 0.7 }), distinct([2, 3]), distinct([2, 3], -1, 1, 2)],
  ["bceWithLogits", (x, t) => ops.bceWithLogits(x, t), distinct([2, 3]), distinct([2, 3], 0, 1, 2)],
];

const table = cases.map(([name, fn, ...inputs]) => ({ name, fn, inputs }));

describe("the gradient agrees with finite differences", () => {
  test.each(table)("$name", async ({ fn, inputs }) => {
    const before = memoryUsage(backend).storages;
    expect((await gradcheck(fn, inputs, { maxElements: 40 })).worst).toBeLessThanOrEqual(1);
    expect(memoryUsage(backend).storages).toBe(before);
  });
});

describe("the gradient of the gradient agrees with finite differences", () => {
  // The squares make every result depend on every input, linear functions' gradients included.
  const gradientOf =
    (fn: Case[1]) =>
    (...inputs: Tensor[]): Tensor => {
      const { grads } = valueAndGrad(
        () => {
          const y = fn(...inputs);
          return y.mul(distinct(y.shape, 0.5, 1.5, 9)).sum();
        },
        inputs,
        { createGraph: true },
      );
      return ops.concat(
        inputs.flatMap((x, i) => [(grads[i] as Tensor).flatten(), x.square().flatten()]),
        0,
      );
    };
  test.each(table)("$name", async ({ fn, inputs }) => {
    const before = memoryUsage(backend).storages;
    expect((await gradcheck(gradientOf(fn), inputs, { maxElements: 7 })).worst).toBeLessThanOrEqual(1);
    expect(memoryUsage(backend).storages).toBe(before);
  });
});

describe("random geometry", () => {
  const pair = (least: number, most: number) =>
    fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }));
  const window = fc
    .record({
      size: pair(3, 7),
      kernel: pair(1, 3),
      stride: pair(1, 3),
      dilation: pair(1, 3),
      padding: fc.tuple(pair(0, 2), pair(0, 2)).map(([v, h]): Padding2d => [...v, ...h]),
    })
    .filter(({ size, kernel, dilation, padding: [top, bottom, left, right] }) => {
      const [height, width] = kernel.map((k, i) => (dilation[i] as number) * (k - 1) + 1) as [number, number];
      return (
        height <= size[0] + top + bottom &&
        width <= size[1] + left + right &&
        // What pools ask for.
        Math.max(top, bottom) < height &&
        Math.max(left, right) < width
      );
    });
  const geometry = fc.record({ window, groups: fc.constantFrom(1, 2, 4), flag: fc.boolean(), ceilMode: fc.boolean() });
  const few = { maxElements: 12 };
  const settings = { numRuns: 15, seed: 7 };

  test("conv2d", () =>
    fc.assert(
      fc.asyncProperty(geometry, async ({ window: { size, kernel, ...options }, groups }) => {
        const inputs = [distinct([1, 4, ...size]), distinct([4, 4 / groups, ...kernel], -1, 1, 2)];
        await gradcheck((x, w) => x.conv2d(w as Tensor, { ...options, groups }), inputs, few);
      }),
      settings,
    ));

  test("maxPool2d and avgPool2d", () =>
    fc.assert(
      fc.asyncProperty(geometry, async ({ window: { size, ...options }, ceilMode, flag }) => {
        const inputs = [distinct([1, 2, ...size])];
        await gradcheck((x) => x.maxPool2d({ ...options, ceilMode }), inputs, few);
        await gradcheck((x) => x.avgPool2d({ ...options, ceilMode, countIncludePad: flag }), inputs, few);
      }),
      settings,
    ));
});

test("a gradient through float32 comes back in float64", async () => {
  const x = ones([2], { backend, dtype: "float64" });
  const { grads } = valueAndGrad(() => x.cast("float32").square().cast("float64").sum(), [x]);
  expect(grads[0]?.dtype).toBe("float64");
  expect(await grads[0]?.toArray()).toEqual([2, 2]);
});
