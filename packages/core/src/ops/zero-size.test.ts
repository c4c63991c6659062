import { describe, expect, test } from "vitest";
import type { Shape } from "../backend.js";
import * as ops from "../index.js";
import { memoryUsage, ShapeError, scope, type Tensor, tensor, valueAndGrad, zeros } from "../index.js";
import { sizeOf } from "../shape.js";
import { alteredBackend } from "../testing/altered-backend.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

/** Kernels never see a tensor without elements. */
const backend = alteredBackend(await createMinimalBackend(), {
  onKernel: ({ op, inputs, outputs }) => {
    for (const { shape } of [...inputs, ...outputs])
      if (sizeOf(shape) === 0) throw new Error(`${op} saw an operand of shape [${shape.join(", ")}]`);
  },
});
const empty = (...shape: number[]): Tensor => zeros(shape, { backend });
const some = (...shape: number[]): Tensor => ops.ones(shape, { backend });
const int = (shape: Shape): Tensor => zeros(shape, { backend, dtype: "int32" });

const remap = (table: Tensor, x: Shape, rows: Shape, columns: Shape): Tensor =>
  ops.remapLookUp(zeros(x, { backend, dtype: "uint8" }), { rows: int(rows), columns: int(columns), table });

type Case = readonly [name: string, fn: (x: Tensor) => Tensor, input: Shape, output: Shape];

const unary = [
  "neg",
  "abs",
  "sign",
  "square",
  "relu",
  "floor",
  "ceil",
  "round",
  "sqrt",
  "rsqrt",
  "reciprocal",
  "exp",
  "expm1",
  "log",
  "log1p",
  "sin",
  "cos",
  "tanh",
  "sigmoid",
  "erf",
  "gelu",
  "silu",
  "softplus",
  "leakyRelu",
  "elu",
] as const;
const binary = ["add", "sub", "mul", "div", "maximum", "minimum", "pow"] as const;

