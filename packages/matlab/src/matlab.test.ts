import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage } from "@striate/core";
import { batches, type ImageDataset, splitDataset, syntheticDataset } from "@striate/data";
import { evaluate } from "@striate/train";
import { beforeEach, describe, expect, test } from "vitest";
import * as matlab from "./index.js";
import { assemble } from "./network.js";

const {
  averagePooling2dLayer,
  batchNormalizationLayer,
  classificationLayer,
  classify,
  convolution2dLayer,
  crossChannelNormalizationLayer,
  dropoutLayer,
  fullyConnectedLayer,
  globalAveragePooling2dLayer,
  groupedConvolution2dLayer,
  imageInputLayer,
  maxPooling2dLayer,
  predict,
  reluLayer,
  softmaxLayer,
  trainingOptions,
  trainNetwork,
} = matlab;

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const whole = syntheticDataset({ count: 68, seed: 1, classes: 3, channels: 1, height: 8, width: 8, noise: 0.3 });
const { train: data, validation: ValidationData } = splitDataset(whole, { validation: 18, seed: 1 });

/** MATLAB's first example, on smaller images. */
const layers = (classes = 3): matlab.MatlabLayer[] => [
  imageInputLayer([8, 8, 1]),
  convolution2dLayer(3, 4, { Padding: "same" }),
  batchNormalizationLayer(),
  reluLayer(),
  maxPooling2dLayer(2, { Stride: 2 }),
  fullyConnectedLayer(classes),
  softmaxLayer(),
  classificationLayer(),
];

const options = (given: Partial<matlab.TrainingOptions> = {}, solver: matlab.Solver = "sgdm"): matlab.TrainingOptions =>
  trainingOptions(solver, {
    ExecutionEnvironment: backend,
    MiniBatchSize: 16,
    MaxEpochs: 2,
    Verbose: false,
    ...given,
  });

const weights = async ({ module }: matlab.SeriesNetwork): Promise<unknown> =>
  Promise.all([...module.stateDict()].map(async ([name, t]) => [name, [...(await t.data())]]));

