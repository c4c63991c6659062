import { createCpuBackend } from "@striate/backend-cpu";
import { maximum, memoryUsage, ShapeError, type Tensor } from "@striate/core";
import {
  avgPool2d,
  batchNorm2d,
  build,
  combinedConv2d,
  conv2d,
  convTranspose2d,
  dropout,
  flatten,
  type Layer,
  linear,
  locallyConnected2d,
  maxPool2d,
  maxPool2dWithIndices,
  maxUnpool2d,
  relu,
  sequential,
  upsample2d,
} from "@striate/nn";
import { describe, expect, test } from "vitest";
import {
  alexnet,
  formatSummary,
  googlenet,
  type LayerSummary,
  lenet5Of1998,
  resnet18,
  resnet18Cifar,
  resnet20,
  resnet50,
  speedNet,
  summary,
  vgg11,
  vgg16,
  vgg19,
} from "./index.js";

/** Of a network of this one layer. */
const only = (layer: Layer, input: readonly number[]): LayerSummary => {
  const { layers } = summary(sequential([layer]), input);
  expect(layers.length).toBe(1);
  return layers[0] as LayerSummary;
};

const last = (layers: readonly LayerSummary[], ending: string): LayerSummary | undefined =>
  layers.findLast(({ name }) => name.endsWith(ending));

describe("published counts", () => {
  test("LeNet-5 has those of its paper, layer by layer", () => {
    const { layers, parameters, connections } = summary(lenet5Of1998(), [1, 32, 32]);
    const found = layers
      .filter((row) => row.connections > 0)
      .map((row) => [row.output, row.parameters, row.connections, row.receptiveField]);
    expect(found).toEqual([
      [[6, 28, 28], 156, 122_304, [5, 5]],
      [[6, 14, 14], 12, 5_880, [6, 6]],
      [[16, 10, 10], 1_516, 151_600, [14, 14]],
      [[16, 5, 5], 32, 2_000, [16, 16]],
      [[120, 1, 1], 48_120, 48_120, [32, 32]],
      [[84], 10_164, 10_164, [32, 32]],
      [[10], 0, 840, [32, 32]],
    ]);
    expect([parameters, connections]).toEqual([60_000, 340_908]);
    expect(layers.reduce((sum, { buffers }) => sum + buffers, 0)).toBe(840);
  });

  test.each([
    ["ResNet-18 for CIFAR", resnet18Cifar(), [3, 32, 32], 555],
    ["the speed net 16/32/32", speedNet({ widths: [16, 32, 32] }), [3, 32, 32], 6.1],
    ["the speed net 32/64/64", speedNet({ widths: [32, 64, 64] }), [3, 32, 32], 17.1],
    ["the speed net 64/128/128", speedNet({ widths: [64, 128, 128] }), [3, 32, 32], 54.2],
    ["the speed net 64/256/256", speedNet(), [3, 32, 32], 118.2],
    // K. He et al., 2016, tables 1 and 6; the torchvision documentation's giga operations.
    ["ResNet-20", resnet20(), [3, 32, 32], 40.6],
    ["ResNet-18", resnet18(), [3, 224, 224], 1814],
    ["ResNet-50", resnet50(), [3, 224, 224], 4089],
    ["ResNet-50 v1", resnet50({ version: "v1" }), [3, 224, 224], 3858],
    ["AlexNet", alexnet(), [3, 224, 224], 714],
    ["VGG A", vgg11(), [3, 224, 224], 7609],
    ["VGG E", vgg19(), [3, 224, 224], 19_632],
  ] as const)("%s", (_, layer, input, millions) => {
    const { multiplyAdds } = summary(layer, input);
    // Some count a few biases, and all round.
    expect(Math.abs(multiplyAdds / (millions * 1e6) - 1)).toBeLessThan(millions < 10 ? 0.01 : 0.002);
  });

  // A. Araujo et al., "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019.
  test.each([
    ["AlexNet", alexnet(), "features.12", 195],
    ["VGG-16", vgg16(), "features.30", 212],
    ["ResNet-18", resnet18(), "layer4.1", 435],
  ] as const)("the receptive field of %s", (_, layer, name, pixels) => {
    const { layers } = summary(layer, [3, 224, 224]);
    expect(layers.find((row) => row.name === name)?.receptiveField).toEqual([pixels, pixels]);
  });
});

