/** Options of the command line that set a value of the config; the same under `STRIATE_…` in the environment. */
import { InvalidArgumentError } from "commander";
import type { Json } from "./merge.js";

export interface ConfigFlag {
  /** As commander wants it: `--batch-size <n>`. */
  readonly flags: string;
  readonly group: string;
  readonly description: string;
  /** Where the value goes in the config. */
  readonly path: readonly string[];
  /** From the text that was given; absent for switches, which set `value`. @throws InvalidArgumentError */
  readonly read?: (text: string) => Json;
  readonly value?: Json;
}

export const readNumber = (text: string): number => {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError("Expected a number.");
  return value;
};

const readText = (text: string): string => {
  // An empty text is a variable of the shell that is not set.
  if (text.trim() === "") throw new InvalidArgumentError("Expected a value that is not empty.");
  return text;
};

const seconds = { s: 1, m: 60, h: 3600 } as const;

/** 90, 90s, 2m, 1.5h in seconds. */
export const readDuration = (text: string): number => {
  const [, amount, unit = "s"] = /^(\d+(?:\.\d+)?)([smh])?$/.exec(text.trim()) ?? [];
  if (amount === undefined) throw new InvalidArgumentError("Expected a time such as 90s, 2m or 1.5h.");
  return Number(amount) * seconds[unit as keyof typeof seconds];
};

const number = { read: readNumber } as const;
const word = { read: readText } as const;

type Row = readonly [
  flags: string,
  path: string,
  description: string,
  value: { readonly read: (text: string) => Json } | { readonly value: Json },
];

const groups: Readonly<Record<string, readonly Row[]>> = {
  "The run:": [
    ["--network <name>", "network.name", "in place of the preset's; `models` lists them", word],
    [
      "--backend <name>",
      "backend",
      "what computes; wasm:measured tries which tile is fastest here: the weights are the same",
      word,
    ],
    ["--seed <n>", "seed", "of weights, order and augmentation; the same seed gives the same weights", number],
    ["--epochs <n>", "epochs", "passes over the training images; may be a fraction", number],
    ["--max-time <time>", "maxTime", "train no longer than 90s, 2m, 1h", { read: readDuration }],
    ["--batch-size <n>", "batchSize", "images a step", number],
    ["--accumulate <n>", "accumulate", "forward and backward passes that a step's batch is cut into", number],
  ],
  "Data:": [
    ["--data <folder>", "data.folder", "cifar-10-batches-bin or -py, or the folder above it", word],
    ["--offline", "data.offline", "never touch the network", { value: true }],
    [
      "--synthetic",
      "data.source",
      "generated images, for trying things out: the numbers mean nothing",
      { value: "synthetic" },
    ],
    [
      "--validation <n>",
      "data.validation",
      "training images held out (5000 where anything is selected by them)",
      number,
    ],
    ["--flip <how>", "augment.flip", "none, random or alternating", word],
    ["--crop <pixels>", "augment.crop.padding", "random crops after so much padding", number],
    ["--cutout <pixels>", "augment.cutout.size", "a square of this size is blanked in each image", number],
    ["--mixup <alpha>", "mix.mixupAlpha", "mixes pairs of images and labels", number],
    ["--cutmix <alpha>", "mix.cutmixAlpha", "pastes parts of other images", number],
  ],
  "Recipe:": [
    ["--optimizer <name>", "optimizer.name", "sgd, adam, adamw, rmsprop, adagrad, adadelta or muon", word],
    ["--lr <rate>", "optimizer.lr", "learning rate, in the preset's units", number],
    ["--momentum <m>", "optimizer.momentum", "of sgd, rmsprop and muon", number],
    ["--weight-decay <d>", "optimizer.weightDecay", "in the preset's units", number],
    ["--schedule <name>", "schedule.name", "constant, cosine, oneCycle, multiStep, exponential, polynomial …", word],
    ["--label-smoothing <s>", "loss.labelSmoothing", "share of the target spread over all classes", number],
    ["--l1 <strength>", "l1", "penalty on absolute values", number],
    ["--clip-norm <norm>", "clip.norm", "bound of the gradient's norm", number],
    ["--clip-value <v>", "clip.value", "bound of every value of the gradient", number],
    ["--ema <decay>", "ema.decay", "keep the averages of the weights", number],
  ],
  "Selection and safety:": [
    ["--select <which>", "select", "keep the weights of the last step, or the best on validation: last or best", word],
    [
      "--early-stopping <n>",
      "earlyStopping.patience",
      "so many validations in a row may bring no improvement; the next one ends training",
      number,
    ],
    ["--validate-every <n>", "validateEvery", "epochs from one validation to the next", number],
    ["--save-every <steps>", "checkpoint.every", "steps from one checkpoint to the next (default: an epoch)", number],
    ["--keep <n>", "checkpoint.keep", "checkpoints that are kept, at least 2", number],
    ["--non-finite <policy>", "nonFinite", "when the loss is not finite: stop, or skip the step", word],
    ["--views <n>", "views", "views of each test image to average over, 1 or 6", number],
  ],
};

export const configFlags: readonly ConfigFlag[] = Object.entries(groups).flatMap(([group, rows]) =>
  rows.map(([flags, path, description, value]) => ({ flags, group, description, path: path.split("."), ...value })),
);

/** `--batch-size <n>` → `--batch-size`. */
export const longName = ({ flags }: Pick<ConfigFlag, "flags">): string => flags.split(" ")[0] as string;

/** `STRIATE_BATCH_SIZE`. */
export const variableName = (flag: Pick<ConfigFlag, "flags">): string =>
  `STRIATE_${longName(flag).slice(2).replaceAll("-", "_").toUpperCase()}`;
