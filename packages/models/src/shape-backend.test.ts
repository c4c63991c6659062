import { backward, memoryUsage, ones, scope, tensor, UnsupportedError, zeros } from "@striate/core";
import { batchNorm2d, build, conv2d, type Layer, linear, partialConv2d, sequential } from "@striate/nn";
import { describe, expect, test } from "vitest";
import { shapeBackend, stateShapes, vgg19 } from "./index.js";

describe("shapeBackend", () => {
  test("hears of each kernel that core calls, whole", () => {
    const calls: string[] = [];
    const backend = shapeBackend(({ op, inputs, outputs }) => {
      const [output] = outputs;
      calls.push(`${op} ${inputs.map((input) => input?.shape.join("x")).join(" ")} -> ${output?.shape.join("x")}`);
    });
    const x = ones([2, 3, 8, 8], { backend });
    const weight = zeros([4, 3, 3, 3], { backend, requiresGrad: true });
    scope(() => backward(x.conv2d(weight).relu().sum()));
    expect(calls).toEqual([
      "fill  -> 2x3x8x8",
      "fill  -> 4x3x3x3",
      "conv2d 2x3x8x8 4x3x3x3 -> 2x4x6x6",
      "unary 2x4x6x6 -> 2x4x6x6",
      "reduce 2x4x6x6 -> ",
      "fill  -> ",
      "expand 1x1x1x1 -> 2x4x6x6",
      "reluGrad 2x4x6x6 2x4x6x6 -> 2x4x6x6",
      "conv2dGradWeight 2x3x8x8 2x4x6x6 -> 4x3x3x3",
    ]);
  });

  test("still counts what is alive, and still refuses what does not fit", () => {
    const backend = shapeBackend();
    const x = zeros([64, 1024, 1024], { backend });
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, bytes: 64 * 2 ** 22 });
    x.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
    expect(() => zeros([2, 3], { backend }).matmul(zeros([4, 5], { backend }))).toThrow(/a \[2, 3\] has 3 columns/);
  });

  test("has no values to read", async () => {
    const backend = shapeBackend();
    const x = tensor([1, 2, 3], { backend });
    await expect(x.data()).rejects.toThrow(UnsupportedError);
    await expect(x.data()).rejects.toThrow(/shapes.*its tensors have no values/);
    expect(() => x.dataSync()).toThrow(UnsupportedError);
  });
});

describe("stateShapes", () => {
  test("lists what a built network's state dict has, initialisers unasked", () => {
    const never = () => {
      throw new Error("asked");
    };
    const layer: Layer = sequential([
      conv2d(3, 4, 3, { weightInit: never, biasInit: never }),
      batchNorm2d(4),
      partialConv2d(4, [[0, 1], [2]], 3, { weightInit: never, biasInit: never }),
      linear(4, 2, { weightInit: never, bias: false }),
    ]);
    expect([...stateShapes(layer)].map(([name, { shape, dtype }]) => [name, dtype, shape])).toEqual([
      ["0.weight", "float32", [4, 3, 3, 3]],
      ["0.bias", "float32", [4]],
      ["1.weight", "float32", [4]],
      ["1.bias", "float32", [4]],
      ["1.running_mean", "float32", [4]],
      ["1.running_var", "float32", [4]],
      ["1.num_batches_tracked", "int32", []],
      ["2.weight", "float32", [3, 3, 3]],
      ["2.bias", "float32", [2]],
      ["3.weight", "float32", [2, 4]],
    ]);
  });

  test("of VGG-19 takes none of its 575 MB", () => {
    const before = process.memoryUsage().arrayBuffers;
    const state = stateShapes(vgg19());
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
    expect(state.size).toBe(38);
    const net = build(vgg19(), { backend: shapeBackend(), seed: 0, initialise: false });
    expect(net.parameters().reduce((sum, { size }) => sum + size, 0)).toBe(143_667_240);
  });
});
