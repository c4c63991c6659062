import { ArgumentError, type Backend } from "@striate/core";
import type { ImageDataset } from "@striate/data";
import { expectIntegers, expectNonNegative } from "./size.js";

export type Solver = "sgdm" | "adam" | "rmsprop";

/** What an OutputFcn gets. NaN stands for what there is not. */
export interface OutputInfo {
  readonly State: "start" | "iteration" | "done";
  /** From 1; 0 at the start. */
  readonly Epoch: number;
  /** From 1; 0 at the start. */
  readonly Iteration: number;
  /** Seconds of training. */
  readonly TimeSinceStart: number;
  readonly TrainingLoss: number;
  /** Percent. */
  readonly TrainingAccuracy: number;
  /** Of this iteration, if it was validated. */
  readonly ValidationLoss: number;
  /** Percent. */
  readonly ValidationAccuracy: number;
  readonly BaseLearnRate: number;
}

/** `true`, or a promise of it, stops training behind the iteration that it was called for. */
export type OutputFcn = (info: OutputInfo) => unknown;

/** MATLAB's names and defaults; what differs is said. */
export interface TrainingOptions {
  readonly solver: Solver;
  /** Default 0.01 for sgdm, 0.001 for the others. */
  readonly InitialLearnRate: number;
  /** "piecewise": times LearnRateDropFactor every LearnRateDropPeriod epochs. Default "none". */
  readonly LearnRateSchedule: "none" | "piecewise";
  /** Default 0.1. */
  readonly LearnRateDropFactor: number;
  /** Epochs. Default 10. */
  readonly LearnRateDropPeriod: number;
  /** Of sgdm. Default 0.9. */
  readonly Momentum: number;
  /** Of adam. Default 0.9. */
  readonly GradientDecayFactor: number;
  /** Of adam and rmsprop. Default 0.999 and 0.9. */
  readonly SquaredGradientDecayFactor: number;
  /** Of adam and rmsprop. Default 1e-8. */
  readonly Epsilon: number;
  /** Default 1e-4; biases have a factor of 0. */
  readonly L2Regularization: number;
  /** Default Infinity. */
  readonly GradientThreshold: number;
  /** The norm of each parameter's gradient, of all together, or single values. Default "l2norm". */
  readonly GradientThresholdMethod: "l2norm" | "global-l2norm" | "absolute-value";
  /** Default 30. */
  readonly MaxEpochs: number;
  /** Default 128. The images that are left over in an epoch are not used in it. */
  readonly MiniBatchSize: number;
  /** Default "once". */
  readonly Shuffle: "once" | "never" | "every-epoch";
  readonly ValidationData: ImageDataset | undefined;
  /** Iterations; the first and the last one are validated too. Default 50. */
  readonly ValidationFrequency: number;
  /** So many validations whose loss is not below the least one stop training. Default Infinity. */
  readonly ValidationPatience: number;
  /** Which weights are given back. Default "last-iteration". */
  readonly OutputNetwork: "last-iteration" | "best-validation-loss";
  /** Print a table. Default true. */
  readonly Verbose: boolean;
  /** Iterations. Default 50. */
  readonly VerboseFrequency: number;
  /** Not MATLAB's: where the table goes, line by line. Default: the console. */
  readonly VerboseFcn: (line: string) => void;
  readonly OutputFcn: OutputFcn | readonly OutputFcn[] | undefined;
  /** Only "none": there are no windows here. An OutputFcn can draw. */
  readonly Plots: "none";
  /** Not "auto", "cpu" or "gpu" but the backend itself. Required. */
  readonly ExecutionEnvironment: Backend;
  /** Not MATLAB's: what `rng(seed)` fixes. Default 0. */
  readonly Seed: number;
}

const defaults = {
  LearnRateSchedule: "none",
  LearnRateDropFactor: 0.1,
  LearnRateDropPeriod: 10,
  Momentum: 0.9,
  GradientDecayFactor: 0.9,
  Epsilon: 1e-8,
  L2Regularization: 1e-4,
  GradientThreshold: Number.POSITIVE_INFINITY,
  GradientThresholdMethod: "l2norm",
  MaxEpochs: 30,
  MiniBatchSize: 128,
  Shuffle: "once",
  ValidationData: undefined,
  ValidationFrequency: 50,
  ValidationPatience: Number.POSITIVE_INFINITY,
  OutputNetwork: "last-iteration",
  Verbose: true,
  VerboseFrequency: 50,
  VerboseFcn: (line: string) => console.log(line),
  OutputFcn: undefined,
  Plots: "none",
  Seed: 0,
} as const satisfies Partial<TrainingOptions>;

const solverDefaults: {
  readonly [S in Solver]: Pick<TrainingOptions, "InitialLearnRate" | "SquaredGradientDecayFactor">;
} = {
  sgdm: { InitialLearnRate: 0.01, SquaredGradientDecayFactor: 0.9 },
  adam: { InitialLearnRate: 0.001, SquaredGradientDecayFactor: 0.999 },
  rmsprop: { InitialLearnRate: 0.001, SquaredGradientDecayFactor: 0.9 },
};

