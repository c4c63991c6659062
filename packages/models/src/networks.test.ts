import { readFileSync } from "node:fs";
import { createCpuBackend } from "@striate/backend-cpu";
import { createWasmBackend } from "@striate/backend-wasm";
import {
  ArgumentError,
  type Backend,
  crossEntropy,
  keep,
  mseLoss,
  noGrad,
  scope,
  type Tensor,
  tensor,
  zeros,
} from "@striate/core";
import { build, type Layer, logitsOf, type Output } from "@striate/nn";
import { sgd } from "@striate/optim";
import { beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { krizhevskyNorm } from "./alexnet.js";
import {
  alexnet2012,
  createModel,
  expectModelName,
  googlenet,
  googlenet2014,
  type ModelEntry,
  type ModelName,
  matlabSelfMade,
  modelNames,
  models,
  networkInNetwork,
  resnet18,
  resnet20,
  resnet50,
  shapeBackend,
  speedNet,
  stateShapes,
  summary,
  vgg11,
  vgg11Lrn,
  vgg16C,
  zfnet,
} from "./index.js";
import { initialValues } from "./testing/initial-values.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const images = (on: Backend, ...shape: number[]): Tensor =>
  tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 0.7) + Math.cos(i * 0.013)),
    { backend: on, shape },
  );

const outputOf = (layer: Layer, input: readonly number[], name: string) =>
  summary(layer, input).layers.find((row) => row.name === name)?.output;

describe("names", () => {
  test("an unknown one is refused with the nearest", () => {
    expect(() => expectModelName("Resnet81")).toThrow(ArgumentError);
    expect(() => expectModelName("Resnet81")).toThrow(
      /^there is no network "Resnet81"; did you mean resnet\d+\? .* ann, /,
    );
    expect(() => createModel("transformer" as ModelName, {}, { backend, seed: 0 })).toThrow(
      /^there is no network "transformer"; there are ann, /,
    );
    expect(() => createModel("vgg16bn" as ModelName, {}, { backend, seed: 0 })).toThrow(/did you mean vgg16_bn\?/);
    expect(() => expectModelName("toString")).toThrow(/there is no network "toString"/);
    expect(modelNames.map(expectModelName)).toEqual(modelNames);
  });

  test("createModel builds what the function does", async () => {
    const context = { backend, seed: 3 };
    const net = createModel("resnet20", { classes: 4, shortcut: "projection" }, context);
    const same = build(resnet20({ classes: 4, shortcut: "projection" }), context);
    const x = images(backend, 1, 3, 8, 8);
    expect(await net.forward(x).data()).toEqual(await same.forward(x).data());
  });
});

test("options and forward passes are typed by the name", () => {
  const context = { backend: shapeBackend(), seed: 0, initialise: false } as const;
  // @ts-expect-error a basic block has no 1x1 convolution that could make the step
  createModel("resnet18", { version: "v1" }, context);
  // @ts-expect-error no such network
  expect(() => createModel("resnet19", {}, context)).toThrow(ArgumentError);
  expectTypeOf(createModel("resnet50", { version: "v1" }, context).forward).returns.toEqualTypeOf<Tensor>();
  expectTypeOf(createModel("googlenet", {}, context).forward).returns.toEqualTypeOf<Output>();
  const any: (x: Tensor) => Output = createModel("vgg16" as ModelName, { classes: 3 }, context).forward;
  expect(any(zeros([1, 3, 32, 32], { backend: context.backend }))).toMatchObject({ shape: [1, 3] });
});