describe("trainNetwork", () => {
  test.each(["sgdm", "adam", "rmsprop"] as const)("learns with %s, and classifies", async (solver) => {
    const { net, info } = await trainNetwork(
      data,
      layers(),
      options({ MaxEpochs: 12, Shuffle: "every-epoch", InitialLearnRate: 0.01 }, solver),
    );
    // 50 images make three batches of 16 an epoch; the rest is left out.
    expect(info.TrainingLoss).toHaveLength(36);
    expect(info.TrainingAccuracy.at(-1)).toBeGreaterThan(90);
    const { YPred, scores } = await classify(net, ValidationData);
    const right = YPred.filter((name, i) => name === whole.classes[ValidationData.labels[i] as number]).length;
    expect(right / ValidationData.count).toBeGreaterThan(0.8);
    for (const row of scores) expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
    const others = await predict(net, ValidationData, { MiniBatchSize: 5 });
    expect(others.map((row) => [...row])).toEqual(
      scores.map((row) => Array.from(row, (value) => expect.closeTo(value, 5))),
    );
    expect(net.Layers.map(({ Name }) => Name)).toEqual([
      "imageinput",
      "conv",
      "batchnorm",
      "relu",
      "maxpool",
      "fc",
      "softmax",
      "classoutput",
    ]);
    expect([...net.module.stateDict().keys()]).toEqual([
      "conv.weight",
      "conv.bias",
      "batchnorm.weight",
      "batchnorm.bias",
      "batchnorm.running_mean",
      "batchnorm.running_var",
      "batchnorm.num_batches_tracked",
      "fc.weight",
      "fc.bias",
    ]);
    net.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("is the same twice, and another with another Seed", async () => {
    const run = async (Seed: number): Promise<unknown> =>
      weights((await trainNetwork(data, layers(), options({ Seed }))).net);
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  test("a learning rate of 0 leaves what was drawn; factors of 0 leave a layer", async () => {
    const still = await trainNetwork(data, layers(), options({ InitialLearnRate: 0 }));
    const [, ...rest] = layers();
    const frozen = [
      imageInputLayer([8, 8, 1]),
      convolution2dLayer(3, 4, { Padding: "same", WeightLearnRateFactor: 0, BiasLearnRateFactor: 0 }),
      ...rest.slice(1),
    ];
    const partly = await trainNetwork(data, frozen, options({ L2Regularization: 0.1 }));
    const [a, b] = (await Promise.all([weights(still.net), weights(partly.net)])) as [unknown[], unknown[]];
    expect(b.slice(0, 2)).toEqual(a.slice(0, 2));
    expect(b[2]).not.toEqual(a[2]);
  });

  test("LearnRateSchedule piecewise drops by epochs", async () => {
    const { info } = await trainNetwork(
      data,
      layers(),
      options({
        MaxEpochs: 4,
        InitialLearnRate: 0.1,
        LearnRateSchedule: "piecewise",
        LearnRateDropFactor: 0.5,
        LearnRateDropPeriod: 2,
      }),
    );
    expect(info.BaseLearnRate).toEqual([...new Array(6).fill(0.1), ...new Array(6).fill(0.05)]);
  });

  test("Shuffle once repeats the order, never keeps the data's, every-epoch draws anew", async () => {
    // Without learning or noise of batches, the loss of an iteration tells which images it saw.
    const losses = async (Shuffle: matlab.TrainingOptions["Shuffle"]): Promise<readonly number[]> => {
      const [input, , , ...rest] = layers() as [matlab.MatlabLayer, ...matlab.MatlabLayer[]];
      const given = options({ Shuffle, InitialLearnRate: 0 });
      return (await trainNetwork(data, [input, ...rest], given)).info.TrainingLoss;
    };
    const [once, never, every] = await Promise.all([losses("once"), losses("never"), losses("every-epoch")]);
    expect(once.slice(3)).toEqual(once.slice(0, 3));
    expect(never.slice(3)).toEqual(never.slice(0, 3));
    expect(every.slice(3)).not.toEqual(every.slice(0, 3));
    expect(never).not.toEqual(once);
  });

  test.each(["l2norm", "global-l2norm", "absolute-value"] as const)("GradientThresholdMethod %s", async (method) => {
    const given = { InitialLearnRate: 1, Momentum: 0, L2Regularization: 0, MaxEpochs: 1, MiniBatchSize: 50 };
    const run = async (more: object) => (await trainNetwork(data, layers(), options({ ...given, ...more }))).net;
    const [before, clipped] = await Promise.all([
      run({ InitialLearnRate: 0 }),
      run({ GradientThreshold: 1e-3, GradientThresholdMethod: method }),
    ]);
    const [a, b] = [before, clipped].map(({ module }) => module.parameters());
    const changes = await Promise.all(
      (a ?? []).map(async (p, i) => {
        const [from, to] = await Promise.all([p.data(), b?.[i]?.data()]);
        return Array.from(from, (value, j) => (to?.[j] as number) - value);
      }),
    );
    const norms = changes.map((change) => Math.hypot(...change));
    const most = Math.max(...changes.flat().map(Math.abs));
    if (method === "l2norm") for (const norm of norms) expect(norm).toBeLessThan(1.001e-3);
    if (method === "l2norm") expect(Math.max(...norms)).toBeGreaterThan(0.99e-3);
    if (method === "global-l2norm") expect(Math.hypot(...norms)).toBeCloseTo(1e-3, 5);
    if (method === "absolute-value") expect(most).toBeCloseTo(1e-3, 6);
  });
});

describe("validation", () => {
  test("at the first, every so many and the last iteration", async () => {
    const { info } = await trainNetwork(
      data,
      layers(),
      options({ ValidationData, ValidationFrequency: 4, MaxEpochs: 3 }),
    );
    const validated = info.ValidationLoss.flatMap((loss, i) => (Number.isNaN(loss) ? [] : [i + 1]));
    expect(validated).toEqual([1, 4, 8, 9]);
    expect(info.FinalValidationLoss).toBe(info.ValidationLoss[8]);
    expect(info.FinalValidationAccuracy).toBe(info.ValidationAccuracy[8]);
    expect(info).toMatchObject({ OutputNetworkIteration: 9, StopReason: "max epochs completed" });
  });

  test("is of the weights of its iteration", async () => {
    const { net, info } = await trainNetwork(data, layers(), options({ ValidationData }));
    const scores = await predict(net, ValidationData);
    const loss = scores.reduce((sum, row, i) => sum - Math.log(row[ValidationData.labels[i] as number] as number), 0);
    expect(info.FinalValidationLoss).toBeCloseTo(loss / ValidationData.count, 5);
  });

  test("ValidationPatience stops, and best-validation-loss gives the best weights back", async () => {
    // A rate at which the loss goes up.
    const given = {
      ValidationData,
      ValidationFrequency: 1,
      ValidationPatience: 3,
      InitialLearnRate: 30,
      MaxEpochs: 50,
    };
    const { net, info } = await trainNetwork(
      data,
      layers(),
      options({ ...given, OutputNetwork: "best-validation-loss" }),
    );
    const losses = info.ValidationLoss;
    const best = losses.indexOf(Math.min(...losses));
    expect(losses.length).toBe(best + 1 + 3);
    expect(info.OutputNetworkIteration).toBe(best + 1);
    expect(info.StopReason).toContain("no better validation loss for 3 validations");
    const found = batches(ValidationData, { backend, size: 16, normalize: net.normalization });
    expect((await evaluate(net.module, found)).loss).toBe(losses[best]);
  });
});

describe("OutputFcn and Verbose", () => {
  test("hears of the start, of each iteration and of the end", async () => {
    const heard: matlab.OutputInfo[] = [];
    const OutputFcn = (info: matlab.OutputInfo): void => void heard.push(info);
    const { info } = await trainNetwork(data, layers(), options({ OutputFcn, ValidationData, ValidationFrequency: 2 }));
    expect(heard.map(({ State, Epoch, Iteration }) => [State, Epoch, Iteration])).toEqual([
      ["start", 0, 0],
      ...[1, 2, 3].map((i) => ["iteration", 1, i]),
      ...[4, 5, 6].map((i) => ["iteration", 2, i]),
      ["done", 2, 6],
    ]);
    expect(heard.slice(1, -1).map(({ TrainingLoss }) => TrainingLoss)).toEqual(info.TrainingLoss);
    expect(heard.slice(1, -1).map(({ ValidationLoss }) => ValidationLoss)).toEqual(info.ValidationLoss);
  });

  test.each([
    ["a function", (at: number) => (info: matlab.OutputInfo) => info.Iteration === at],
    ["a promise", (at: number) => async (info: matlab.OutputInfo) => info.Iteration === at],
    ["one of several", (at: number) => [() => false, (info: matlab.OutputInfo) => info.Iteration === at]],
  ])("true stops behind the iteration: %s", async (_, make) => {
    for (const at of [0, 1, 4]) {
      const { info } = await trainNetwork(data, layers(), options({ OutputFcn: make(at) }));
      expect(info.TrainingLoss).toHaveLength(at);
      expect(info).toMatchObject({ StopReason: "stopped by OutputFcn", OutputNetworkIteration: at });
    }
  });

  test("what it throws ends training, and nothing is left", async () => {
    const failure = new Error("as arranged");
    const OutputFcn = ({ Iteration }: matlab.OutputInfo): void => {
      if (Iteration === 2) throw failure;
    };
    await expect(trainNetwork(data, layers(), options({ OutputFcn }))).rejects.toBe(failure);
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test("Verbose prints a table", async () => {
    const lines: string[] = [];
    const given = { Verbose: true, VerboseFrequency: 4, VerboseFcn: (line: string) => void lines.push(line) };
    const { info } = await trainNetwork(data, layers(), options({ ...given, ValidationData }));
    const rows = lines.filter((line) => /^\| +\d/.test(line));
    expect(rows.map((row) => row.split("|").slice(1, 3).map(Number))).toEqual([
      [1, 1],
      [2, 4],
      [2, 6],
    ]);
    expect(rows[0]).toContain((info.TrainingLoss[0] as number).toFixed(4));
    expect(new Set(lines.slice(0, -1).map(({ length }) => length)).size).toBe(1);
    expect(lines.at(-1)).toBe("Training finished: max epochs completed.");
  });
});

describe("layers", () => {
  const sizes = (middle: readonly matlab.MatlabLayer[], input: [number, number, number] = [32, 32, 3]): unknown =>
    assemble([imageInputLayer(input), ...middle, fullyConnectedLayer(10), softmaxLayer(), classificationLayer()])
      .placed.slice(1, -3)
      .map(({ Name, OutputSize }) => [Name, ...OutputSize]);

  test("sizes are MATLAB's", () => {
    expect(
      sizes([
        convolution2dLayer(5, 20),
        maxPooling2dLayer(2),
        convolution2dLayer([3, 5], 8, { Stride: [2, 1], Padding: "same" }),
        averagePooling2dLayer(3, { Stride: 2, Padding: "same" }),
        groupedConvolution2dLayer(3, 2, "channel-wise", { Padding: [1, 0, 2, 0] }),
        convolution2dLayer(3, 4, { DilationFactor: 2, Name: "wide" }),
        globalAveragePooling2dLayer(),
      ]),
    ).toEqual([
      ["conv_1", 28, 28, 20],
      ["maxpool", 27, 27, 20],
      ["conv_2", 14, 27, 8],
      ["avgpool", 7, 14, 8],
      ["groupedconv", 6, 14, 16],
      ["wide", 2, 10, 4],
      ["gapool", 1, 1, 4],
    ]);
  });

  test("padding same of an even window has its odd zero behind, and every layer runs", async () => {
    const more = [
      imageInputLayer([8, 8, 1], { Normalization: "zscore" }),
      convolution2dLayer(2, 4, {
        Padding: "same",
        Stride: 3,
        WeightsInitializer: "he",
        BiasInitializer: "narrow-normal",
      }),
      crossChannelNormalizationLayer(3),
      matlab.leakyReluLayer(0.1),
      matlab.eluLayer(),
      matlab.clippedReluLayer(6),
      groupedConvolution2dLayer(3, 1, 2, { Padding: 1 }),
      matlab.tanhLayer(),
      matlab.sigmoidLayer(),
      matlab.swishLayer(),
      matlab.geluLayer(),
      maxPooling2dLayer(2, { Padding: "same" }),
      matlab.flattenLayer(),
      fullyConnectedLayer(6),
      batchNormalizationLayer(),
      dropoutLayer(0.2),
      fullyConnectedLayer(3),
      softmaxLayer(),
      classificationLayer(),
    ];
    const { net, info } = await trainNetwork(data, more, options());
    expect(info.TrainingLoss.every(Number.isFinite)).toBe(true);
    expect(net.Layers.slice(0, 3).map(({ OutputSize }) => OutputSize)).toEqual([
      [8, 8, 1],
      [3, 3, 4],
      [3, 3, 4],
    ]);
    net.dispose();
    const pooled = [imageInputLayer([8, 8, 1]), matlab.globalMaxPooling2dLayer(), ...layers().slice(5)];
    (await trainNetwork(data, pooled, options())).net.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
  });

  test.each([
    ["zerocenter", (value: number, mean: number) => value - 255 * mean],
    ["zscore", (value: number, mean: number, std: number) => (value / 255 - mean) / std],
    ["rescale-symmetric", (value: number) => (2 * value) / 255 - 1],
    ["rescale-zero-one", (value: number) => value / 255],
    ["none", (value: number) => value],
  ] as const)("Normalization %s", async (Normalization, expected) => {
    const some = [imageInputLayer([8, 8, 1], { Normalization }), ...layers().slice(5)];
    const { net } = await trainNetwork(data, some, options({ MaxEpochs: 1 }));
    const { mean, std } = net.normalization;
    for (const value of [0, 100, 255])
      expect((value / 255 - (mean[0] as number)) / (std[0] as number)).toBeCloseTo(
        expected(value, data.mean[0] as number, data.std[0] as number),
        9,
      );
  });

  test.each<[string, () => unknown, string]>([
    ["no input", () => assemble(layers().slice(1)), "the first layer is conv, expected an imageInputLayer"],
    ["no end", () => assemble(layers().slice(0, -1)), "the last layers are fc, softmax"],
    ["nothing", () => assemble([]), "the first layer is missing"],
    ["an input in between", () => assemble([imageInputLayer([8, 8, 1]), ...layers()]), "layer 2 is imageinput"],
    ["images at the end", () => sizes([]) && assemble([...layers().slice(0, 5), ...layers().slice(6)]), "is 4x4x4"],
    ["a name twice", () => sizes([reluLayer({ Name: "a" }), reluLayer({ Name: "a" })]), 'two layers are called "a"'],
    ["a window too large", () => sizes([convolution2dLayer(33, 1)]), "convolution2dLayer conv: a window of [33, 33]"],
    ["a window on vectors", () => sizes([fullyConnectedLayer(4), maxPooling2dLayer(2)]), "its input is a vector of 4"],
    ["global pooling of vectors", () => sizes([fullyConnectedLayer(4), globalAveragePooling2dLayer()]), "gapool"],
    ["groups", () => sizes([groupedConvolution2dLayer(1, 1, 2)]), "2 groups do not divide 3 channels"],
    ["filters", () => convolution2dLayer(3, 0), "convolution2dLayer: numFilters is 0"],
    ["filterSize", () => convolution2dLayer(0.5, 1), "filterSize is 0.5"],
    ["Padding", () => sizes([maxPooling2dLayer(2, { Padding: "full" as "same" })]), 'Padding is "full"'],
    ["Stride", () => sizes([maxPooling2dLayer(2, { Stride: 0 })]), "Stride is 0"],
    ["factors", () => fullyConnectedLayer(1, { BiasL2Factor: -1 }), "BiasL2Factor is -1"],
    ["WeightsInitializer", () => fullyConnectedLayer(1, { WeightsInitializer: "toString" as "he" }), "toString"],
    ["InputSize", () => imageInputLayer([8, 8] as unknown as [1, 1, 1]), "InputSize is [8,8]"],
    ["Normalization", () => imageInputLayer([8, 8, 1], { Normalization: "mean" as "none" }), 'Normalization is "mean"'],
    ["ceiling", () => matlab.clippedReluLayer(0), "ceiling is 0"],
  ])("refuses %s", (_, act, message) => {
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(message);
  });
});

describe("trainingOptions", () => {
  test("defaults are MATLAB's", () => {
    const of = (solver: matlab.Solver) => trainingOptions(solver, { ExecutionEnvironment: backend });
    expect(of("sgdm")).toMatchObject({
      InitialLearnRate: 0.01,
      Momentum: 0.9,
      L2Regularization: 1e-4,
      MaxEpochs: 30,
      MiniBatchSize: 128,
      Shuffle: "once",
      LearnRateSchedule: "none",
      LearnRateDropFactor: 0.1,
      LearnRateDropPeriod: 10,
      ValidationFrequency: 50,
      ValidationPatience: Number.POSITIVE_INFINITY,
      Verbose: true,
      VerboseFrequency: 50,
      GradientThreshold: Number.POSITIVE_INFINITY,
      GradientThresholdMethod: "l2norm",
      Plots: "none",
    });
    expect(of("adam")).toMatchObject({
      InitialLearnRate: 0.001,
      GradientDecayFactor: 0.9,
      SquaredGradientDecayFactor: 0.999,
      Epsilon: 1e-8,
    });
    expect(of("rmsprop")).toMatchObject({ InitialLearnRate: 0.001, SquaredGradientDecayFactor: 0.9, Epsilon: 1e-8 });
  });

  test.each<[object, string]>([
    [{ InitialLearnRate: -1 }, "trainingOptions: InitialLearnRate is -1"],
    [{ Momentum: 1 }, "Momentum is 1, expected a number in [0, 1)"],
    [{ L2Regularization: Number.NaN }, "L2Regularization is NaN"],
    [{ MaxEpochs: 0 }, "MaxEpochs is 0"],
    [{ MiniBatchSize: 1.5 }, "MiniBatchSize is 1.5"],
    [{ Shuffle: "sometimes" }, 'Shuffle is "sometimes", expected once, never, every-epoch'],
    [{ LearnRateSchedule: "cosine" }, "LearnRateSchedule"],
    [{ Plots: "training-progress" }, 'Plots is "training-progress", expected none'],
    [{ GradientThreshold: 0 }, "GradientThreshold is 0"],
    [{ GradientThresholdMethod: "max" }, "GradientThresholdMethod"],
    [{ ValidationPatience: 0 }, "ValidationPatience is 0"],
    [{ ValidationFrequency: 0 }, "ValidationFrequency is 0"],
    [{ OutputNetwork: "best" }, "OutputNetwork"],
    [{ OutputNetwork: "best-validation-loss" }, "needs ValidationData"],
    [{ Seed: -1 }, "Seed is -1"],
    [{ ExecutionEnvironment: "gpu" }, 'ExecutionEnvironment is "gpu", expected a backend'],
    [{ maxEpochs: 3 }, "there is no maxEpochs; did you mean MaxEpochs?"],
    [{ Learning: 3 }, "there is no Learning; there are Epsilon"],
    [{ Epsilon: 1 }, "Epsilon is an option of adam and rmsprop, not of sgdm"],
  ])("refuses %o", (given, message) => {
    const act = (): unknown => trainingOptions("sgdm", { ExecutionEnvironment: backend, ...given });
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(message);
  });

  test("refuses another solver", () => {
    expect(() => trainingOptions("lbfgs" as "adam", { ExecutionEnvironment: backend })).toThrow(
      'the solver is "lbfgs", expected sgdm, adam, rmsprop',
    );
  });
});

test.each<[string, ImageDataset, readonly matlab.MatlabLayer[], string]>([
  [
    "another size",
    syntheticDataset({ count: 3, seed: 1 }),
    layers(),
    "data has images of 32x32x3, expected the InputSize 8x8x1",
  ],
  ["other classes", data, layers(4), "the softmaxLayer gets 4 channels, expected one for each of 3 classes"],
])("data that does not fit is refused: %s", async (_, images, given, message) => {
  await expect(trainNetwork(images, given, options())).rejects.toThrow(message);
  expect(memoryUsage(backend).storages).toBe(0);
});

test("so is what is validated, predicted or classified", async () => {
  const other = syntheticDataset({ count: 3, seed: 1, classes: 3 });
  await expect(trainNetwork(data, layers(), options({ ValidationData: other }))).rejects.toThrow("ValidationData has");
  const { net } = await trainNetwork(data, layers(), options({ MaxEpochs: 1 }));
  await expect(predict(net, other)).rejects.toThrow("predict: data has images of 32x32x3");
  await expect(classify(net, data, { MiniBatchSize: 0 })).rejects.toThrow(ArgumentError);
});
