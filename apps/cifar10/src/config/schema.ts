/** All that makes a run, as data: two runs with equal configs on equal machines have equal weights. */
import { z } from "zod";
import { networkNames, networkOptions } from "../training/networks.js";
import {
  count,
  flag,
  nonNegative,
  object,
  oneOf,
  pattern,
  positive,
  share,
  shareBelow1,
  text,
  variants,
} from "./parts.js";

const network = object({
  name: oneOf(networkNames),
  /** Widths, dropout …: what the network can be told. */
  options: z.record(z.string(), z.json(), { error: "expected an object" }).default({}),
}).superRefine(({ name, options }, context) => {
  const result = networkOptions(name).safeParse(options);
  for (const { path, message } of result.error?.issues ?? [])
    context.addIssue({ code: "custom", path: ["options", ...path], message, input: options });
});

const data = object({
  source: oneOf(["cifar10", "synthetic"]),
  /** null: the cache, filled from the network where it is empty. */
  folder: text("a folder, or null").nullable(),
  offline: flag(),
  /** Training images held out; null for 5,000 where anything is selected by them, and none otherwise. */
  validation: count(0, 49_999).nullable(),
});

const augment = object({
  flip: oneOf(["none", "random", "alternating"]).default("none"),
  crop: object({ padding: count(1, 31), mode: oneOf(["reflect", "zero"]).default("reflect") })
    .nullable()
    .default(null),
  brightness: share().default(0),
  contrast: share().default(0),
  cutout: object({ size: count(1, 32) })
    .nullable()
    .default(null),
  erasing: object({ prob: share().default(0.5) })
    .nullable()
    .default(null),
  /** PCA colour jitter, by the standard deviation along the components. */
  lighting: object({ std: nonNegative().default(0.1) })
    .nullable()
    .default(null),
});

const mix = object({
  mixupAlpha: nonNegative().default(0),
  cutmixAlpha: nonNegative().default(0),
  prob: share().default(1),
  switchProb: share().default(0.5),
});

/** Parameters whose name matches, with hyperparameters of their own. The first group that matches has the parameter. */
const groups = z
  .array(
    object({
      match: pattern(),
      /** Times the rate of all. */
      lrFactor: nonNegative().default(1),
      /** In place of the weight decay of all. */
      weightDecay: nonNegative().optional(),
    }),
  )
  .default([]);

const weightDecay = nonNegative().default(0);

const optimizerShapes = {
  sgd: {
    lr: positive().default(0.01),
    momentum: shareBelow1().default(0),
    dampening: share().default(0),
    nesterov: flag().default(false),
    weightDecay,
    /**
     * "kilostep": `lr` and `weightDecay` are given as arXiv 2404.00498 gives them, for sums over batches and in units of
     * 1024 images, decay apart from the rate: with k = 1024·(1 + 1/(1 - momentum)), the rate is lr / k and the decay a
     * step weightDecay · batchSize / k.
     */
    units: oneOf(["plain", "kilostep"]).default("plain"),
  },
  adam: {
    lr: positive().default(1e-3),
    betas: z.tuple([shareBelow1(), shareBelow1()]).default([0.9, 0.999]),
    eps: positive().default(1e-8),
    weightDecay,
    amsgrad: flag().default(false),
  },
  adamw: {
    lr: positive().default(1e-3),
    betas: z.tuple([shareBelow1(), shareBelow1()]).default([0.9, 0.999]),
    eps: positive().default(1e-8),
    weightDecay: nonNegative().default(0.01),
    amsgrad: flag().default(false),
  },
  rmsprop: {
    lr: positive().default(1e-2),
    alpha: share().default(0.99),
    eps: positive().default(1e-8),
    weightDecay,
    momentum: shareBelow1().default(0),
    centered: flag().default(false),
  },
  adagrad: {
    lr: positive().default(1e-2),
    lrDecay: nonNegative().default(0),
    weightDecay,
    initialAccumulatorValue: nonNegative().default(0),
    eps: positive().default(1e-10),
  },
  adadelta: {
    lr: positive().default(1),
    rho: share().default(0.9),
    eps: positive().default(1e-6),
    weightDecay,
  },
} as const;

const plainOptimizers = [
  object({ name: z.literal("sgd"), ...optimizerShapes.sgd, groups }),
  object({ name: z.literal("adam"), ...optimizerShapes.adam, groups }),
  object({ name: z.literal("adamw"), ...optimizerShapes.adamw, groups }),
  object({ name: z.literal("rmsprop"), ...optimizerShapes.rmsprop, groups }),
  object({ name: z.literal("adagrad"), ...optimizerShapes.adagrad, groups }),
  object({ name: z.literal("adadelta"), ...optimizerShapes.adadelta, groups }),
] as const;

const plainOptimizerNames = Object.keys(optimizerShapes);

const optimizer = variants(
  [...plainOptimizerNames, "muon"],
  [
    ...plainOptimizers,
    /** Muon for the filters of convolutions, `rest` for everything else. */
    object({
      name: z.literal("muon"),
      lr: positive().default(0.02),
      momentum: shareBelow1().default(0.95),
      nesterov: flag().default(true),
      weightDecay,
      nsSteps: count(1, 20).default(5),
      adjustLr: oneOf(["original", "matchRmsAdamw", "none"]).default("original"),
      normalizeWeights: flag().default(false),
      /** Which filters; the default is every parameter of rank 4. */
      match: pattern().optional(),
      rest: variants(plainOptimizerNames, plainOptimizers),
    }),
  ],
);