describe("ResNet", () => {
  test("v1.5 steps in the 3x3 convolution, v1 in the first 1x1", () => {
    const size = [3, 64, 64];
    expect(outputOf(resnet50(), size, "layer2.0.conv1")).toEqual([128, 16, 16]);
    expect(outputOf(resnet50({ version: "v1" }), size, "layer2.0.conv1")).toEqual([128, 8, 8]);
    expect(outputOf(resnet50({ version: "v1" }), size, "layer2.0.conv2")).toEqual([128, 8, 8]);
    expect(stateShapes(resnet50({ version: "v1" }))).toEqual(stateShapes(resnet50()));
  });

  test("a padding shortcut passes every second pixel on, and zeros for the new channels", async () => {
    const net = build(resnet20(), { backend, seed: 1 });
    const seen = new Map<string, Tensor>();
    net.observe((name, output) => {
      if (["layer1.2", "layer2.0.downsample"].includes(name)) seen.set(name, keep((output as Tensor).detach()));
    });
    noGrad(() => net.forward(images(backend, 1, 3, 8, 8)).dispose());
    const [from, to] = [...seen.values()] as [Tensor, Tensor];
    expect([from.shape, to.shape]).toEqual([
      [1, 16, 8, 8],
      [1, 32, 4, 4],
    ]);
    const [x, y] = [from.dataSync(), to.dataSync()];
    y.forEach((value, i) => {
      const [channel, row, column] = [Math.floor(i / 16), Math.floor(i / 4) % 4, i % 4];
      expect(value).toBe(channel < 16 ? x[channel * 64 + row * 16 + column * 2] : 0);
    });
  });

  test("with projections ResNet-20 has the names of PyTorch's training vectors", () => {
    const file = new URL("../../conformance/vectors/training/resnet20-sgd.json", import.meta.url);
    const { parameters } = JSON.parse(readFileSync(file, "utf8")) as { parameters: [string, number[]][] };
    const shapes = [...stateShapes(resnet20({ shortcut: "projection" }))];
    const own = shapes.filter(([name]) => /(weight|bias)$/.test(name)).map(([name, { shape }]) => [name, shape]);
    expect(own).toEqual(parameters);
  });
});

describe("VGG", () => {
  test("A-LRN normalizes once, behind the first convolution", () => {
    const operations = (layer: Layer) => summary(layer, [3, 32, 32]).layers.map(({ operation }) => operation);
    expect(operations(vgg11Lrn()).slice(0, 3)).toEqual(["conv2d 3x3", "relu", "localResponseNorm 5"]);
    expect(operations(vgg11Lrn()).toSpliced(2, 1)).toEqual(operations(vgg11()));
  });

  test("C has a 1x1 convolution at the end of each of the last three stages", () => {
    const { layers } = summary(vgg16C(), [3, 32, 32]);
    const small = layers.filter(({ operation }) => operation === "conv2d 1x1");
    expect(small.map(({ output }) => output)).toEqual([
      [256, 8, 8],
      [512, 4, 4],
      [512, 2, 2],
    ]);
  });
});

describe("AlexNet of 2012", () => {
  test("divides by (2 + 1e-4 Σ x²)^0.75 over five maps", async () => {
    const x = tensor(Float32Array.of(10, 20, 30, 40, 50, 60), { backend, shape: [1, 6, 1, 1] });
    const y = [...build(krizhevskyNorm(), { backend, seed: 0 }).forward(x).dataSync()];
    const sums = [10, 20, 30, 40, 50, 60].map((_, i, all) =>
      all.slice(Math.max(0, i - 2), i + 3).reduce((sum, v) => sum + v * v, 0),
    );
    y.forEach((value, i) => {
      expect(value).toBeCloseTo(((i + 1) * 10) / (2 + 1e-4 * (sums[i] as number)) ** 0.75, 4);
    });
  });

  test("has the maps that its paper and ZF-Net's draw", () => {
    const maps = (layer: Layer, size: number) =>
      summary(layer, [3, size, size])
        .layers.filter(({ operation }) => /conv2d|maxPool2d/.test(operation))
        .map(({ output }) => output?.slice(0, 2));
    const rest = [
      [256, 13],
      [384, 13],
      [384, 13],
      [256, 13],
      [256, 6],
    ];
    expect(maps(alexnet2012(), 227)).toEqual([[96, 55], [96, 27], [256, 27], ...rest]);
    expect(maps(zfnet(), 224)).toEqual([[96, 110], [96, 55], [256, 26], ...rest]);
  });
});

