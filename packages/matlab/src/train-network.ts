import { ArgumentError, crossEntropy, type Tensor } from "@striate/core";
import { batches, type ImageDataset } from "@striate/data";
import {
  adam,
  clipGradNorm,
  clippingNorm,
  clippingValue,
  type GradientTransform,
  type Optimizer,
  rmsprop,
  sgd,
} from "@striate/optim";
import { type Callback, earlyStopping, evaluate, fit } from "@striate/train";
import type { MatlabLayer } from "./layers.js";
import { type Assembled, assemble, createNetwork, expectData, type SeriesNetwork } from "./network.js";
import type { OutputInfo, Solver, TrainingOptions } from "./training-options.js";
import { verboseTable } from "./verbose-table.js";

/** How training went, an entry an iteration. NaN where there was no validation. */
export interface TrainInfo {
  readonly TrainingLoss: readonly number[];
  /** Percent. */
  readonly TrainingAccuracy: readonly number[];
  readonly ValidationLoss: readonly number[];
  /** Percent. */
  readonly ValidationAccuracy: readonly number[];
  readonly BaseLearnRate: readonly number[];
  /** Of the last validation. */
  readonly FinalValidationLoss: number;
  readonly FinalValidationAccuracy: number;
  /** The iteration whose weights the network has. */
  readonly OutputNetworkIteration: number;
  /** Why training ended: "max epochs completed", or what stopped it. */
  readonly StopReason: string;
}

/** Parameters that share their factors are one group. */
const createOptimizer = (
  { module }: SeriesNetwork,
  { factorsOf }: Assembled,
  options: TrainingOptions,
): { optimizer: Optimizer; setRate: (rate: number) => void } => {
  const groups = new Map<string, { readonly params: Tensor[]; readonly learnRate: number; readonly l2: number }>();
  for (const [name, parameter] of module.namedParameters()) {
    const factors = factorsOf(name);
    const key = `${factors.learnRate} ${factors.l2}`;
    const group = groups.get(key) ?? { params: [], ...factors };
    group.params.push(parameter);
    groups.set(key, group);
  }
  const list = [...groups.values()];
  const { solver, L2Regularization, Momentum, GradientDecayFactor, SquaredGradientDecayFactor, Epsilon } = options;
  const shared = list.map(({ params, l2 }) => ({ params, lr: 0, weightDecay: L2Regularization * l2 }));
  const solvers: { readonly [S in Solver]: () => Optimizer<{ lr: number }> } = {
    sgdm: () => sgd(shared, { momentum: Momentum }),
    adam: () => adam(shared, { betas: [GradientDecayFactor, SquaredGradientDecayFactor], eps: Epsilon }),
    rmsprop: () => rmsprop(shared, { alpha: SquaredGradientDecayFactor, eps: Epsilon }),
  };
  const optimizer = solvers[solver]();
  return {
    optimizer,
    setRate: (rate) => {
      optimizer.groups.forEach((group, i) => {
        group.lr = rate * (list[i]?.learnRate as number);
      });
    },
  };
};

const clippingOf = ({ GradientThreshold, GradientThresholdMethod }: TrainingOptions): GradientTransform | undefined => {
  if (GradientThreshold === Number.POSITIVE_INFINITY) return undefined;
  const methods: { readonly [K in TrainingOptions["GradientThresholdMethod"]]: () => GradientTransform } = {
    l2norm: () => (grads) => grads.map((grad) => clipGradNorm([grad], GradientThreshold).grads[0] as Tensor),
    "global-l2norm": () => clippingNorm(GradientThreshold),
    "absolute-value": () => clippingValue(GradientThreshold),
  };
  return methods[GradientThresholdMethod]();
};

/** Of an epoch, from 0. */
const learnRate = (
  { InitialLearnRate, LearnRateSchedule, LearnRateDropFactor, LearnRateDropPeriod }: TrainingOptions,
  epoch: number,
): number =>
  LearnRateSchedule === "none"
    ? InitialLearnRate
    : InitialLearnRate * LearnRateDropFactor ** Math.floor(epoch / LearnRateDropPeriod);

/**
 * MATLAB's trainNetwork: trains a series of layers on images with labels.
 *
 * @returns the network, the caller's to dispose, and how training went.
 * @throws ArgumentError for layers and data that do not fit each other, before training; TrainingError when the loss is
 * no longer finite; what an OutputFcn and the backend throw. Nothing is left then.
 */
