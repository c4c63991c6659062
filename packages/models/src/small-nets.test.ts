import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, crossEntropy, mseLoss, noGrad, scope, type Tensor, tensor } from "@striate/core";
import type { Layer } from "@striate/nn";
import { sgd } from "@striate/optim";
import { beforeEach, describe, expect, test } from "vitest";
import {
  combinationEntropy,
  combinedNet,
  lenet5,
  locallyConnectedNet,
  maxoutNetwork,
  stateShapes,
  summary,
  transposedAutoencoder,
  unpoolingAutoencoder,
} from "./index.js";
import { gradcheckNet, make, values, wave } from "./testing/nets.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const shapesOf = (layer: Layer): Record<string, readonly number[]> =>
  Object.fromEntries([...stateShapes(layer)].map(([name, { shape }]) => [name, shape]));

const smallMaxout = maxoutNetwork({ widths: [2, 2, 2, 3], pieces: [2, 3], dropout: [0, 0], classes: 3 });

const classifiers: readonly (readonly [string, Layer, input: readonly [number, number, number]])[] = [
  ["lenet5", lenet5({ classes: 3 }), [3, 32, 32]],
  ["lenet5, grey 28x28", lenet5({ channels: 1, size: 28, classes: 3 }), [1, 28, 28]],
  ["maxoutNetwork", smallMaxout, [3, 32, 32]],
  ["locallyConnectedNet", locallyConnectedNet({ widths: [2, 2], classes: 3 }), [3, 32, 32]],
  ["combinedNet", combinedNet({ widths: [3, 2], classes: 3 }), [3, 32, 32]],
];

describe.each(classifiers)("%s", (_, layer, input) => {
  test("has the gradients of finite differences", async () => {
    await gradcheckNet(make(layer, backend), wave(backend, 1, ...input), (y) => y, 4);
  });

  test("learns", () => {
    const net = make(layer, backend);
    const x = wave(backend, 3, ...input);
    const labels = tensor([0, 1, 2], { backend, dtype: "int32" });
    const loss = (): Tensor => crossEntropy(net.forward(x), labels);
    const before = sgd(net.parameters(), { lr: 0.005 }).step(loss);
    expect(values(noGrad(loss))[0]).toBeLessThan(values(before)[0] as number);
  });
});

describe("lenet5", () => {
  test.each([
    [{}, [3, 32, 32], 62_006],
    [{ channels: 1 }, [1, 32, 32], 61_706],
    [{ channels: 1, size: 28 }, [1, 28, 28], 61_706],
  ] as const)("with %j has as many parameters as published", (options, input, parameters) => {
    expect(summary(lenet5(options), input).parameters).toBe(parameters);
  });

  test("has the names of a plain sequence", () => {
    expect(Object.keys(shapesOf(lenet5()))).toEqual(
      ["0", "3", "7", "9", "11"].flatMap((name) => [`${name}.weight`, `${name}.bias`]),
    );
  });

  test("refuses another size", () => {
    expect(() => lenet5({ size: 30 as never })).toThrow(ArgumentError);
    expect(() => lenet5({ size: 30 as never })).toThrow("lenet5: size is 30, expected 28 or 32");
  });
});

describe("maxoutNetwork", () => {
  test("is the authors' for CIFAR-10", () => {
    const { layers, parameters } = summary(maxoutNetwork(), [3, 32, 32]);
    const output = (name: string): unknown => layers.find((row) => row.name === name)?.output;
    expect(["conv1", "max1", "pool1", "conv2", "pool2", "conv3", "pool3", "fc1", "max4", "fc2"].map(output)).toEqual([
      [192, 33, 33],
      [96, 33, 33],
      [96, 16, 16],
      [384, 15, 15],
      [192, 7, 7],
      [384, 9, 9],
      [192, 5, 5],
      [2500],
      [500],
      [10],
    ]);
    const convolutions = 192 * (3 * 64 + 1) + 384 * (96 * 64 + 1) + 384 * (192 * 25 + 1);
    expect(parameters).toBe(convolutions + 2500 * (4800 + 1) + 10 * 501);
  });

  test("drops in training only", () => {
    const net = make(maxoutNetwork({ widths: [2, 2, 2, 3], classes: 3 }), backend);
    const run = (): number[] => values(noGrad(() => net.forward(wave(backend, 1, 3, 32, 32))));
    expect(run()).not.toEqual(run());
    net.eval();
    expect(run()).toEqual(run());
  });
});

describe("locallyConnectedNet", () => {
  test("has a kernel for every position, or one for all, and the same connections", () => {
    const own = summary(locallyConnectedNet(), [3, 32, 32]);
    const shared = summary(locallyConnectedNet({ shared: true }), [3, 32, 32]);
    const head = 10 * (32 * 36 + 1);
    expect(own.parameters).toBe(14 * 14 * 16 * (75 + 1) + 6 * 6 * 32 * (144 + 1) + head);
    expect(shared.parameters).toBe(16 * (75 + 1) + 32 * (144 + 1) + head);
    expect([own.parameters, shared.parameters]).toEqual([416_906, 17_386]);
    expect(own.connections).toBe(shared.connections);
    expect(own.connections).toBe(own.parameters);
  });

  test("is the convolutional network where all positions have its kernel", () => {
    const options = { widths: [2, 3], classes: 3 } as const;
    const shared = make(locallyConnectedNet({ ...options, shared: true }), backend);
    const own = make(locallyConnectedNet(options), backend);
    scope(() => {
      const given = shared.namedParameters();
      for (const [name, parameter] of own.namedParameters()) {
        const value = (given.get(name) as Tensor).detach();
        if (value.rank === 4) parameter.assign(value.expand(parameter.shape));
        else if (parameter.rank === 3) parameter.assign(value.reshape([-1, 1, 1]).expand(parameter.shape));
        else parameter.assign(value);
      }
      const x = wave(backend, 2, 3, 32, 32);
      const [a, b] = [shared, own].map((net) => values(net.forward(x))) as [number[], number[]];
      a.forEach((value, i) => {
        expect(b[i]).toBeCloseTo(value, 10);
      });
    });
  });
});

