import { describe, expect, test } from "vitest";
import * as ops from "../index.js";
import { type Tensor, tensor, valueAndGrad } from "../index.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

const backend = await createMinimalBackend();
const vector = (values: readonly number[]): Tensor => tensor(values, { backend, dtype: "float64" });
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** What PyTorch gives at ties, kinks, poles, infinities and NaN. */
describe("gradients at special values", () => {
  test.each<[string, (x: Tensor) => Tensor, readonly number[], readonly number[]]>([
    ["relu", (x) => x.relu(), [-1, -0, 0, 2, nan], [0, 0, 0, 1, 1]],
    ["abs", (x) => x.abs(), [-2, 0, 3, -inf], [-1, 0, 1, -1]],
    ["sign and rounding", (x) => x.sign().add(x.floor()).add(x.ceil()).add(x.round()), [-0.5, 0, 7], [0, 0, 0]],
    ["sqrt", (x) => x.sqrt(), [0, 4, inf], [inf, 0.25, 0]],
    ["log", (x) => x.log(), [0, 2], [inf, 0.5]],
    ["sigmoid", (x) => x.sigmoid(), [-1000, 0, 1000], [0, 0.25, 0]],
    ["tanh", (x) => x.tanh(), [-1000, 0, 1000], [0, 1, 0]],
    ["erf", (x) => x.erf(), [-inf, inf], [0, 0]],
    ["softplus", (x) => x.softplus(), [-1000, 0, 1000], [0, 0.5, 1]],
    ["elu", (x) => x.elu(), [-1000, 0, 1000], [0, 1, 1]],
    ["leakyRelu", (x) => x.leakyRelu(0.1), [-1, 0, 1], [0.1, 0.1, 1]],
    ["gelu", (x) => x.gelu(), [-1000, 0, 1000], [0, 0.5, 1]],
    ["silu", (x) => x.silu(), [-1000, 0, 1000], [0, 0.5, 1]],
    ["clamp, at the bounds too", (x) => x.clamp({ min: -1, max: 1 }), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]],
    ["maximum with a number", (x) => x.maximum(1), [0, 1, 2, nan], [0, 0.5, 1, 1]],
    ["minimum with a number", (x) => x.minimum(1), [0, 1, 2, nan], [1, 0.5, 0, 1]],
    ["maximum with itself", (x) => x.maximum(x), [3], [1]],
    ["max shares among ties", (x) => x.max(), [1, 3, 3, 2], [0, 0.5, 0.5, 0]],
    ["min shares among ties", (x) => x.min(), [1, 1, 1, 2], [1 / 3, 1 / 3, 1 / 3, 0]],
    ["pow 0", (x) => x.pow(0), [0, -1, nan], [0, 0, 0]],
    ["pow 1", (x) => x.pow(1), [0, -1], [1, 1]],
    ["pow 2", (x) => x.pow(2), [0, -1], [0, -2]],
    ["pow 0.5", (x) => x.pow(0.5), [0, 4], [inf, 0.25]],
    ["0 to a power", (x) => ops.pow(0, x), [0, 2], [0, 0]],
    ["1 to a power", (x) => ops.pow(1, x), [0, 2], [0, 0]],
    ["pow of zeros", (x) => x.pow(vector([0, 1, 2])), [0, 0, 0], [0, 1, 0]],
    ["a power of zeros", (x) => vector([0, 0, 1]).pow(x), [0, 2, 2], [0, 0, 0]],
    ["division by zero", (x) => x.div(0), [1, -1], [inf, inf]],
    ["reciprocal", (x) => x.reciprocal(), [0, 2], [-inf, -0.25]],
    ["the branch that where leaves", (x) => x.gt(0).where(x, 0), [-1, nan, 2], [0, 0, 1]],
    ["logSumExp of far values", (x) => x.logSumExp(), [1000, 1000, -inf], [0.5, 0.5, 0]],
    ["softmax of far values", (x) => x.softmax().slice({ end: [1] }), [1000, 0, -1000], [0, 0, 0]],
    ["variance of equals", (x) => x.variance(), [5, 5, 5], [0, 0, 0]],
    ["smoothL1Loss at zero", (x) => ops.smoothL1Loss(x, x.zerosLike(), { reduction: "sum" }), [0, 1, -1], [0, 1, -1]],
    [
      "smoothL1Loss far out",
      (x) => ops.smoothL1Loss(x, x.zerosLike(), { beta: 0.5, reduction: "sum" }),
      [inf, -inf],
      [1, -1],
    ],
    ["l1Loss at zero", (x) => ops.l1Loss(x, x.zerosLike(), { reduction: "sum" }), [0, 2], [0, 1]],
    ["bceWithLogits far out", (x) => ops.bceWithLogits(x, x.zerosLike(), { reduction: "sum" }), [-1000, 1000], [0, 1]],
    ["bceWithLogits at zero", (x) => ops.bceWithLogits(x, x.zerosLike(), { reduction: "sum" }), [0], [0.5]],
  ])("%s", async (_name, fn, at, expected) => {
    const x = vector(at);
    const { grads } = valueAndGrad(() => fn(x).sum(), [x]);
    const actual = (await grads[0]?.data()) as Float64Array;
    expected.forEach((value, i) => {
      expect(actual[i]).toBeCloseTo(value, 12);
    });
  });

  test("max pooling gives ties to the first, and windows of -Infinity to their first pixel", async () => {
    const image = (values: readonly number[]): Tensor => vector(values).reshape([1, 1, 2, 2]);
    for (const [pixels, expected] of [
      [
        [3, 3, 3, 3],
        [1, 0, 0, 0],
      ],
      [
        [-inf, -inf, -inf, -inf],
        [1, 0, 0, 0],
      ],
      [
        [1, nan, nan, 5],
        [0, 1, 0, 0],
      ],
    ] as const) {
      const x = image(pixels);
      const { grads } = valueAndGrad(() => x.maxPool2d({ kernel: 2 }).sum(), [x]);
      expect([...((await grads[0]?.data()) ?? [])]).toEqual(expected);
    }
    const x = image([-inf, -inf, -inf, -inf]);
    const { grads } = valueAndGrad(() => x.maxPool2d({ kernel: 2, stride: 2, padding: 1 }).sum(), [x]);
    expect([...((await grads[0]?.data()) ?? [])]).toEqual([1, 1, 1, 1]);
  });

  test.each<[string, (x: Tensor) => Tensor, number]>([
    ["elu, the left one", (x) => x.elu(), 1],
    ["smoothL1Loss", (x) => ops.smoothL1Loss(x, x.zerosLike()), 1],
    ["bceWithLogits", (x) => ops.bceWithLogits(x, x.zerosLike()), 0.25],
  ])("the second derivative of %s at zero", async (_name, fn, expected) => {
    const x = vector([0]);
    const slope = (): Tensor => valueAndGrad(() => fn(x).sum(), [x], { createGraph: true }).grads[0] as Tensor;
    expect(await valueAndGrad(slope, [x]).grads[0]?.toArray()).toEqual([expected]);
  });

  test("crossEntropy of certain and of impossible labels is finite", async () => {
    const logits = tensor(
      [
        [1000, -1000],
        [1000, -1000],
      ],
      { backend },
    );
    const labels = tensor([0, 1], { backend, dtype: "int32" });
    const loss = (): Tensor => ops.crossEntropy(logits, labels, { reduction: "sum" });
    const { value, grads } = valueAndGrad(loss, [logits]);
    expect(await value.item()).toBe(2000);
    expect(await grads[0]?.toArray()).toEqual([
      [0, 0],
      [1, -1],
    ]);
  });
});

