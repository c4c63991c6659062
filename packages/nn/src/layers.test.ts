import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, gradcheck, ShapeError, type Tensor, tensor, valueAndGrad } from "@striate/core";
import { beforeEach, describe, expect, test } from "vitest";
import {
  adaptiveAvgPool2d,
  adaptiveMaxPool2d,
  avgPool2d,
  batchNorm1d,
  batchNorm2d,
  build,
  combinedConv2d,
  conv2d,
  convTranspose2d,
  dropout,
  elu,
  flatten,
  gelu,
  groupNorm,
  identity,
  init,
  type Layer,
  layerNorm,
  leakyRelu,
  linear,
  locallyConnected2d,
  localResponseNorm,
  type Module,
  maxout,
  maxPool2d,
  maxPool2dWithIndices,
  maxUnpool2d,
  partialConv2d,
  relu,
  scaledTanh,
  sigmoid,
  silu,
  softmax,
  softplus,
  srelu,
  subsampling2d,
  tanh,
  upsample2d,
} from "./index.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const make = (layer: Layer): Module => build(layer, { backend, seed: 1, dtype: "float64" });
const valuesOf = (t: Tensor): number[] => Array.from(t.dataSync());
const of = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor(values as number[], { backend, shape, dtype: "float64" });
const input = (...shape: number[]): Tensor =>
  of(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + 1)),
    shape,
  );
const parametersOf = (module: Module): [string, readonly number[]][] =>
  [...module.namedParameters()].map(([name, t]) => [name, t.shape]);
const load = (module: Module, values: Readonly<Record<string, readonly number[]>>): void => {
  const own = module.namedParameters();
  for (const [name, v] of Object.entries(values)) own.get(name)?.assign(of(v, own.get(name)?.shape ?? []));
};

type Case = readonly [name: string, layer: Layer, parameters: [string, number[]][], input: number[], output: number[]];