describe("combinationEntropy", () => {
  /** A network of which only the scores of its combinations are known. */
  const scored = (rows: readonly (readonly number[])[], name = "conv2.combination") => {
    const scores = tensor(rows.flat(), {
      backend,
      shape: [rows.length, rows[0]?.length ?? 0],
      dtype: "float64",
      requiresGrad: true,
    });
    return { scores, net: { namedParameters: () => new Map([[name, scores]]) } };
  };

  test("is λ log(inputs) a map at the mean of all, and 0 where a map takes one", () => {
    expect(values(combinationEntropy(scored([[1, 1, 1, 1]]).net, 0.5))[0]).toBeCloseTo(0.5 * Math.log(4), 12);
    const decided = combinationEntropy(
      scored(
        [
          [900, 0, 0],
          [0, 0, 900],
        ],
        "combination",
      ).net,
      2,
    );
    expect(Math.abs(values(decided)[0] as number)).toBe(0);
  });

  test("drives maps towards one input, which Σ|alpha| does not", () => {
    const { scores, net } = scored([
      [0.3, 0.1, -0.2],
      [0, 0.4, 0.1],
    ]);
    const sumOfAbsolutes = sgd([scores], { lr: 1 });
    const before = values(scores);
    sumOfAbsolutes.step(() => scores.softmax(1).abs().sum()).dispose();
    values(scores).forEach((value, i) => {
      expect(value).toBeCloseTo(before[i] as number, 12);
    });
    const optimizer = sgd([scores], { lr: 1 });
    for (let step = 0; step < 200; step++) optimizer.step(() => combinationEntropy(net, 1)).dispose();
    const alphas = values(scores.softmax(1));
    expect(alphas[0]).toBeGreaterThan(0.95);
    expect(alphas[4]).toBeGreaterThan(0.95);
  });

  test("reaches the combinations of a network", async () => {
    const net = make(combinedNet({ widths: [3, 2] }), backend);
    await gradcheckNet(net, wave(backend, 1, 3, 32, 32), (y) => y.sum().add(combinationEntropy(net, 0.3)), 4);
  });

  test("refuses a bad λ, and a network without combinations", () => {
    for (const lambda of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => combinationEntropy(scored([[1]]).net, lambda)).toThrow(
        new ArgumentError(`combinationEntropy: lambda is ${lambda}, expected a finite number >= 0`),
      );
    expect(() => combinationEntropy(scored([[1]], "conv.weight").net, 1)).toThrow(
      new ArgumentError("combinationEntropy: no layer of the network has combinations"),
    );
  });
});

describe.each([
  ["unpoolingAutoencoder", unpoolingAutoencoder],
  ["transposedAutoencoder", transposedAutoencoder],
] as const)("%s", (name, autoencoder) => {
  test("gives an image of the same shape", () => {
    const net = make(autoencoder({ channels: 2, widths: [3, 4, 5] }), backend);
    expect(net.forward(wave(backend, 2, 2, 16, 8)).shape).toEqual([2, 2, 16, 8]);
  });

  test("has the gradients of finite differences", async () => {
    const net = make(autoencoder({ channels: 1, widths: [2, 3] }), backend);
    await gradcheckNet(net, wave(backend, 1, 1, 8, 8));
  });

  test("learns the image", () => {
    const net = make(autoencoder({ channels: 1, widths: [4] }), backend);
    const x = wave(backend, 2, 1, 8, 8);
    const optimizer = sgd(net.parameters(), { lr: 0.1 });
    const loss = (): Tensor => mseLoss(net.forward(x), x);
    const before = optimizer.step(loss);
    for (let step = 0; step < 20; step++) optimizer.step(loss).dispose();
    expect(values(noGrad(loss))[0]).toBeLessThan(0.7 * (values(before)[0] as number));
  });

  test("refuses no stages", () => {
    expect(() => autoencoder({ widths: [] })).toThrow(
      new ArgumentError(`${name}: widths is empty, expected one stage at least`),
    );
  });
});

test("the switches say where a value was, and bring odd sizes back", () => {
  const net = make(unpoolingAutoencoder({ channels: 1, widths: [2, 2] }), backend);
  expect(net.forward(wave(backend, 1, 1, 7, 9)).shape).toEqual([1, 1, 7, 9]);
  expect(() =>
    make(transposedAutoencoder({ channels: 1, widths: [2, 2] }), backend).forward(wave(backend, 1, 1, 6, 8)),
  ).toThrow("transposedAutoencoder: a map of 3x4 is pooled, expected height and width to be even");
});