describe("values", () => {
  test.each<[string, (x: Tensor) => Tensor, readonly number[], readonly number[]]>([
    ["elu does not overflow", (x) => x.elu(), [1000, -1000], [1000, -1]],
    ["softplus does not overflow", (x) => x.softplus(), [1000, -1000], [1000, 0]],
    ["bceWithLogits keeps small losses", (x) => ops.bceWithLogits(x, vector([1, 0])), [50, -50], [Math.exp(-50)]],
    ["logSumExp of infinities", (x) => x.reshape([2, 2]).logSumExp(1), [-inf, -inf, inf, 0], [-inf, inf]],
    ["logSumExp shifts", (x) => x.logSumExp(), [1000, 1000], [1000 + Math.log(2)]],
    ["logSoftmax shifts", (x) => x.logSoftmax(), [0, 1000], [-1000, 0]],
    ["variance does not cancel", (x) => x.variance(), [1e9, 1e9 + 1, 1e9 + 2], [2 / 3]],
    ["where selects bits", (x) => x.eq(x).where(x, -1), [nan, 0, inf], [-1, 0, inf]],
    ["concat keeps NaN and -0", (x) => ops.concat([x, x], 0).mul(inf).reciprocal(), [-inf], [-0, -0]],
    ["an unbiased variance of one element is NaN", (x) => x.variance(0, { unbiased: true }), [3], [nan]],
  ])("%s", async (_name, fn, at, expected) => {
    expect([...(await fn(vector(at)).data())]).toEqual(expected);
  });
});