test.each<Case>([
  [
    "linear",
    linear(4, 3),
    [
      ["weight", [3, 4]],
      ["bias", [3]],
    ],
    [2, 4],
    [2, 3],
  ],
  ["linear without bias", linear(4, 3, { bias: false }), [["weight", [3, 4]]], [2, 5, 4], [2, 5, 3]],
  [
    "conv2d",
    conv2d(4, 6, [3, 5]),
    [
      ["weight", [6, 4, 3, 5]],
      ["bias", [6]],
    ],
    [2, 4, 8, 9],
    [2, 6, 6, 5],
  ],
  [
    "conv2d in groups",
    conv2d(4, 6, 3, { groups: 2, stride: 2, bias: false }),
    [["weight", [6, 2, 3, 3]]],
    [1, 4, 9, 9],
    [1, 6, 4, 4],
  ],
  [
    "conv2d same",
    conv2d(1, 1, [4, 3], { padding: "same", dilation: 2, bias: false }),
    [["weight", [1, 1, 4, 3]]],
    [1, 1, 7, 8],
    [1, 1, 7, 8],
  ],
  [
    "conv2d full",
    conv2d(1, 1, [4, 3], { padding: "full", bias: false }),
    [["weight", [1, 1, 4, 3]]],
    [1, 1, 7, 8],
    [1, 1, 10, 10],
  ],
  [
    "conv2d valid",
    conv2d(1, 1, [4, 3], { padding: "valid", bias: false }),
    [["weight", [1, 1, 4, 3]]],
    [1, 1, 7, 8],
    [1, 1, 4, 6],
  ],
  [
    "conv2d padded",
    conv2d(1, 1, 3, { padding: [1, 0, 2, 0], bias: false }),
    [["weight", [1, 1, 3, 3]]],
    [1, 1, 5, 5],
    [1, 1, 4, 5],
  ],
  [
    "convTranspose2d",
    convTranspose2d(4, 6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
    [
      ["weight", [4, 3, 3, 3]],
      ["bias", [6]],
    ],
    [1, 4, 5, 5],
    [1, 6, 10, 10],
  ],
  [
    "locallyConnected2d",
    locallyConnected2d(2, 3, 3, { outputSize: [2, 3], stride: 2, padding: 1 }),
    [
      ["weight", [2, 3, 3, 2, 3, 3]],
      ["bias", [3, 2, 3]],
    ],
    [2, 2, 4, 6],
    [2, 3, 2, 3],
  ],
  [
    "partialConv2d",
    partialConv2d(3, [[0], [1, 2]], 3),
    [
      ["weight", [3, 3, 3]],
      ["bias", [2]],
    ],
    [1, 3, 5, 5],
    [1, 2, 3, 3],
  ],
  [
    "combinedConv2d",
    combinedConv2d(3, 2, 3, { padding: 1 }),
    [
      ["weight", [3, 1, 3, 3]],
      ["combination", [2, 3]],
      ["bias", [2]],
    ],
    [1, 3, 5, 5],
    [1, 2, 5, 5],
  ],
  [
    "subsampling2d",
    subsampling2d(3, 2),
    [
      ["weight", [3]],
      ["bias", [3]],
    ],
    [1, 3, 4, 6],
    [1, 3, 2, 3],
  ],
  [
    "batchNorm2d",
    batchNorm2d(3),
    [
      ["weight", [3]],
      ["bias", [3]],
    ],
    [2, 3, 4, 4],
    [2, 3, 4, 4],
  ],
  ["batchNorm2d without weight", batchNorm2d(3, { affine: "bias" }), [["bias", [3]]], [2, 3, 4, 4], [2, 3, 4, 4]],
  ["batchNorm1d", batchNorm1d(3, { affine: false }), [], [4, 3], [4, 3]],
  ["batchNorm1d of sequences", batchNorm1d(3, { affine: "weight" }), [["weight", [3]]], [4, 3, 5], [4, 3, 5]],
  [
    "layerNorm",
    layerNorm([3, 4]),
    [
      ["weight", [3, 4]],
      ["bias", [3, 4]],
    ],
    [2, 3, 4],
    [2, 3, 4],
  ],
  ["layerNorm of vectors", layerNorm(4, { affine: false }), [], [2, 4], [2, 4]],
  [
    "groupNorm",
    groupNorm(2, 4),
    [
      ["weight", [4]],
      ["bias", [4]],
    ],
    [2, 4, 3],
    [2, 4, 3],
  ],
  ["localResponseNorm", localResponseNorm(3, { divideBySize: false }), [], [2, 4, 3, 3], [2, 4, 3, 3]],
  ["maxPool2d", maxPool2d(3, { stride: 2, ceilMode: true }), [], [1, 2, 8, 8], [1, 2, 4, 4]],
  ["avgPool2d", avgPool2d(2), [], [1, 2, 8, 8], [1, 2, 4, 4]],
  ["adaptiveAvgPool2d", adaptiveAvgPool2d(1), [], [1, 2, 5, 5], [1, 2, 1, 1]],
  ["adaptiveMaxPool2d", adaptiveMaxPool2d([2, 3]), [], [1, 2, 5, 5], [1, 2, 2, 3]],
  ["upsample2d", upsample2d({ scale: 2, mode: "bilinear" }), [], [1, 2, 3, 3], [1, 2, 6, 6]],
  ["flatten", flatten(), [], [2, 3, 4], [2, 12]],
  ["flatten all", flatten(0), [], [2, 3, 4], [24]],
  ["maxout", maxout(2), [], [2, 6, 3, 3], [2, 3, 3, 3]],
  ["identity", identity(), [], [2, 3], [2, 3]],
])("%s: names and shapes", (_, layer, parameters, inputShape, outputShape) => {
  const module = make(layer);
  expect(parametersOf(module)).toEqual(parameters);
  const x = input(...inputShape);
  expect(module.forward(x).shape).toEqual(outputShape);
  if (parameters.length > 0) {
    const { grads } = valueAndGrad(() => module.forward(x).square().sum(), module.parameters());
    expect(grads.map((g) => g.shape)).toEqual(parameters.map(([, shape]) => shape));
  }
});

test.each<[string, Layer, (x: number) => number]>([
  ["relu", relu(), (x) => Math.max(x, 0)],
  ["leakyRelu", leakyRelu(0.1), (x) => (x > 0 ? x : 0.1 * x)],
  ["elu", elu(2), (x) => (x > 0 ? x : 2 * Math.expm1(x))],
  ["srelu", srelu(0.5), (x) => Math.max(-0.5, x)],
  ["silu", silu(), (x) => x / (1 + Math.exp(-x))],
  ["softplus", softplus(), (x) => Math.log1p(Math.exp(x))],
  ["sigmoid", sigmoid(), (x) => 1 / (1 + Math.exp(-x))],
  ["sigmoid with a slope", sigmoid(3), (x) => 1 / (1 + Math.exp(-3 * x))],
  ["tanh", tanh(), Math.tanh],
  ["scaledTanh", scaledTanh(), (x) => 1.7159 * Math.tanh((2 * x) / 3)],
])("%s is its formula", (_, layer, formula) => {
  const x = [-2, -0.75, -0.25, 0, 0.5, 3];
  expect(valuesOf(make(layer).forward(of(x)))).toEqual(x.map((v) => expect.closeTo(formula(v), 10)));
});

test("scaledTanh has its own gradient, which can be differentiated again", async () => {
  const squash = make(scaledTanh(1.5, 0.7)).forward;
  const x = of([-2, -0.75, 0, 0.5, 3]);
  await gradcheck(squash, [x]);
  const slope = (t: Tensor): Tensor => {
    const { grads } = valueAndGrad(() => squash(t).square().sum(), [t], { createGraph: true });
    return (grads[0] as Tensor).sum();
  };
  const { grads } = valueAndGrad(() => slope(x), [x]);
  const second = (v: number): number => {
    const y = Math.tanh(0.7 * v);
    return 2 * 1.5 ** 2 * 0.7 ** 2 * (1 - y ** 2) * (1 - 3 * y ** 2);
  };
  expect(valuesOf(grads[0] as Tensor)).toEqual(valuesOf(x).map((v) => expect.closeTo(second(v), 9)));
});

describe("values", () => {
  test("gelu and softmax", () => {
    expect(valuesOf(make(gelu()).forward(of([0, 1])))).toEqual([0, expect.closeTo(0.8413447460685429, 7)]);
    expect(valuesOf(make(softmax(0)).forward(of([0, Math.log(3)])))).toEqual(
      [0.25, 0.75].map((v) => expect.closeTo(v, 12)),
    );
  });

  test("a convolution of the lectures", () => {
    const rows = [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0];
    const module = make(conv2d(1, 1, 3, { bias: false }));
    load(module, { weight: [1, 0, 1, 0, 1, 0, 1, 0, 1] });
    expect(valuesOf(module.forward(of(rows, [1, 1, 5, 5])))).toEqual([4, 3, 4, 2, 4, 3, 2, 3, 4]);
  });

  test("conv2d same puts the odd pixel behind", () => {
    const module = make(conv2d(1, 1, [1, 2], { padding: "same", bias: false }));
    load(module, { weight: [1, 10] });
    expect(valuesOf(module.forward(of([1, 2, 3], [1, 1, 1, 3])))).toEqual([21, 32, 3]);
  });

  test("locallyConnected2d with equal weights everywhere is a convolution", () => {
    const [local, shared] = [make(locallyConnected2d(2, 3, 2, { outputSize: 3 })), make(conv2d(2, 3, 2))];
    const weight = valuesOf(shared.parameters()[0] as Tensor);
    const bias = valuesOf(shared.parameters()[1] as Tensor);
    load(local, {
      weight: Array.from({ length: 9 }, () => weight).flat(),
      bias: bias.flatMap((b) => new Array(9).fill(b)),
    });
    const x = input(2, 2, 4, 4);
    expect(valuesOf(local.forward(x))).toEqual(valuesOf(shared.forward(x)).map((v) => expect.closeTo(v, 12)));
  });

  test("partialConv2d is a convolution without the missing links", () => {
    const partial = make(partialConv2d(3, [[2], [0, 2]], 2));
    const dense = make(conv2d(3, 2, 2));
    const [w, b] = partial.parameters().map(valuesOf) as [number[], number[]];
    const none = [0, 0, 0, 0];
    load(dense, { weight: [none, none, w.slice(0, 4), w.slice(4, 8), none, w.slice(8, 12)].flat(), bias: b });
    const x = input(2, 3, 4, 4);
    expect(valuesOf(partial.forward(x))).toEqual(valuesOf(dense.forward(x)).map((v) => expect.closeTo(v, 12)));
    const [gradient] = valueAndGrad(() => partial.forward(x).square().sum(), partial.parameters()).grads;
    const [expected] = valueAndGrad(() => dense.forward(x).square().sum(), dense.parameters()).grads;
    const all = valuesOf(expected as Tensor);
    expect(valuesOf(gradient as Tensor)).toEqual(
      [all.slice(8, 12), all.slice(12, 16), all.slice(20, 24)].flat().map((v) => expect.closeTo(v, 9)),
    );
  });

  test("C3 of LeNet-5 has 1,516 parameters within ±2.4/fan-in of their own map", () => {
    const table = [
      "012",
      "123",
      "234",
      "345",
      "045",
      "015",
      "0123",
      "1234",
      "2345",
      "0345",
      "0145",
      "0125",
      "0134",
      "1245",
      "0235",
      "012345",
    ];
    const connections = table.map((row) => [...row].map(Number));
    const inits = { weightInit: init.fanInUniform(2.4), biasInit: init.fanInUniform(2.4) };
    const module = make(partialConv2d(6, connections, 5, inits));
    expect(module.parameters().reduce((n, p) => n + p.size, 0)).toBe(1516);
    const [w, b] = module.parameters().map((p) => valuesOf(p).map(Math.abs)) as [number[], number[]];
    expect(Math.max(...w.slice(0, 75))).toBeGreaterThan((0.9 * 2.4) / 75);
    expect(Math.max(...w.slice(0, 75))).toBeLessThan(2.4 / 75);
    expect(Math.max(...w.slice(-150), b.at(-1) as number)).toBeLessThan(2.4 / 150);
    expect(module.forward(input(1, 6, 14, 14)).shape).toEqual([1, 16, 10, 10]);
  });

  test("combinedConv2d mixes by softmax", () => {
    const module = make(combinedConv2d(2, 1, 1));
    load(module, { weight: [2, 10], combination: [0, Math.log(3)], bias: [1] });
    expect(valuesOf(module.forward(of([1, 1], [1, 2, 1, 1])))).toEqual([expect.closeTo(0.25 * 2 + 0.75 * 10 + 1, 12)]);
  });

  test("subsampling2d is β times the sum, plus b", () => {
    const module = make(subsampling2d(2, [1, 2]));
    load(module, { weight: [1, 0.5], bias: [0, 100] });
    expect(valuesOf(module.forward(of([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 1, 4])))).toEqual([3, 7, 105.5, 107.5]);
    expect(() => module.forward(input(1, 2, 1, 5))).toThrow(
      "subsampling2d: kernel [1, 2] does not divide an image of [1, 5]",
    );
  });

  test("maxUnpool2d puts maxima back where they were", () => {
    const net: Layer = (m) => {
      const pool = m.child("pool", maxPool2dWithIndices(2));
      const unpool = m.child("unpool", maxUnpool2d(2));
      return (x) => {
        const { y, indices } = pool(x);
        return unpool(y, indices);
      };
    };
    const x = of([1, 1, 2, 4, 2, 4, 7, 8, 3, 2, 1, 0, 1, 1, 2, 4], [1, 1, 4, 4]);
    expect(valuesOf(make(net).forward(x))).toEqual([0, 0, 0, 0, 0, 4, 0, 8, 3, 0, 0, 0, 0, 0, 0, 4]);
  });

  test("batch norm without running statistics normalizes by the batch in evaluation too", () => {
    const module = make(batchNorm1d(1, { trackRunningStats: false, affine: false }));
    expect(module.namedBuffers().size).toBe(0);
    const y = valuesOf(module.eval().forward(of([1, 3], [2, 1])));
    expect(y).toEqual([-1, 1].map((v) => expect.closeTo(v, 4)));
  });

  test("dropout with p 0 or 1", () => {
    const x = of([1, 2]);
    expect(make(dropout(0)).forward(x)).toBe(x);
    expect(valuesOf(make(dropout(1)).forward(x))).toEqual([0, 0]);
  });
});

describe("bad input", () => {
  test.each<[() => Layer | Layer<never>, string]>([
    [() => linear(0, 3), "linear: inFeatures is 0, expected positive integers"],
    [() => conv2d(3, 2.5, 3), "conv2d: outChannels is 2.5"],
    [() => conv2d(3, 4, [3, 0]), "conv2d: kernel is [3,0]"],
    [() => conv2d(3, 4, 3, { groups: 2 }), "conv2d: inChannels is 3, expected a multiple of groups, 2"],
    [() => conv2d(3, 4, 3, { padding: "half" as "same" }), 'conv2d: padding is "half"'],
    [() => conv2d(3, 4, 3, { padding: "same", stride: 2 }), 'conv2d: padding "same" needs stride 1, got 2'],
    [
      () => convTranspose2d(4, 3, 3, { groups: 2 }),
      "convTranspose2d: outChannels is 3, expected a multiple of groups, 2",
    ],
    [() => locallyConnected2d(1, 1, 3, { outputSize: 0 }), "locallyConnected2d: outputSize is 0"],
    [() => partialConv2d(3, [], 3), "partialConv2d: the connection table is empty"],
    [() => partialConv2d(3, [[0], [3]], 3), "partialConv2d: map 1 is fed by 3, expected maps 0 to 2"],
    [() => partialConv2d(3, [[0, 0]], 3), "partialConv2d: map 0 is fed by [0, 0]"],
    [() => partialConv2d(3, [[]], 3), "partialConv2d: map 0 is fed by []"],
    [() => combinedConv2d(0, 1, 3), "combinedConv2d: inChannels is 0"],
    [() => maxPool2d(0), "maxPool2d: kernel is 0"],
    [() => maxPool2dWithIndices(0) as never, "maxPool2dWithIndices: kernel is 0"],
    [() => maxUnpool2d(2, { stride: 0 }) as never, "maxUnpool2d: stride is 0"],
    [() => avgPool2d(1.5), "avgPool2d: kernel is 1.5"],
    [() => adaptiveAvgPool2d(0), "adaptiveAvgPool2d: outputSize is 0"],
    [() => subsampling2d(3, 0), "subsampling2d: kernel is 0"],
    [() => upsample2d({ scale: 0.5 }), "upsample2d: scale is 0.5"],
    [() => batchNorm2d(0), "batchNorm2d: features is 0"],
    [() => batchNorm2d(3, { momentum: 2 }), "batchNorm2d: momentum is 2"],
    [() => layerNorm([3, 0]), "layerNorm: normalizedShape[1] is 0"],
    [() => groupNorm(2, 3), "groupNorm: channels is 3, expected a multiple of groups, 2"],
    [() => localResponseNorm(0), "localResponseNorm: size is 0"],
    [() => maxout(0), "maxout: pieces is 0"],
    [() => dropout(1.5), "dropout: p is 1.5"],
  ])("%#", (declare, message) => {
    expect(declare).toThrow(ArgumentError);
    expect(declare).toThrow(message);
  });

  test("batch norm of another rank or number of channels", () => {
    expect(() => make(batchNorm2d(3)).forward(input(2, 3))).toThrow(ShapeError);
    expect(() => make(batchNorm2d(3)).forward(input(2, 4, 2, 2))).toThrow(
      "batchNorm2d: x is [2, 4, 2, 2], expected rank 4 with 3 channels",
    );
    expect(() => make(batchNorm1d(3)).forward(input(2, 3, 2, 2))).toThrow(
      "batchNorm1d: x is [2, 3, 2, 2], expected rank 2 or 3",
    );
  });
});