export const trainNetwork = async (
  data: ImageDataset,
  layers: readonly MatlabLayer[],
  options: TrainingOptions,
): Promise<{ net: SeriesNetwork; info: TrainInfo }> => {
  const assembled = assemble(layers);
  const { InputSize } = assembled.input;
  const { ExecutionEnvironment: backend, Seed: seed, Shuffle, MaxEpochs, ValidationData: held } = options;
  expectData("trainNetwork", "data", data, InputSize);
  if (held) expectData("trainNetwork", "ValidationData", held, InputSize);
  if (assembled.classes !== data.classes.length)
    throw new ArgumentError(
      `trainNetwork: the softmaxLayer gets ${assembled.classes} channels, expected one for each of ${data.classes.length} classes`,
    );
  if (data.count < 1) throw new ArgumentError("trainNetwork: data has no images");
  const net = createNetwork(assembled, data, { backend, seed });
  const { optimizer, setRate } = createOptimizer(net, assembled, options);
  const { ValidationPatience, OutputNetwork } = options;
  const stopping = earlyStopping({
    net: net.module,
    // MATLAB counts the validation that stops.
    patience: Math.min(ValidationPatience - 1, Number.MAX_SAFE_INTEGER),
  });
  const info = {
    TrainingLoss: [] as number[],
    TrainingAccuracy: [] as number[],
    ValidationLoss: [] as number[],
    ValidationAccuracy: [] as number[],
    BaseLearnRate: [] as number[],
  };
  const outputs = [options.OutputFcn ?? []].flat();
  const table = options.Verbose ? verboseTable(options) : undefined;
  const normalize = net.normalization;
  const size = Math.min(options.MiniBatchSize, data.count);
  const iterations = MaxEpochs * Math.floor(data.count / size);
  const validate = () => evaluate(net.module, batches(held as ImageDataset, { backend, size, normalize }));

  const infoOf = (State: OutputInfo["State"], Epoch: number, TimeSinceStart: number): OutputInfo => ({
    State,
    Epoch,
    Iteration: info.TrainingLoss.length,
    TimeSinceStart,
    TrainingLoss: info.TrainingLoss.at(-1) ?? Number.NaN,
    TrainingAccuracy: info.TrainingAccuracy.at(-1) ?? Number.NaN,
    ValidationLoss: info.ValidationLoss.at(-1) ?? Number.NaN,
    ValidationAccuracy: info.ValidationAccuracy.at(-1) ?? Number.NaN,
    BaseLearnRate: info.BaseLearnRate.at(-1) ?? options.InitialLearnRate,
  });
  /** True if one of them stops training. All are asked. */
  const ask = async (given: OutputInfo): Promise<boolean> => {
    let stop = false;
    for (const output of outputs) if ((await output(given)) === true) stop = true;
    return stop;
  };

  const recording: Callback = {
    beforeEpoch: (epoch) => setRate(learnRate(options, epoch)),
    onStep: ({ epoch, loss, correct, images }) => {
      info.TrainingLoss.push(loss);
      info.TrainingAccuracy.push((100 * correct) / images);
      info.ValidationLoss.push(Number.NaN);
      info.ValidationAccuracy.push(Number.NaN);
      info.BaseLearnRate.push(learnRate(options, epoch));
    },
    onValidation: ({ loss, accuracy }) => {
      info.ValidationLoss[info.ValidationLoss.length - 1] = loss;
      info.ValidationAccuracy[info.ValidationAccuracy.length - 1] = 100 * accuracy;
    },
  };
  const validating: Callback = {
    between: ({ epoch, step }, control) => {
      if (!held || !(step === 1 || step === iterations || step % options.ValidationFrequency === 0)) return undefined;
      return async () => {
        const { loss, accuracy, images } = await validate();
        await control.validated({ epoch, step, loss, accuracy, images });
      };
    },
  };
  /** The reports of an iteration are waited for only where somebody wants to hear of it. */
  const telling: Callback = {
    between: ({ epoch, step }, control) => {
      const row = table?.wants(step, iterations);
      if (outputs.length === 0 && !row) return undefined;
      return async ({ seconds }) => {
        const now = infoOf("iteration", epoch + 1, seconds);
        if (row) table?.row(now);
        if (await ask(now)) control.stop("stopped by OutputFcn");
      };
    },
  };

  try {
    table?.begin();
    const stopped = await ask(infoOf("start", 0, 0));
    const transform = clippingOf(options);
    const result = stopped
      ? { epochs: 0, steps: 0, seconds: 0, reason: "stopped by OutputFcn" }
      : await fit({
          net: net.module,
          optimizer,
          loss: crossEntropy,
          epochs: MaxEpochs,
          transform,
          batches: (epoch, start) =>
            batches(data, {
              backend,
              size,
              seed,
              epoch: Shuffle === "every-epoch" ? epoch : 0,
              shuffle: Shuffle !== "never",
              dropLast: true,
              normalize,
              start,
            }),
          callbacks: [recording, validating, stopping, telling],
        });
    const { best } = stopping;
    if (OutputNetwork === "best-validation-loss") stopping.restoreBest();
    net.module.eval();
    const StopReason = result.reason ?? "max epochs completed";
    const validations = info.ValidationLoss.flatMap((loss, i) => (Number.isNaN(loss) ? [] : [i]));
    const last = validations.at(-1);
    await ask(infoOf("done", result.epochs, result.seconds));
    table?.end(StopReason);
    return {
      net,
      info: {
        ...info,
        FinalValidationLoss: last === undefined ? Number.NaN : (info.ValidationLoss[last] as number),
        FinalValidationAccuracy: last === undefined ? Number.NaN : (info.ValidationAccuracy[last] as number),
        OutputNetworkIteration: OutputNetwork === "best-validation-loss" && best ? best.step : result.steps,
        StopReason,
      },
    };
  } catch (error) {
    net.dispose();
    throw error;
  } finally {
    optimizer.dispose();
    stopping.dispose();
  }
};