describe("GoogLeNet", () => {
  test.each([
    ["torchvision's", googlenet],
    ["the paper's", googlenet2014],
  ])("%s gives auxiliary logits in training alone", (_, make) => {
    const rows = summary(make(), [3, 224, 224]).layers;
    const grid = (name: string) => rows.find((row) => row.name === name)?.output?.slice(1);
    expect(["maxpool1", "maxpool2", "maxpool3", "maxpool4"].map(grid)).toEqual([
      [56, 56],
      [28, 28],
      [14, 14],
      [7, 7],
    ]);
    const outputs = (auxiliary: boolean) => {
      const net = build(make({ classes: 3, auxiliary }), { backend: shapeBackend(), seed: 0, initialise: false });
      const x = images(net.parameters()[0]?.backend as Backend, 2, 3, 224, 224);
      return [net.forward(x), net.eval().forward(x)];
    };
    const [training, evaluation] = outputs(true);
    expect(training).toMatchObject({ logits: { shape: [2, 3] }, auxiliary: [{ shape: [2, 3] }, { shape: [2, 3] }] });
    expect(evaluation).toMatchObject({ shape: [2, 3] });
    expect(outputs(false)).toMatchObject([{ shape: [2, 3] }, { shape: [2, 3] }]);
  });

  test("transformInput takes ImageNet's normalization back, and scales to [-1, 1]", () => {
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ] as const;
    const values = Array.from({ length: 3 * 1024 }, (_, i) => (i % 7) / 7);
    const normalized = values.map((v, i) => {
      const channel = Math.floor(i / 1024);
      return (v - (mean[channel] as number)) / (std[channel] as number);
    });
    const context = { backend, seed: 1, dtype: "float64", initialise: false } as const;
    const net = build(googlenet({ auxiliary: false, transformInput: true }), context).eval();
    let arriving: readonly number[] = [];
    net.observe(
      () => {},
      (name, [x]) => {
        if (name === "conv1") arriving = [...(x as Tensor).dataSync()];
      },
    );
    scope(() => {
      net.forward(tensor(Float64Array.from(normalized), { backend, shape: [1, 3, 32, 32] }));
    });
    arriving.forEach((value, i) => {
      expect(value).toBeCloseTo(2 * (values[i] as number) - 1, 12);
    });
    expect(arriving.length).toBe(values.length);
  });
});

describe("the speed net", () => {
  const filters = Float32Array.from({ length: 24 * 12 }, (_, i) => Math.sin(i));

  test("begins with the whitening filters, where they are given", async () => {
    const state = build(speedNet({ widths: [16, 32, 32], filters }), { backend, seed: 0 }).stateDict();
    expect(state.get("whiten.weight")?.shape).toEqual([24, 3, 2, 2]);
    expect(await state.get("whiten.weight")?.data()).toEqual(filters);
    expect([...state.keys()].filter((name) => !name.includes("running") && !name.includes("num_"))).toEqual([
      "whiten.weight",
      "whiten.bias",
      ...[1, 2, 3].flatMap((i) =>
        ["conv1.weight", "norm1.bias", "conv2.weight", "norm2.bias"].map((name) => `group${i}.${name}`),
      ),
      "head.weight",
    ]);
  });

  test.each([
    ["group1.conv1.weight", 16],
    ["group2.conv1.weight", 16],
    ["group2.conv2.weight", 32],
  ])("%s passes its first %i channels through and is random beyond", async (name, passed) => {
    const weight = build(speedNet({ widths: [16, 32, 32] }), { backend, seed: 0 })
      .stateDict()
      .get(name) as Tensor;
    const [out, inputs] = weight.shape as unknown as [number, number];
    const values = (await weight.data()) as Float32Array;
    for (let o = 0; o < out; o++) {
      const unit = [...values.subarray(o * inputs * 9, (o + 1) * inputs * 9)];
      if (o < passed) expect(unit).toEqual(unit.map((_, i) => +(i === o * 9 + 4)));
      else expect(new Set(unit).size).toBe(unit.length);
    }
  });

  test("refuses filters of another size", () => {
    expect(() => speedNet({ filters: new Float32Array(12) })).toThrow(
      new ArgumentError("speedNet: filters has 12 values, expected [24, 3, 2, 2]"),
    );
  });
});