const cases: readonly Case[] = [
  ...unary.map((op): Case => [op, (x) => x[op](), [2, 0], [2, 0]]),
  ...binary.flatMap((op): Case[] => [
    [op, (x) => x[op](x), [0, 3], [0, 3]],
    [`${op} broadcast`, (x) => x[op](some(3)), [0, 1], [0, 3]],
    [`${op} with a number`, (x) => ops[op](2, x), [0], [0]],
  ]),
  ["clamp", (x) => x.clamp({ min: 0 }), [0], [0]],
  ["where", (x) => x.gt(0).where(x, 1), [2, 0], [2, 0]],
  ["cast", (x) => x.cast("float64").cast("float32"), [0], [0]],
  ["sum over no elements", (x) => x.sum(1), [2, 0], [2]],
  ["sum of all", (x) => x.sum(), [2, 0], []],
  ["sum over an axis beside", (x) => x.sum(0), [2, 0], [0]],
  ["mean beside", (x) => x.mean(0), [2, 0], [0]],
  ["max beside", (x) => x.max(0, { keepDims: true }), [2, 0], [1, 0]],
  ["variance beside", (x) => x.variance(0), [2, 0], [0]],
  ["logSumExp beside", (x) => x.logSumExp(0), [2, 0], [0]],
  ["cumsum", (x) => x.cumsum(1), [2, 0], [2, 0]],
  ["matmul without rows", (x) => x.matmul(some(3, 2)), [0, 3], [0, 2]],
  ["matmul without an inner dimension", (x) => x.matmul(empty(0, 2)), [3, 0], [3, 2]],
  ["matmul without batches", (x) => x.matmul(some(3, 2)), [0, 2, 3], [0, 2, 2]],
  ["linear", (x) => x.linear(some(4, 3), some(4)), [0, 3], [0, 4]],
  ["reshape", (x) => x.reshape([3, -1]), [0, 3], [3, 0]],
  ["flatten", (x) => x.flatten(1), [2, 0, 3], [2, 0]],
  ["permute", (x) => x.permute([1, 0]), [2, 0], [0, 2]],
  ["expand", (x) => x.expand([3, 2, 0]), [2, 0], [3, 2, 0]],
  ["expand to nothing", (x) => x.expand([0, 2]), [1, 2], [0, 2]],
  ["slice to nothing", (x) => x.slice({ begin: [2], end: [2] }), [3, 2], [0, 2]],
  ["slice with steps", (x) => x.slice({ step: [2, 2] }), [3, 0], [2, 0]],
  ["flip", (x) => x.flip([0, 1]), [0, 2], [0, 2]],
  ["concat", (x) => ops.concat([x, some(2, 2), x], 0), [0, 2], [2, 2]],
  ["concat of nothing", (x) => ops.concat([x, x], 1), [0, 2], [0, 4]],
  ["stack", (x) => ops.stack([x, x], 1), [0], [0, 2]],
  ["pad", (x) => x.pad({ before: [1, 0], after: [0, 2], value: 4 }), [0, 1], [1, 3]],
  ["pad2d replicate", (x) => x.pad2d([1, 1, 1, 1], { mode: "replicate" }), [0, 2, 2], [0, 4, 4]],
  ["gather", (x) => x.gather(0, int([0, 2])), [3, 2], [0, 2]],
  ["indexSelect", (x) => x.indexSelect(0, int([0])), [3, 2], [0, 2]],
  ["scatterAdd of nothing", (x) => x.scatterAdd(0, int([0, 2]), empty(0, 2)), [3, 2], [3, 2]],
  ["remapLookUp without images", (table) => remap(table, [0, 1, 5, 5], [0, 2], [0, 3]), [1, 1, 256], [0, 1, 2, 3]],
  ["remapLookUp without channels", (table) => remap(table, [2, 0, 5, 5], [2, 2], [2, 3]), [2, 0, 256], [2, 0, 2, 3]],
  ["remapLookUp to nothing", (table) => remap(table, [2, 1, 5, 5], [2, 3], [2, 0]), [1, 1, 256], [2, 1, 3, 0]],
  ["remapLookUp of nothing", (table) => remap(table, [2, 1, 0, 5], [2, 0], [2, 3]), [2, 1, 256], [2, 1, 0, 3]],
  ["softmax", (x) => x.softmax(), [0, 3], [0, 3]],
  ["softmax of nothing", (x) => x.softmax(), [3, 0], [3, 0]],
  ["logSoftmax", (x) => x.logSoftmax(), [3, 0], [3, 0]],
  ["conv2d without images", (x) => x.conv2d(some(4, 3, 2, 2), { bias: some(4) }), [0, 3, 4, 4], [0, 4, 3, 3]],
  ["convTranspose2d", (x) => x.convTranspose2d(some(3, 4, 2, 2), { bias: some(4) }), [0, 3, 2, 2], [0, 4, 3, 3]],
  ["locallyConnected2d", (x) => x.locallyConnected2d(some(1, 1, 4, 3, 2, 2)), [0, 3, 2, 2], [0, 4, 1, 1]],
  ["unfold2d", (x) => x.unfold2d({ kernel: 2 }), [0, 3, 2, 2], [0, 12, 1]],
  ["unfold2d of padding", (x) => x.unfold2d({ kernel: 1, padding: 1 }), [1, 1, 0, 0], [1, 1, 4]],
  ["fold2d", (x) => x.fold2d({ kernel: 2, imageSize: [2, 2] }), [0, 12, 1], [0, 3, 2, 2]],
  ["fold2d to padding", (x) => x.fold2d({ kernel: 1, padding: 1, imageSize: [0, 0] }), [1, 1, 4], [1, 1, 0, 0]],
  ["maxPool2d", (x) => x.maxPool2d({ kernel: 2 }), [0, 3, 4, 4], [0, 3, 2, 2]],
  ["maxUnpool2d", (x) => x.maxUnpool2d(int([0, 3, 2, 2]), { outputSize: [4, 4] }), [0, 3, 2, 2], [0, 3, 4, 4]],
  ["avgPool2d", (x) => x.avgPool2d({ kernel: 2 }), [2, 0, 4, 4], [2, 0, 2, 2]],
  ["adaptiveAvgPool2d", (x) => x.adaptiveAvgPool2d([2, 3]), [0, 3, 4, 4], [0, 3, 2, 3]],
  ["adaptiveMaxPool2d", (x) => x.adaptiveMaxPool2d([2, 3]), [0, 3, 4, 4], [0, 3, 2, 3]],
  ["upsample2d nearest", (x) => x.upsample2d({ scale: 2 }), [0, 3, 2, 2], [0, 3, 4, 4]],
  ["upsample2d bilinear", (x) => x.upsample2d({ scale: 2, mode: "bilinear" }), [1, 3, 0, 2], [1, 3, 0, 4]],
  [
    "batchNorm in evaluation",
    (x) => x.batchNorm({ runningMean: some(3), runningVar: some(3), training: false }),
    [0, 3, 2],
    [0, 3, 2],
  ],
  ["layerNorm", (x) => x.layerNorm({ weight: some(3) }), [0, 3], [0, 3]],
  ["layerNorm of nothing", (x) => x.layerNorm(), [3, 0], [3, 0]],
  ["groupNorm", (x) => x.groupNorm({ groups: 2, bias: some(4) }), [0, 4, 2], [0, 4, 2]],
  ["localResponseNorm", (x) => x.localResponseNorm({ size: 3 }), [0, 4, 2], [0, 4, 2]],
  ["dropout", (x) => x.dropout({ p: 0.5, seed: 1 }), [0, 2], [0, 2]],
  ["maxout", (x) => x.maxout({ pieces: 2 }), [0, 4], [0, 2]],
  ["crossEntropy", (x) => ops.crossEntropy(x, int([0]), { reduction: "none" }), [0, 3], [0]],
  ["crossEntropy, summed", (x) => ops.crossEntropy(x, int([0]), { reduction: "sum" }), [0, 3], []],
  ["mseLoss", (x) => ops.mseLoss(x, x, { reduction: "sum" }), [0], []],
  ["bceWithLogits", (x) => ops.bceWithLogits(x, x, { reduction: "none" }), [0], [0]],
  ["smoothL1Loss", (x) => ops.smoothL1Loss(x, x, { reduction: "sum" }), [0], []],
];
const table = cases.map(([name, fn, input, output]) => ({ name, fn, input, output }));