describe("a layer", () => {
  test("that convolves", () => {
    const layer = conv2d(4, 6, [3, 5], { groups: 2, stride: [2, 1], padding: 1, dilation: [1, 2] });
    expect(only(layer, [4, 9, 11])).toEqual({
      name: "0",
      operation: "conv2d 3x5/2x1, 2 groups",
      output: [6, 5, 5],
      parameters: 6 * 2 * 15 + 6,
      buffers: 0,
      connections: 25 * (6 * 2 * 15 + 6),
      multiplyAdds: 25 * 6 * 2 * 15,
      receptiveField: [3, 9],
    });
  });

  test.each([
    ["a bias is a link", linear(12, 5), [12], 65, 60],
    ["none is none", linear(12, 5, { bias: false }), [12], 60, 60],
    ["a linear layer at each of 7 places", linear(12, 5), [7, 12], 7 * 65, 7 * 60],
    ["a pool's window", maxPool2d(3, { stride: 2 }), [2, 7, 7], 2 * 9 * 9, 0],
    ["a mean's", avgPool2d(2), [2, 6, 6], 2 * 9 * 4, 0],
    ["weights at every position", locallyConnected2d(2, 3, 3, { outputSize: 4 }), [2, 6, 6], 16 * 3 * 19, 16 * 3 * 18],
    ["an image that is spread", convTranspose2d(2, 3, 3, { stride: 2 }), [2, 4, 4], 16 * 54 + 3 * 81, 16 * 54],
    ["each input map once, then combinations", combinedConv2d(2, 3, 3), [2, 4, 4], 4 * (18 + 6 + 3), 4 * (18 + 6)],
    ["functions of single elements", relu(), [2, 4, 4], 0, 0],
    ["a norm", batchNorm2d(2), [2, 4, 4], 0, 0],
    ["what evaluation passes on", dropout(), [2, 4, 4], 0, 0],
  ] as const)("%s", (_, layer, input, connections, multiplyAdds) => {
    expect(only(layer, input)).toMatchObject({ connections, multiplyAdds });
  });

  test("that is called twice counts twice, its parameters once", () => {
    const twice: Layer = (m) => {
      const conv = m.child("conv", conv2d(2, 2, 3, { padding: 1 }));
      return (x) => conv(conv(x));
    };
    expect(summary(twice, [2, 4, 4]).layers).toEqual([
      expect.objectContaining({
        name: "conv",
        parameters: 38,
        connections: 2 * 16 * 38,
        multiplyAdds: 2 * 16 * 36,
        receptiveField: [5, 5],
      }),
    ]);
  });

  test("that only training uses comes last, without an output", () => {
    const { layers } = summary(googlenet({ classes: 10 }), [3, 64, 64]);
    const unused = layers.filter(({ output }) => output === null).map(({ name }) => name);
    expect(unused).toEqual(layers.slice(-unused.length).map(({ name }) => name));
    expect(unused).toContain("aux1.fc2");
    expect(last(layers, "aux1.fc2")).toMatchObject({ parameters: 10_250, connections: 0, multiplyAdds: 0 });
  });

  test("what a network does outside of its layers has a row too", () => {
    const { layers } = summary(
      (m) => {
        const conv = m.child("conv", conv2d(1, 1, 3));
        return (x: Tensor) => maximum(conv(x).maxPool2d({ kernel: 2 }), 0);
      },
      [1, 6, 6],
    );
    expect(layers.map(({ name, operation, output }) => [name, operation, output])).toEqual([
      ["conv", "conv2d 3x3", [1, 4, 4]],
      ["", "maxPool2d 2x2/2", [1, 2, 2]],
    ]);
  });
});

describe("a receptive field", () => {
  const fieldOf = (layers: readonly Layer[], input: readonly number[]) =>
    summary(sequential(layers), input).layers.at(-1)?.receptiveField;

  test.each([
    ["grows by the steps before", [conv2d(1, 1, 3, { stride: 2 }), conv2d(1, 1, 3)], [7, 7]],
    ["is all that a linear layer gets", [conv2d(1, 1, 3, { stride: 2 }), flatten(), linear(49, 2)], [15, 15]],
    [
      "is followed through unshared weights",
      [locallyConnected2d(1, 1, 3, { outputSize: 14 }), conv2d(1, 1, 3)],
      [5, 5],
    ],
    [
      "is followed through a transposed convolution",
      [convTranspose2d(1, 1, 2, { stride: 2 }), conv2d(1, 1, 3)],
      [2, 2],
    ],
    [
      "is that of the widest branch",
      [
        (m) => {
          const branches = [1, 5, 3].map((kernel) => m.child(`${kernel}`, conv2d(1, 1, kernel, { padding: "same" })));
          return (x) => branches.map((branch) => branch(x)).reduce((a, b) => a.add(b));
        },
      ],
      [5, 5],
    ],
    ["is lost in an enlarged image", [conv2d(1, 1, 3), upsample2d({ scale: 2 })], null],
    [
      "is lost where windows are put back",
      [
        (m) => {
          const pool = m.child("pool", maxPool2dWithIndices(2));
          const unpool = m.child("unpool", maxUnpool2d(2));
          const conv = m.child("conv", conv2d(1, 1, 3));
          return (x) => {
            const { y, indices } = pool(x);
            return conv(unpool(y, indices));
          };
        },
      ],
      null,
    ],
  ] as [string, Layer[], number[] | null][])("%s", (_, layers, expected) => {
    expect(fieldOf(layers, [1, 16, 16])).toEqual(expected);
  });

  test("is none of a vector's", () => {
    expect(fieldOf([linear(8, 2)], [8])).toBe(null);
  });
});

describe("summary", () => {
  const net = sequential([conv2d(3, 8, 3), batchNorm2d(8), relu(), flatten(), linear(288, 10)]);

  test("of a module is that of its layer, and leaves the module alone", async () => {
    const backend = await createCpuBackend();
    const module = build(net, { backend, seed: 1 });
    const before = memoryUsage(backend);
    expect(summary(module, [3, 8, 8])).toEqual(summary(net, [3, 8, 8]));
    expect(memoryUsage(backend)).toEqual(before);
    expect(module.training).toBe(true);
  });

  test("of an input that does not fit names the layer", () => {
    expect(() => summary(net, [3, 9, 9])).toThrow(ShapeError);
    expect(() => summary(net, [3, 9, 9])).toThrow(/\(in layer 4\)$/);
  });

  test("as text", () => {
    expect(`\n${formatSummary(summary(net, [3, 8, 8]))}\n`).toBe(`
layer    operation   output  parameters  connections  multiply-adds  sees
(input)              3x8x8
0        conv2d 3x3  8x6x6          224        8,064          7,776   3x3
1        batchNorm   8x6x6           16                               3x3
2        relu        8x6x6                                            3x3
3                    288                                              3x3
4        matmul      10           2,890        2,890          2,880   8x8
total                             3,130       10,954         10,656
`);
  });
});
