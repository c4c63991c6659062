import { readFileSync } from "node:fs";
import { backward, crossEntropy, ones, scope, type Tensor, zeros } from "@striate/core";
import { build, type Layer, logitsOf, type Output } from "@striate/nn";
import { describe, expect, test } from "vitest";
import {
  createModel,
  expectModelName,
  googlenet,
  googlenet2014,
  type ModelEntry,
  type ModelName,
  modelNames,
  models,
  shapeBackend,
  stateShapes,
  summary,
} from "./index.js";

const backend = shapeBackend();
const context = { backend, seed: 0, initialise: false } as const;
const entryOf = (name: ModelName): ModelEntry => models[name];
const layerOf = (name: ModelName): Layer<(x: Tensor) => Output> => entryOf(name).layer();

type Shapes = [name: string, shape: number[]][];

describe("torchvision's networks", () => {
  const file = new URL("../../conformance/vectors/torchvision_shapes.json", import.meta.url);
  const expected = new Map(Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, Shapes>));

  test("are all there, and no other is called so", () => {
    expect(modelNames.filter((name) => entryOf(name).torchvision).sort()).toEqual([...expected.keys()].sort());
  });

  test.each([...expected])("%s has torchvision's names and shapes, in its order", (name, shapes) => {
    const state = stateShapes(layerOf(expectModelName(name)));
    expect([...state].map(([key, { shape }]) => [key, shape])).toEqual(shapes);
    for (const [key, { dtype }] of state) expect(dtype).toBe(key.endsWith("num_batches_tracked") ? "int32" : "float32");
  });
});

/** Published counts. */
const parameters = {
  ann: 1_578_506,
  lenet_1989: 9760,
  lenet5_1998: 60_000,
  lenet5: 62_006,
  alexnet: 61_100_840,
  alexnet_2012: 60_965_224,
  zfnet: 62_357_608,
  vgg11: 132_863_336,
  vgg11_lrn: 132_863_336,
  vgg13: 133_047_848,
  vgg16_c: 133_638_952,
  vgg16: 138_357_544,
  vgg19: 143_667_240,
  vgg16_bn: 138_365_992,
  vgg11_bn_cifar: 9_231_114,
  vgg16_bn_cifar: 14_728_266,
  vgg19_bn_cifar: 20_040_522,
  network_in_network: 966_986,
  googlenet: 13_004_888,
  googlenet_2014: 13_378_280,
  resnet18: 11_689_512,
  resnet34: 21_797_672,
  resnet50: 25_557_032,
  resnet101: 44_549_160,
  resnet152: 60_192_808,
  resnet18_cifar: 11_173_962,
  resnet20: 269_722,
  resnet32: 464_154,
  resnet56: 853_018,
  resnet110: 1_727_962,
  // 24·12 + 24 for whitening, 9·(24a + a² + ab + b² + bc + c²) and 2(a + b + c) for the groups, 10c for the head.
  speed_net: 312 + 9 * 218_624 + 1152 + 2560,
  matlab_example: 20 * 26 + 10 * (20 * 12 * 12 + 1),
  matlab_self_made: 20 * 26 + 10 * (20 * 25 + 1) + 10 * (160 + 1),
} as const satisfies Partial<Record<ModelName, number>>;

test.each(Object.entries(parameters))("%s has %i parameters", (name, count) => {
  expect(summary(layerOf(name as ModelName), entryOf(name as ModelName).input).parameters).toBe(count);
});

test.each([
  ["googlenet", googlenet({ auxiliary: false }), 6_624_904],
  ["googlenet2014", googlenet2014({ auxiliary: false }), 6_998_552],
] as const)("%s without auxiliary classifiers has %i parameters", (_, layer, count) => {
  expect(summary(layer, [3, 224, 224]).parameters).toBe(count);
});

/** Those whose outputs are classes. */
const classifiers = modelNames.filter((name) => entryOf(name).heads.length > 0);

describe.each(classifiers)("%s", (name) => {
  const { input, heads } = entryOf(name);

  test("gives logits in evaluation, and every parameter a gradient in training", () => {
    const net = build(layerOf(name), context);
    scope(() => {
      const x = ones([2, ...input], { backend });
      const classes = logitsOf(net.eval().forward(x)).shape[1] as number;
      const output = net.train().forward(x);
      const all = "logits" in output ? [output.logits, ...output.auxiliary] : [output];
      expect(all.map(({ shape }) => shape)).toEqual(all.map(() => [2, classes]));
      const labels = zeros([2], { backend, dtype: "int32" });
      const losses = all.map((logits) => crossEntropy(logits, labels));
      backward(losses.reduce((sum, loss) => sum.add(loss)));
      const without = [...net.namedParameters()].filter(([, { grad }]) => !grad).map(([path]) => path);
      expect(without).toEqual([]);
    });
    net.dispose();
  });

  test("its heads, and nothing else, follow the classes", () => {
    const own = stateShapes(layerOf(name));
    const other = new Map(
      [...createModel(name, { classes: 7 }, context).stateDict()].map(([key, { shape }]) => [key, shape]),
    );
    const changed = [...own].filter(([key, { shape }]) => `${other.get(key)}` !== `${shape}`);
    const layers = new Set(changed.map(([key]) => key.replace(/\.(weight|bias)$/, "")));
    expect([...layers].sort()).toEqual([...heads].sort());
    for (const [key] of changed) expect(other.get(key)?.[0]).toBe(7);
  });
});