/** Which solvers know an option that not all know. */
const solversOf: Readonly<Record<string, readonly Solver[]>> = {
  Momentum: ["sgdm"],
  GradientDecayFactor: ["adam"],
  SquaredGradientDecayFactor: ["adam", "rmsprop"],
  Epsilon: ["adam", "rmsprop"],
};

const choices: Readonly<Record<string, readonly string[]>> = {
  LearnRateSchedule: ["none", "piecewise"],
  GradientThresholdMethod: ["l2norm", "global-l2norm", "absolute-value"],
  Shuffle: ["once", "never", "every-epoch"],
  OutputNetwork: ["last-iteration", "best-validation-loss"],
  Plots: ["none"],
};

const expectShares = (values: Readonly<Record<string, number>>): void => {
  for (const [name, value] of Object.entries(values))
    if (!(value >= 0 && value < 1))
      throw new ArgumentError(`trainingOptions: ${name} is ${value}, expected a number in [0, 1)`);
};

const isBackend = (value: unknown): value is Backend =>
  typeof value === "object" && value !== null && "kernels" in value && "caps" in value;

const expectKnown = (solver: Solver, given: Readonly<Record<string, unknown>>): void => {
  const known = ["InitialLearnRate", "SquaredGradientDecayFactor", "ExecutionEnvironment", ...Object.keys(defaults)];
  for (const name of Object.keys(given)) {
    if (!known.includes(name)) {
      const meant = known.find((other) => other.toLowerCase() === name.toLowerCase());
      throw new ArgumentError(
        `trainingOptions: there is no ${name}; ${meant ? `did you mean ${meant}?` : `there are ${known.sort().join(", ")}`}`,
      );
    }
    const solvers = solversOf[name];
    if (solvers && !solvers.includes(solver))
      throw new ArgumentError(`trainingOptions: ${name} is an option of ${solvers.join(" and ")}, not of ${solver}`);
  }
};

type Given = Partial<Omit<TrainingOptions, "solver" | "ExecutionEnvironment">> &
  Pick<TrainingOptions, "ExecutionEnvironment">;

/**
 * MATLAB's trainingOptions: a solver and name-value pairs.
 *
 * @throws ArgumentError naming the option, what it is and what is expected; also for one that the solver has not
 */
export const trainingOptions = (solver: Solver, given: Given): TrainingOptions => {
  if (!Object.hasOwn(solverDefaults, solver))
    throw new ArgumentError(
      `trainingOptions: the solver is ${JSON.stringify(solver)}, expected ${Object.keys(solverDefaults).join(", ")}`,
    );
  expectKnown(solver, given);
  const options: TrainingOptions = { solver, ...defaults, ...solverDefaults[solver], ...given };
  for (const [name, allowed] of Object.entries(choices)) {
    const value = options[name as keyof TrainingOptions];
    if (!allowed.includes(value as string))
      throw new ArgumentError(`trainingOptions: ${name} is ${JSON.stringify(value)}, expected ${allowed.join(", ")}`);
  }
  const { InitialLearnRate, LearnRateDropFactor, L2Regularization, Epsilon } = options;
  expectNonNegative("trainingOptions", { InitialLearnRate, LearnRateDropFactor, L2Regularization, Epsilon });
  const { Momentum, GradientDecayFactor, SquaredGradientDecayFactor } = options;
  expectShares({ Momentum, GradientDecayFactor, SquaredGradientDecayFactor });
  const { MaxEpochs, MiniBatchSize, LearnRateDropPeriod, ValidationFrequency, VerboseFrequency } = options;
  const counts = { MaxEpochs, MiniBatchSize, LearnRateDropPeriod, ValidationFrequency, VerboseFrequency };
  expectIntegers("trainingOptions", counts, 1);
  expectIntegers("trainingOptions", { Seed: options.Seed }, 0);
  const { GradientThreshold, ValidationPatience, ValidationData, OutputNetwork, ExecutionEnvironment } = options;
  if (!(GradientThreshold > 0))
    throw new ArgumentError(`trainingOptions: GradientThreshold is ${GradientThreshold}, expected a positive number`);
  if (ValidationPatience !== Number.POSITIVE_INFINITY) expectIntegers("trainingOptions", { ValidationPatience }, 1);
  if (OutputNetwork === "best-validation-loss" && !ValidationData)
    throw new ArgumentError('trainingOptions: OutputNetwork "best-validation-loss" needs ValidationData');
  if (!isBackend(ExecutionEnvironment))
    throw new ArgumentError(
      `trainingOptions: ExecutionEnvironment is ${JSON.stringify(ExecutionEnvironment)}, expected a backend, as await createWasmBackend() gives`,
    );
  return options;
};
