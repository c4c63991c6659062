/** How the networks are trained: everything that a preset fixes. */
import { crossEntropy, type Tensor } from "@striate/core";
import type { AugmentOptions, ImageDataset } from "@striate/data";
import { build, type Context, type Layer, type Module } from "@striate/nn";
import { adamw, lookahead, type Optimizer, oneCycleLr, piecewiseLinearLr, sgd } from "@striate/optim";
import type { Callback } from "@striate/train";
import { ann, lenet5, speedNet, type Widths } from "./networks.js";
import type { Views } from "./views.js";
import { whiteningFilters } from "./whitening.js";

export interface Preset {
  /** One line for people. */
  readonly summary: string;
  readonly epochs: number;
  readonly batchSize: number;
  /** Of each test image. */
  readonly views: Views;
  readonly recipe: Recipe;
}

export interface Plan {
  /** In all epochs; at least 1. */
  readonly steps: number;
  readonly batchSize: number;
  readonly training: ImageDataset;
}

/** A network that is ready to be trained. */
export interface Prepared {
  readonly net: Module;
  readonly optimizer: Optimizer;
  readonly loss: (logits: Tensor, labels: Tensor) => Tensor;
  readonly reduction: "mean" | "sum";
  readonly augment: AugmentOptions;
  readonly callbacks: readonly Callback[];
  /** Called once after the last step. */
  finish(): void;
  /** Frees everything, the network included. */
  dispose(): void;
}

export type Recipe = (plan: Plan, context: Context) => Prepared;

interface OneCycleRecipe {
  readonly maxLr: number;
  readonly optimizer: (params: readonly Tensor[], lr: number) => Optimizer;
  readonly augment: AugmentOptions;
}

/** The one-cycle policy (L. Smith, arXiv 1803.09820): few epochs go far. */
const oneCycle =
  (layer: Layer, { maxLr, optimizer: makeOptimizer, augment }: OneCycleRecipe): Recipe =>
  (plan, context) => {
    const net = build(layer, context);
    const optimizer = makeOptimizer(net.parameters(), maxLr);
    const lr = oneCycleLr(maxLr, { totalSteps: plan.steps, pctStart: 0.2 });
    const schedule: Callback = {
      beforeStep: ({ step }) => {
        for (const group of optimizer.groups) group.lr = lr(step);
      },
    };
    return {
      net,
      optimizer,
      loss: (logits, labels) => crossEntropy(logits, labels),
      reduction: "mean",
      augment,
      callbacks: [schedule],
      finish: () => {},
      dispose: () => {
        optimizer.dispose();
        net.dispose();
      },
    };
  };

/** Epochs after which the bias of the whitening layer stays as it is. */
const whiteningBiasEpochs = 3;

/** K. Jordan, arXiv 2404.00498, section 3 and appendix: rates are for sums over batches, in units of 1024 images. */
const speed =
  (widths: Widths): Recipe =>
  (plan, context) => {
    const momentum = 0.85;
    const kilostep = 1024 * (1 + 1 / (1 - momentum));
    const baseLr = 11.5 / kilostep;
    const decay = (0.0153 * plan.batchSize) / kilostep;

    const net = build(speedNet(widths, whiteningFilters(plan.training)), context);
    net.freeze((name) => name === "whiten.weight");

    const isNorm = (name: string): boolean => /norm\d\.bias$/.test(name);
    const select = (norms: boolean): Tensor[] =>
      [...net.namedParameters()].flatMap(([name, parameter]) => (isNorm(name) === norms ? [parameter] : []));
    const groups = [
      { params: select(true), lr: 64 * baseLr },
      { params: select(false), lr: baseLr },
    ];
    const optimizer = sgd(
      groups.map(({ params, lr }) => ({ params, lr, weightDecay: decay / lr })),
      { momentum, nesterov: true },
    );
    const factor = piecewiseLinearLr([
      [0, 0.2],
      [0.23 * plan.steps, 1],
      [plan.steps, 0.07],
    ]);
    const slow = lookahead({
      tensors: net.stateDict().values(),
      every: 5,
      decay: (step) => 0.95 ** 5 * (step / plan.steps) ** 3,
    });
    return {
      net,
      optimizer,
      loss: (logits, labels) => crossEntropy(logits, labels, { labelSmoothing: 0.2, reduction: "sum" }),
      reduction: "sum",
      augment: { flip: "alternating", crop: { padding: 2, mode: "reflect" } },
      callbacks: [
        {
          beforeEpoch: (epoch) => {
            if (epoch === whiteningBiasEpochs) net.freeze((name) => name === "whiten.bias");
          },
          beforeStep: ({ step }) => {
            optimizer.groups.forEach((group, i) => {
              group.lr = (groups[i] as { lr: number }).lr * factor(step);
            });
          },
          afterStep: () => slow.step(),
        },
      ],
      finish: () => slow.finish(),
      dispose: () => {
        slow.dispose();
        optimizer.dispose();
        net.dispose();
      },
    };
  };

export const presets = {
  ann: {
    summary: "fully connected 3072-512-10, the baseline that a CNN has to beat",
    epochs: 5,
    batchSize: 128,
    views: 1,
    recipe: oneCycle(ann(), {
      maxLr: 0.05,
      optimizer: (params, lr) => sgd(params, { lr, momentum: 0.9, nesterov: true, weightDecay: 5e-4 }),
      augment: { flip: "random" },
    }),
  },
  lenet5: {
    summary: "LeNet-5 for colour images",
    epochs: 2,
    batchSize: 16,
    views: 1,
    recipe: oneCycle(lenet5(), {
      maxLr: 3e-3,
      optimizer: (params, lr) => adamw(params, { lr, weightDecay: 0.1 }),
      augment: { flip: "random" },
    }),
  },
  fast70: { summary: "speed net 16/32/32", epochs: 2, batchSize: 512, views: 1, recipe: speed([16, 32, 32]) },
  fast80: { summary: "speed net 32/64/64", epochs: 4, batchSize: 512, views: 1, recipe: speed([32, 64, 64]) },
  fast90: { summary: "speed net 32/64/64, longer", epochs: 10, batchSize: 512, views: 1, recipe: speed([32, 64, 64]) },
  air93: { summary: "speed net 64/128/128", epochs: 11, batchSize: 1024, views: 6, recipe: speed([64, 128, 128]) },
  air94: {
    summary: "speed net 64/256/256 as published",
    epochs: 9.9,
    batchSize: 1024,
    views: 6,
    recipe: speed([64, 256, 256]),
  },
} as const satisfies Readonly<Record<string, Preset>>;

export type PresetName = keyof typeof presets;
