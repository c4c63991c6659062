/** What `--preset` names, as data in the config's schema. */
import type { JsonObject } from "./merge.js";

export interface Preset {
  /** One line for people. */
  readonly summary: string;
  /** Laid over `plain`. */
  readonly config: JsonObject;
}

/** What every preset starts from, and what a network without a preset of its own is trained by. */
export const plain: JsonObject = {
  preset: "plain",
  network: { name: "lenet5" },
  backend: "auto",
  seed: 0,
  epochs: 10,
  maxTime: null,
  batchSize: 128,
  accumulate: 1,
  data: { source: "cifar10", folder: null, offline: false, validation: null },
  augment: { flip: "random", crop: { padding: 4, mode: "zero" } },
  mix: null,
  loss: {},
  l1: 0,
  optimizer: { name: "sgd", lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  schedule: { name: "oneCycle", pctStart: 0.2 },
  clip: null,
  lookahead: null,
  ema: null,
  freeze: [],
  validateEvery: 1,
  select: null,
  monitor: "accuracy",
  earlyStopping: null,
  checkpoint: { every: null, keep: 2 },
  nonFinite: "stop",
  views: 1,
};

/** K. Jordan, arXiv 2404.00498, section 3 and appendix. */
const speed = (widths: readonly [number, number, number], rest: JsonObject): JsonObject => ({
  network: { name: "speed_net", options: { widths } },
  augment: { flip: "alternating", crop: { padding: 2, mode: "reflect" } },
  loss: { labelSmoothing: 0.2, reduction: "sum" },
  optimizer: {
    name: "sgd",
    units: "kilostep",
    lr: 11.5,
    momentum: 0.85,
    nesterov: true,
    weightDecay: 0.0153,
    groups: [{ match: "norm\\d\\.bias$", lrFactor: 64 }],
  },
  schedule: {
    name: "piecewiseLinear",
    points: [
      [0, 0.2],
      [0.23, 1],
      [1, 0.07],
    ],
  },
  lookahead: { every: 5, decay: 0.95 ** 5, power: 3 },
  freeze: [
    { match: "^whiten\\.weight$", fromEpoch: 0 },
    { match: "^whiten\\.bias$", fromEpoch: 3 },
  ],
  batchSize: 512,
  ...rest,
});

/** K. He et al., "Deep Residual Learning", 2015, section 4.2: rates, decay and augmentation; in fewer epochs. */
const residual = (name: string, epochs: number): JsonObject => ({
  network: { name },
  epochs,
  optimizer: {
    name: "sgd",
    lr: 0.1,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-4,
    groups: [{ match: "bn\\d*\\.|downsample\\.1\\.", weightDecay: 0 }],
  },
});

const vgg = (name: string): JsonObject => ({
  network: { name },
  epochs: 20,
  optimizer: { name: "sgd", lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
});

const presetTable = {
  plain: { summary: "SGD with one cycle of the learning rate, for any --network", config: {} },
  ann: {
    summary: "fully connected 3072-512-10, the baseline that a CNN has to beat",
    config: {
      network: { name: "ann" },
      epochs: 5,
      augment: { flip: "random", crop: null },
      optimizer: { name: "sgd", lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
    },
  },
  lenet5: {
    summary: "LeNet-5 for colour images",
    config: {
      network: { name: "lenet5" },
      epochs: 2,
      batchSize: 16,
      augment: { flip: "random", crop: null },
      optimizer: { name: "adamw", lr: 3e-3, weightDecay: 0.1 },
    },
  },
  fast70: { summary: "speed net 16/32/32, a minute on two cores", config: speed([16, 32, 32], { epochs: 2 }) },
  fast80: { summary: "speed net 32/64/64, two minutes", config: speed([32, 64, 64], { epochs: 2.5 }) },
  fast90: {
    summary: "speed net 32/64/64, ten minutes on two cores",
    config: speed([32, 64, 64], { epochs: 14, views: 6 }),
  },
  air93: {
    summary: "speed net 64/128/128",
    config: speed([64, 128, 128], { epochs: 11, batchSize: 1024, views: 6 }),
  },
  air94: {
    summary: "speed net 64/256/256 as published",
    config: speed([64, 256, 256], { epochs: 9.9, batchSize: 1024, views: 6 }),
  },
  resnet20: { summary: "ResNet-20", config: residual("resnet20", 20) },
  resnet32: { summary: "ResNet-32", config: residual("resnet32", 20) },
  resnet56: { summary: "ResNet-56", config: residual("resnet56", 20) },
  resnet110: {
    summary: "ResNet-110",
    config: { ...residual("resnet110", 30), schedule: { name: "cosine", warmup: 0.05 } },
  },
  resnet18_cifar: { summary: "ResNet-18 for small images", config: residual("resnet18_cifar", 20) },
  vgg11_bn_cifar: { summary: "VGG-11 with batch norms for small images", config: vgg("vgg11_bn_cifar") },
  vgg16_bn_cifar: { summary: "VGG-16 with batch norms for small images", config: vgg("vgg16_bn_cifar") },
  network_in_network: {
    summary: "Network in Network",
    config: {
      network: { name: "network_in_network" },
      epochs: 30,
      optimizer: { name: "sgd", lr: 0.05, momentum: 0.9, nesterov: true, weightDecay: 1e-4 },
      clip: { norm: 5 },
    },
  },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof presetTable;

export const presets: Readonly<Record<PresetName, Preset>> = presetTable;

export const presetNames: readonly string[] = Object.keys(presets);