describe("without elements", () => {
  test.each(table)("$name", ({ fn, input, output }) => {
    const x = some(...input);
    const y = fn(x);
    expect(y.shape).toEqual(output);
    for (const createGraph of [false, true]) {
      const { value, grads } = valueAndGrad(() => fn(x).sum().add(x.sum()), [x], { createGraph });
      expect(grads[0]?.shape).toEqual(input);
      for (const t of [value, ...grads]) t.dispose();
    }
  });

  test("nothing is left behind", () => {
    const before = memoryUsage(backend);
    scope(() => {
      for (const { fn, input } of table) {
        const x = some(...input);
        valueAndGrad(() => fn(x).sum().add(x.sum()), [x]);
      }
    });
    expect(memoryUsage(backend)).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });

  test("what is left are the neutral elements", async () => {
    expect(await empty(2, 0).sum(1).toArray()).toEqual([0, 0]);
    expect(await empty(2, 0).logSumExp(1).toArray()).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    expect(await empty(0).mean().item()).toBeNaN();
    expect(await empty(0).variance().item()).toBeNaN();
    expect(await empty(2, 0).matmul(empty(0, 1)).toArray()).toEqual([[0], [0]]);
    expect(
      await empty(0)
        .pad({ before: [1], after: [1], value: 3 })
        .toArray(),
    ).toEqual([3, 3]);
    expect(await ops.crossEntropy(empty(0, 3), int([0])).item()).toBeNaN();
  });

  test("a weight that saw no images has gradient zero", async () => {
    const [w, bias] = [some(2, 1, 2, 2), some(2)];
    const { grads } = valueAndGrad(() => empty(0, 1, 3, 3).conv2d(w, { bias }).sum(), [w, bias]);
    expect(await grads[0]?.abs().sum().item()).toBe(0);
    expect(await grads[1]?.toArray()).toEqual([0, 0]);
  });

  test.each<[string, () => Tensor, RegExp]>([
    ["max", () => empty(2, 0).max(1), /^max: x of shape \[2, 0\] has no elements along axes \[1\]/],
    ["min of all", () => empty(0).min(), /^min: /],
    ["argmax", () => empty(2, 0).argmax(1), /^argmax: x of shape \[2, 0\] has no elements along axis 1/],
    ["argmin of all", () => empty(0).argmin(), /^argmin: /],
    ["maxPool2d", () => empty(1, 1, 0, 4).maxPool2d({ kernel: 1 }), /^maxPool2d: x is \[1, 1, 0, 4\]/],
    [
      "conv2d of padding",
      () => empty(1, 1, 0, 0).conv2d(some(1, 1, 1, 1), { padding: 1 }),
      /^conv2d: .* has no elements/,
    ],
    [
      "crossEntropy without classes",
      () => ops.crossEntropy(empty(2, 0), int([2])),
      /^crossEntropy: .* has no elements/,
    ],
    ["batchNorm in training", () => empty(0, 3).batchNorm({ training: true }), /^batchNorm: x \[0, 3\] has 0 elements/],
  ])("%s has no answer", (_name, run, message) => {
    expect(run).toThrow(ShapeError);
    expect(run).toThrow(message);
  });

  test("an index into nothing is outside", () => {
    expect(() => empty(0, 2).gather(0, int([1, 2]))).toThrow(ops.IndexError);
    expect(() => empty(0, 2).scatterAdd(0, int([1, 2]), some(1, 2))).toThrow(ops.IndexError);
    expect(() => remap(some(1, 1, 256), [1, 1, 0, 4], [1, 2], [1, 2])).toThrow(ops.IndexError);
    expect(tensor([], { backend }).shape).toEqual([0]);
  });
});
