/**
 * Golden vectors of training: optimizers and schedules, and whole trainings against PyTorch.
 *
 * In float64 every loss stays within 1e-7 of PyTorch's, relatively. In float32 the first loss stays within 2e-6 and, on
 * nets without kinks, all within 1e-5; ReLU and max pooling make float32 runs part, so on the others the distance to the
 * float64 loss at step t may be 10 times the largest that PyTorch's own float32 has had up to t, plus 1e-5.
 */
import { crossEntropy, full, noGrad, scope, type Tensor, tensor } from "@striate/core";
import type { Backend, DType } from "@striate/core/backend";
import * as optim from "@striate/optim";
import type { Case } from "../case.js";
import { disposeAll, download } from "../evaluate.js";
import { check } from "../failure.js";
import { networks } from "../models/networks.js";
import { encode, formats } from "../number-format.js";
import type { OptimizerVector, ScheduleVector, TrainingVector, Vectors } from "../vectors/parse.js";
import { kindOf, rebuild } from "../vectors/rebuild.js";
import { VectorFormatError } from "../vectors/safetensors.js";

/** CIFAR-10's data_batch_1.bin, whole: trainings take its first images, the closing evaluation its last. */
export interface TrainingImages {
  /** 3072 bytes an image: red, green and blue plane. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

type Options = Readonly<Record<string, unknown>>;

/** PyTorch's `weight_decay`, `T_max` as `weightDecay`, `tMax`. */
const camelCase = (options: Options): Options =>
  Object.fromEntries(
    Object.entries(options).map(([name, value]) => [
      name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );

type Dtype = "float32" | "float64";

const dtypesOf = (available: ReadonlySet<DType>): Dtype[] =>
  (["float64", "float32"] as const).filter((dtype) => available.has(dtype));

/** What a training needs of an optimizer, whatever its hyperparameters. */
type Stepper = Pick<optim.Optimizer, "step" | "apply" | "dispose">;

const optimizers: Readonly<Record<string, (params: readonly Tensor[], options: Options) => Stepper>> = {
  sgd: (params, options) => optim.sgd(params, options as unknown as optim.SgdOptions),
  adam: (params, options) => optim.adam(params, options),
  adamw: (params, options) => optim.adamw(params, options),
  rmsprop: (params, options) => optim.rmsprop(params, options),
  adagrad: (params, options) => optim.adagrad(params, options),
  adadelta: (params, options) => optim.adadelta(params, options),
};

const optimizerOf = (name: string, params: readonly Tensor[], options: Options): Stepper => {
  const make = Object.hasOwn(optimizers, name) ? optimizers[name] : undefined;
  if (!make) throw new VectorFormatError(`no optimizer of that name is known: ${name}`);
  return make(params, camelCase(options));
};

/** Nine digits are stored: an absolute floor of 1e-9 beside the relative limit. */
const parameterLimits: Readonly<Record<Dtype, number>> = { float64: 1e-7, float32: 1e-5 };

const runOptimizer = async (vector: OptimizerVector, dtype: Dtype, backend: Backend): Promise<number> => {
  const parameter = tensor(encode(dtype, vector.initial), { backend, dtype, requiresGrad: true });
  const optimizer = optimizerOf(vector.optimizer, [parameter], vector.options);
  let ratio = 0;
  try {
    for (const [step, grads] of vector.grads.entries()) {
      const gradient = tensor(encode(dtype, grads), { backend, dtype });
      optimizer.apply([gradient]);
      gradient.dispose();
      const values = await parameter.data();
      const expected = vector.params[step] ?? [];
      check(
        expected.length === values.length,
        `step ${step}: ${values.length} parameters, expected ${expected.length}`,
      );
      const relative = parameterLimits[dtype];
      expected.forEach((want, i) => {
        const got = values[i] as number;
        const error = Math.abs(got - want);
        const allowed = relative * Math.max(Math.abs(want), dtype === "float32" ? 1 : 0) + 1e-9;
        check(error <= allowed, () => `step ${step}: parameter ${i} is ${got}, expected ${want}`);
        ratio = Math.max(ratio, error / allowed);
      });
    }
    return ratio;
  } finally {
    optimizer.dispose();
    parameter.dispose();
  }
};

type OptionsOf<F extends (...args: never[]) => unknown> = Parameters<F>[1];

const schedules: Readonly<Record<string, (lr: number, options: never) => optim.Schedule>> = {
  step: (lr, options: OptionsOf<typeof optim.stepLr>) => optim.stepLr(lr, options),
  multistep: (lr, options: OptionsOf<typeof optim.multiStepLr>) => optim.multiStepLr(lr, options),
  exponential: (lr, options: OptionsOf<typeof optim.exponentialLr>) => optim.exponentialLr(lr, options),
  cosine: (lr, options: OptionsOf<typeof optim.cosineAnnealingLr>) => optim.cosineAnnealingLr(lr, options),
  cosine_warm_restarts: (lr, options: OptionsOf<typeof optim.cosineAnnealingWarmRestarts>) =>
    optim.cosineAnnealingWarmRestarts(lr, options),
  linear: (lr, options: OptionsOf<typeof optim.linearLr>) => optim.linearLr(lr, options),
  polynomial: (lr, options: OptionsOf<typeof optim.polynomialLr>) => optim.polynomialLr(lr, options),
  one_cycle: (_lr, { maxLr, ...options }: optim.OneCycleOptions & { readonly maxLr: number }) =>
    optim.oneCycleLr(maxLr, options),
};

/** The rate before each step. */
const rates = (vector: ScheduleVector): number[] => {
  const { schedule, baseLr, lr, metric } = vector;
  const options = camelCase(vector.options);
  if (schedule === "plateau") {
    if (!metric) throw new VectorFormatError(`${vector.id}: a plateau schedule needs a metric`);
    const plateau = optim.reduceLrOnPlateau(options as optim.PlateauOptions);
    let state = plateau.init(baseLr);
    return lr.map((_, step) => {
      const rate = state.lr;
      state = plateau.update(state, metric[step] as number);
      return rate;
    });
  }
  const make = Object.hasOwn(schedules, schedule) ? schedules[schedule] : undefined;
  if (!make) throw new VectorFormatError(`no schedule of that name is known: ${schedule}`);
  const rate = make(baseLr, options as never);
  return lr.map((_, step) => rate(step));
};

const runSchedule = (vector: ScheduleVector): number => {
  let ratio = 0;
  rates(vector).forEach((rate, step) => {
    const want = vector.lr[step] as number;
    const allowed = 1e-7 * Math.abs(want) + 1e-12;
    check(Math.abs(rate - want) <= allowed, () => `step ${step}: the rate is ${rate}, expected ${want}`);
    ratio = Math.max(ratio, Math.abs(rate - want) / allowed);
  });
  return ratio;
};

const mean = [0.4914, 0.4822, 0.4465];
const std = [0.247, 0.2435, 0.2616];
const imageBytes = 3072;

const batchOf = (
  data: TrainingImages,
  first: number,
  count: number,
  dtype: Dtype,
  backend: Backend,
): { x: Tensor; labels: Tensor } => {
  const bytes = data.images.subarray(first * imageBytes, (first + count) * imageBytes);
  const values = Float64Array.from(bytes, (byte, i) => {
    const channel = Math.floor((i % imageBytes) / 1024);
    return (byte / 255 - (mean[channel] as number)) / (std[channel] as number);
  });
  const labels = Int32Array.from(data.labels.subarray(first, first + count));
  return {
    x: tensor(encode(dtype, values), { backend, shape: [count, 3, 32, 32], dtype }),
    labels: tensor(labels, { backend }),
  };
};

/**
 * Distance to the float64 loss that a float32 run may have at each step. Rounding alone moves it by some 1e-6; a single
 * ReLU or maximum that goes the other way moves a gradient by 1e-3, and the next losses with it. How often that happens
 * is chance: PyTorch's own float32 run is one draw, so it gets a factor, and 3e-5 on top for steps where it had none.
 */
const float32Limits = ({ net, loss, lossFloat32 }: TrainingVector): number[] => {
  let strayed = 0;
  return loss.map((want, step) => {
    if (step === 0) return 2e-6 * Math.abs(want);
    const yardstick = lossFloat32[step];
    if (networks[net]?.smooth || yardstick === undefined) return 1e-5 * Math.abs(want);
    strayed = Math.max(strayed, Math.abs(yardstick - want));
    return 10 * strayed + 3e-5 * Math.max(1, Math.abs(want));
  });
};

const lossLimits = (vector: TrainingVector, dtype: Dtype): number[] =>
  dtype === "float64" ? vector.loss.map((want) => 1e-7 * Math.abs(want)) : float32Limits(vector);

const l2 = (values: Float64Array): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** What the end of a float64 training must agree with: parameter norms, running statistics, logits. */
const endLimit = 1e-6;

const runTraining = async (
  vector: TrainingVector,
  data: TrainingImages,
  steps: number,
  dtype: Dtype,
  backend: Backend,
): Promise<number> => {
  const network = Object.hasOwn(networks, vector.net) ? networks[vector.net] : undefined;
  if (!network) throw new VectorFormatError(`no network of that name is known: ${vector.net}`);
  check(
    data.labels.length >= vector.batch * vector.steps,
    `${data.labels.length} images, the training needs ${vector.batch * vector.steps}`,
  );
  const parameters = new Map(
    vector.parameters.map(([name, shape]) => {
      const values = rebuild({ name, shape, kind: kindOf(name, shape) }, vector.salt);
      return [name, tensor(encode(dtype, values), { backend, shape, dtype, requiresGrad: true })];
    }),
  );
  const buffers = new Map<string, Tensor>(
    Object.entries(network.norms).flatMap(([name, channels]) => [
      [`${name}.running_mean`, full([channels], 0, { backend, dtype })] as const,
      [`${name}.running_var`, full([channels], 1, { backend, dtype })] as const,
    ]),
  );
  const optimizer = optimizerOf(vector.optimizer, [...parameters.values()], vector.options);
  const allowed = lossLimits(vector, dtype);
  let ratio = 0;
  try {
    for (let step = 0; step < steps; step++) {
      const { x, labels } = batchOf(data, step * vector.batch, vector.batch, dtype, backend);
      const loss = optimizer.step(() =>
        scope(() => crossEntropy(network.forward({ parameters, buffers, training: true }, x), labels)),
      );
      disposeAll([x, labels]);
      const value = await loss.item();
      loss.dispose();
      const want = vector.loss[step] as number;
      const error = Math.abs(value - want);
      check(
        error <= (allowed[step] as number),
        () =>
          `step ${step}: the loss is ${value}, expected ${want} (off by ${error.toPrecision(3)}, allowed ${(allowed[step] as number).toPrecision(3)})`,
      );
      ratio = Math.max(ratio, error / (allowed[step] as number));
    }
    if (dtype === "float64" && steps === vector.steps) {
      const noisy = vector.optimizer !== "sgd" && network.shadowed.length > 0;
      const agree = (what: string, got: number, want: number): void =>
        check(
          Math.abs(got - want) <= endLimit * Math.max(1, Math.abs(want)),
          () => `${what} is ${got}, expected ${want}`,
        );
      for (const [name, want] of vector.finalL2) {
        if (noisy && network.shadowed.includes(name)) continue;
        const values = parameters.get(name);
        if (!values) throw new VectorFormatError(`${vector.id}: there is no parameter ${name}`);
        agree(`the norm of ${name}`, l2(Float64Array.from(await values.data())), want);
      }
      for (const [name, want] of vector.running) {
        if (noisy && name.endsWith("running_mean")) continue;
        const values = buffers.get(name);
        if (!values) throw new VectorFormatError(`${vector.id}: there is no buffer ${name}`);
        agree(`the norm of ${name}`, l2(Float64Array.from(await values.data())), want);
      }
      if (!noisy && vector.evalLogits.length > 0) {
        const rows = vector.evalLogits;
        const { x, labels } = batchOf(data, data.labels.length - rows.length, rows.length, dtype, backend);
        const logits = noGrad(() => scope(() => network.forward({ parameters, buffers, training: false }, x)));
        disposeAll([x, labels]);
        const [values] = await download([logits]);
        rows.flat().forEach((want, i) => agree(`logit ${i}`, (values as Float64Array)[i] as number, want));
      }
    }
    return ratio;
  } finally {
    optimizer.dispose();
    disposeAll([...parameters.values(), ...buffers.values()]);
  }
};

export interface TrainingOptions {
  /** Absent: the trainings are skipped, saying so. */
  readonly images?: TrainingImages;
  /** Run only the first steps of each training. Default: all. */
  readonly trainingSteps?: number;
}

const tenMinutes = 600_000;

export const trainingCases = (
  vectors: Vectors,
  dtypes: ReadonlySet<DType>,
  { images, trainingSteps }: TrainingOptions,
): Case[] => [
  ...vectors.optimizers.flatMap((vector) =>
    dtypesOf(dtypes).map(
      (dtype): Case => ({
        id: `training:${vector.id}#${formats[dtype].tag}`,
        group: "training",
        dtype,
        run: async ({ backend }) => ({ ratio: await runOptimizer(vector, dtype, backend) }),
      }),
    ),
  ),
  ...vectors.schedules.map(
    (vector): Case => ({
      id: `training:${vector.id}`,
      group: "training",
      run: async () => ({ ratio: runSchedule(vector) }),
    }),
  ),
  ...vectors.trainings.flatMap((vector) =>
    dtypesOf(dtypes).map((dtype): Case => {
      const steps = Math.min(trainingSteps ?? vector.steps, vector.steps);
      return {
        id: `training:${vector.id}#${formats[dtype].tag}`,
        group: "training",
        dtype,
        timeout: tenMinutes,
        ...(!images && { skip: "no images: CIFAR-10's data_batch_1.bin was not given or found" }),
        run: async ({ backend }) => ({
          ratio: await runTraining(vector, images as TrainingImages, steps, dtype, backend),
        }),
      };
    }),
  ),
];
