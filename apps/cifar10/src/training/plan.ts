/** What a run comes to in steps, and the short runs that test a set-up instead of training it. */
import { type ImageDataset, subset } from "@striate/data";
import { stepsOf } from "@striate/train";
import { ConfigError } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import type { TrainingData } from "./data.js";

export interface Steps {
  readonly perEpoch: number;
  /** In all epochs. */
  readonly total: number;
}

/** The last batch of an epoch is left out where it would be smaller. @throws ConfigError if there would be no step. */
export const planSteps = ({ epochs, batchSize }: Pick<Config, "epochs" | "batchSize">, count: number): Steps => {
  const perEpoch = Math.floor(count / batchSize);
  if (perEpoch === 0) throw new ConfigError(`batchSize is ${batchSize}, more than the ${count} training images`);
  const total = stepsOf(epochs, perEpoch);
  if (total === 0)
    throw new ConfigError(
      `epochs is ${epochs}, less than one step of ${batchSize} images; an epoch has ${perEpoch} steps`,
    );
  return { perEpoch, total };
};

/** The first images, at most `count` of them. */
const first = (dataset: ImageDataset, count: number): ImageDataset =>
  subset(
    dataset,
    Array.from({ length: Math.min(count, dataset.count) }, (_, i) => i),
  );

/** Steps and other batches of `--fast-dev-run`. */
const dev = { steps: 3, evaluated: 200 } as const;

/** Every stage of a run on a few batches. @throws ConfigError for data smaller than a batch */
export const shortened = (
  config: Config,
  { training, validation = training }: TrainingData,
  test: ImageDataset,
): { readonly config: Config; readonly data: Required<TrainingData>; readonly test: ImageDataset } => ({
  config: { ...config, epochs: 1, validateEvery: 1 },
  data: {
    training: first(training, dev.steps * config.batchSize),
    validation: first(validation, dev.evaluated),
  },
  test: first(test, dev.evaluated),
});

/** A net that learns at all learns a few batches by heart, if nothing is done against it. */
export const overfitting = (
  config: Config,
  { training }: TrainingData,
  batches: number,
): { readonly config: Config; readonly training: ImageDataset } => ({
  config: {
    ...config,
    augment: {
      ...config.augment,
      flip: "none",
      crop: null,
      brightness: 0,
      contrast: 0,
      cutout: null,
      erasing: null,
      lighting: null,
    },
    mix: null,
    loss: { ...config.loss, labelSmoothing: 0 },
    l1: 0,
    lookahead: null,
    ema: null,
    epochs: Math.max(config.epochs, Math.ceil(overfitSteps / batches)),
    optimizer: withoutDecay(config.optimizer),
  },
  training: first(training, batches * config.batchSize),
});

/** So many steps are enough for every network here. */
const overfitSteps = 500;

/** What counts as nearly zero: the mean cross-entropy of the images that were learnt by heart. */
export const overfitLoss = 0.05;

const withoutDecay = (optimizer: Config["optimizer"]): Config["optimizer"] => ({
  ...optimizer,
  weightDecay: 0,
  ...("rest" in optimizer && { rest: { ...optimizer.rest, weightDecay: 0 } }),
});