/** Times are shares of the whole run, so that a schedule fits any number of epochs. */
const scheduleShapes = {
  constant: {},
  cosine: { end: share().default(0) },
  oneCycle: {
    pctStart: share().default(0.3),
    divFactor: positive().default(25),
    finalDivFactor: positive().default(1e4),
    annealStrategy: oneOf(["cos", "linear"]).default("cos"),
  },
  multiStep: {
    milestones: z.array(share(), { error: "expected a list of shares of the run" }),
    gamma: nonNegative().default(0.1),
  },
  /** `end`: the factor that the last step comes to. */
  exponential: { end: positive(1) },
  polynomial: { power: positive().default(1) },
  piecewiseLinear: {
    points: z
      .array(z.tuple([share(), nonNegative()]), { error: "expected a list of [share of the run, factor]" })
      .min(1),
  },
  /** By the validation loss; needs images held out. */
  plateau: {
    factor: shareBelow1().default(0.1),
    patience: count(0).default(10),
    threshold: nonNegative().default(1e-4),
    cooldown: count(0).default(0),
    minLr: nonNegative().default(0),
  },
} as const;

/** The first `warmup` of the run goes up to the schedule's first rate along a line. */
const warmup = shareBelow1().default(0);

const schedule = variants(Object.keys(scheduleShapes), [
  object({ name: z.literal("constant"), ...scheduleShapes.constant, warmup }),
  object({ name: z.literal("cosine"), ...scheduleShapes.cosine, warmup }),
  object({ name: z.literal("oneCycle"), ...scheduleShapes.oneCycle }),
  object({ name: z.literal("multiStep"), ...scheduleShapes.multiStep, warmup }),
  object({ name: z.literal("exponential"), ...scheduleShapes.exponential, warmup }),
  object({ name: z.literal("polynomial"), ...scheduleShapes.polynomial, warmup }),
  object({ name: z.literal("piecewiseLinear"), ...scheduleShapes.piecewiseLinear }),
  object({ name: z.literal("plateau"), ...scheduleShapes.plateau }),
]);

export const configSchema = object({
  /** The preset that the config grew from: a name for people and folders. */
  preset: text("a preset"),
  network,
  backend: text("a backend"),
  seed: count(0),
  /** Passes over the training images; may be a fraction. */
  epochs: positive(1e6),
  /** Seconds of training, after which it ends well wherever it is; null for no limit. */
  maxTime: positive().nullable(),
  /** Images a step; each step is made of `accumulate` forward and backward passes. */
  batchSize: count(1, 1_000_000),
  accumulate: count(1, 10_000),
  data,
  augment,
  mix: mix.nullable(),
  loss: object({
    labelSmoothing: shareBelow1().default(0),
    reduction: oneOf(["mean", "sum"]).default("mean"),
    /** Of the auxiliary classifiers, in networks that have some. */
    auxiliaryWeight: nonNegative().default(0.3),
  }),
  /** A penalty on absolute values; L2 is the optimizer's weight decay. */
  l1: nonNegative(),
  optimizer,
  schedule,
  /** Bounds of the gradient: of the norm of all together, or of each value. */
  clip: object({ norm: positive().optional(), value: positive().optional() }).nullable(),
  /**
   * Every so many steps the weights fall back on their average, of decay `decay`·(share of the run)^power: M. Zhang et al.,
   * "Lookahead Optimizer", 2019, with a schedule as that of arXiv 2404.00498.
   */
  lookahead: object({
    every: count(1).default(5),
    decay: shareBelow1().default(0.5),
    power: nonNegative().default(0),
  }).nullable(),
  /** Averages of the weights, which are validated and kept in place of the weights. */
  ema: object({ decay: shareBelow1().default(0.999), warmup: flag().default(false) }).nullable(),
  /** Parameters that are left alone from an epoch on, counted from 0. */
  freeze: z.array(object({ match: pattern(), fromEpoch: count(0).default(0) })),
  /** Epochs from one validation to the next. */
  validateEvery: count(1),
  /** Which weights a run comes to: those of its last step, or the best on validation; null for the best if it may stop early. */
  select: oneOf(["last", "best"]).nullable(),
  /** What the best is the best by. */
  monitor: oneOf(["accuracy", "loss"]),
  earlyStopping: object({ patience: count(0).default(5), minDelta: nonNegative().default(0) }).nullable(),
  checkpoint: object({
    /** Steps from one to the next; null for one an epoch. */
    every: count(1).nullable(),
    keep: count(2, 1_000_000),
  }),
  nonFinite: oneOf(["stop", "skip"]),
  /** Of each test image, averaged. */
  views: z.union([z.literal(1), z.literal(6)], {
    error: ({ input }) => `is ${JSON.stringify(input)}, expected 1 or 6`,
  }),
});

export type Config = z.infer<typeof configSchema>;
export type OptimizerConfig = Config["optimizer"];
export type PlainOptimizerConfig = Exclude<OptimizerConfig, { name: "muon" }>;
export type ScheduleConfig = Config["schedule"];
export type AugmentConfig = Config["augment"];
