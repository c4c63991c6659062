import { crossEntropy, type Tensor } from "@striate/core";
import { type AugmentOptions, colourComponents, type ImageDataset } from "@striate/data";
import { build, type Context, type Module, type Output } from "@striate/nn";
import {
  chainTransforms,
  clippingNorm,
  clippingValue,
  ema as emaOf,
  type GradientTransform,
  l1Penalty,
  lookahead as lookaheadOf,
  type Optimizer,
} from "@striate/optim";
import type { Callback, Stateful } from "@striate/train";
import type { AugmentConfig, Config } from "../config/schema.js";
import { layerOf } from "./networks.js";
import { optimizerOf } from "./optimizer.js";
import { plateau } from "./plateau.js";
import { scheduleOf } from "./schedule.js";

export interface Plan {
  /** In all epochs; at least 1. */
  readonly steps: number;
  readonly training: ImageDataset;
}

/** A network and all that trains it, as the config says. */
export interface Assembled {
  readonly net: Module<(x: Tensor) => Output>;
  readonly optimizer: Optimizer;
  readonly loss: (logits: Tensor, targets: Tensor) => Tensor;
  readonly transform: GradientTransform | undefined;
  readonly augment: AugmentOptions;
  readonly callbacks: readonly Callback[];
  /** What a checkpoint holds besides the network and the optimizer. */
  readonly extras: Readonly<Record<string, Stateful>>;
  /** Runs with the weights that the run is judged by: the averages, where there are some. */
  judged<T>(run: () => Promise<T>): Promise<T>;
  /** Called once after the last step: the weights are then those that the run comes to. */
  finish(): void;
  /** As `finish`, for weights from before the last step, which were judged as they were. */
  adopt(): void;
  /** Frees everything, the network included. */
  dispose(): void;
}

/** Options of `batches`, from a config in which null is nothing. */
export const augmentOptions = (
  { lighting, crop, cutout, erasing, ...rest }: AugmentConfig,
  training: ImageDataset,
): AugmentOptions => ({
  ...rest,
  ...(crop && { crop }),
  ...(cutout && { cutout }),
  ...(erasing && { erasing }),
  ...(lighting && { lighting: { ...lighting, components: colourComponents(training) } }),
});

/** Leaves parameters alone from their epoch on, whatever the epoch that a run goes on in. */
const freezing = (net: Module<(x: Tensor) => Output>, rules: Config["freeze"]): Callback => {
  const apply = (epoch: number): void => {
    for (const { match, fromEpoch } of rules)
      if (epoch >= fromEpoch) {
        const pattern = new RegExp(match);
        net.freeze((name) => pattern.test(name));
      }
  };
  apply(0);
  return { beforeEpoch: apply };
};

const scheduling = (optimizer: Optimizer, config: Config, steps: number): Callback => {
  const schedules = optimizer.groups.map(({ lr }) => scheduleOf(config.schedule, lr, steps));
  return {
    beforeStep: ({ step }) => {
      optimizer.groups.forEach((group, i) => {
        group.lr = (schedules[i] as (step: number) => number)(step);
      });
    },
  };
};

const transformOf = (optimizer: Optimizer, { clip, l1 }: Config): GradientTransform | undefined => {
  const transforms = [
    ...(l1 > 0 ? [l1Penalty(optimizer, l1)] : []),
    ...(clip?.value === undefined ? [] : [clippingValue(clip.value)]),
    ...(clip?.norm === undefined ? [] : [clippingNorm(clip.norm)]),
  ];
  return transforms.length === 0 ? undefined : chainTransforms(...transforms);
};

/** @throws ConfigError where the config does not fit the network; nothing is left then. */
export const assemble = (config: Config, { steps, training }: Plan, context: Context): Assembled => {
  const net = build(layerOf(config.network, { classes: training.classes.length, training }), context);
  const owned: { dispose(): void }[] = [net];
  const own = <T extends { dispose(): void }>(made: T): T => {
    owned.unshift(made);
    return made;
  };
  const dispose = (): void => {
    for (const made of owned) made.dispose();
  };
  try {
    const optimizer = own(optimizerOf(net, config.optimizer, config.batchSize));
    const freeze = freezing(net, config.freeze);
    const onPlateau = config.schedule.name === "plateau" ? plateau(optimizer, config.schedule) : undefined;
    const { labelSmoothing, reduction } = config.loss;
    const slow = config.lookahead && own(slowWeights(net, config.lookahead, steps));
    const averages = config.ema && own(emaOf({ tensors: net.stateDict().values(), ...config.ema }));
    return {
      net,
      optimizer,
      loss: (logits, targets) => crossEntropy(logits, targets, { labelSmoothing, reduction }),
      transform: transformOf(optimizer, config),
      augment: augmentOptions(config.augment, training),
      callbacks: [
        freeze,
        onPlateau ?? scheduling(optimizer, config, steps),
        ...(slow ? [{ afterStep: () => slow.step() }] : []),
        ...(averages ? [{ afterStep: () => averages.step() }] : []),
      ],
      extras: {
        ...(onPlateau && { schedule: onPlateau }),
        ...(slow && { lookahead: slow }),
        ...(averages && { ema: averages }),
      },
      judged: (run) => (averages ? averages.withAverages(run) : run()),
      finish: () => {
        slow?.finish();
        averages?.finish();
      },
      adopt: () => averages?.finish(),
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
};

const slowWeights = (
  net: Module<(x: Tensor) => Output>,
  { every, decay, power }: NonNullable<Config["lookahead"]>,
  steps: number,
): ReturnType<typeof lookaheadOf> =>
  lookaheadOf({
    tensors: net.stateDict().values(),
    every,
    decay: (step) => decay * (step / steps) ** power,
  });