test("the self-made CNN squashes as asked", () => {
  const operations = (layer: Layer) => summary(layer, [1, 28, 28]).layers.map(({ operation }) => operation);
  expect(operations(matlabSelfMade())[1]).toBe("sigmoid");
  expect(operations(matlabSelfMade({ activation: "relu" }))[1]).toBe("relu");
  expect(summary(matlabSelfMade({ channels: 3, size: 32 }), [3, 32, 32]).layers.at(-1)?.output).toEqual([10]);
});

describe("initial values", () => {
  const deviation = (values: Float32Array): number =>
    Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  /** He's for a fan: √(2 / fan). */
  const he = (fan: number): number => Math.sqrt(2 / fan);

  // Torchvision's constructors, and the papers'.
  test.each([
    ["resnet18", resnet18(), "layer2.0.conv1.weight", he(128 * 9)],
    ["resnet18's head", resnet18(), "fc.weight", 1 / Math.sqrt(3 * 512)],
    ["a norm's scale", resnet18(), "bn1.weight", 1],
    ["vgg11", vgg11(), "features.3.weight", he(128 * 9)],
    ["vgg11's biases", vgg11(), "features.3.bias", 0],
    ["vgg11's head", vgg11(), "classifier.3.weight", 0.01],
    ["googlenet", googlenet(), "inception4a.branch2.1.conv.weight", 0.01],
    ["googlenet's head", googlenet(), "fc.weight", 0.01],
    ["googlenet2014", googlenet2014(), "inception4a.branch2.1.conv.weight", he(96 * 9)],
    ["alexnet2012", alexnet2012(), "features.4.weight", 0.01],
    ["zfnet", zfnet(), "features.4.weight", 0.01],
    ["networkInNetwork", networkInNetwork(), "2.weight", he(192)],
  ] as const)("%s", (_, layer, name, expected) => {
    const values = initialValues(layer).get(name) as Float32Array;
    expect(deviation(values)).toBeGreaterThanOrEqual(expected * 0.95);
    expect(deviation(values)).toBeLessThanOrEqual(expected * 1.05);
  });

  test("alexnet2012 begins with biases of 1 in convolutions 2, 4, 5 and the hidden layers", () => {
    const biases = [...initialValues(alexnet2012())].filter(([name]) => name.endsWith("bias"));
    expect(biases.map(([, values]) => values[0])).toEqual([0, 1, 0, 1, 1, 1, 1, 0]);
    for (const [, values] of biases) expect(new Set(values).size).toBe(1);
  });
});

describe("training", () => {
  const full = process.env["STRIATE_FULL"] === "1";
  const tried = modelNames.filter((name) => {
    const { layer, input }: ModelEntry = models[name];
    const { parameters, multiplyAdds } = summary(layer(), input);
    return full ? multiplyAdds < 1e9 && parameters < 25e6 : multiplyAdds < 120e6 && parameters < 3e6;
  });

  /** Without the bounds on its weights, and in its dropout's noise, maxout wants small steps. */
  const rates: Partial<Record<ModelName, number>> = { maxout: 2e-4 };

  test("is tried on networks of several kinds", () => {
    expect(tried).toEqual(expect.arrayContaining(["ann", "matlab_self_made", "resnet20", "speed_net"]));
  });

  test.each(tried)("%s learns four images", { timeout: 120_000 }, async (name) => {
    const wasm = await createWasmBackend({ threads: 1 });
    const { input, layer, heads }: ModelEntry = models[name];
    const net = build(layer(), { backend: wasm, seed: 1 });
    const x = images(wasm, 4, ...input);
    const labels = tensor(Int32Array.of(0, 1, 2, 3), { backend: wasm });
    const optimizer = sgd(net.parameters(), { lr: rates[name] ?? 0.005, momentum: 0.9 });
    const loss = () => {
      const output = logitsOf(net.forward(x));
      return heads.length > 0 ? crossEntropy(output, labels) : mseLoss(output, x);
    };
    const losses: number[] = [];
    for (let step = 0; step < 6; step++) losses.push(await optimizer.step(loss).item());
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(Math.min(...losses.slice(-3))).toBeLessThan(losses[0] as number);
    wasm.dispose();
  });
});
