/**
 * Whole networks: one training step of a small CNN against the float64 reference, and the golden vectors of models that
 * the caller supplies.
 */
import {
  conv2d,
  crossEntropy,
  linear,
  maxPool2d,
  mul,
  relu,
  reshape,
  scope,
  sub,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@striate/core";
import type { Backend, DType } from "@striate/core/backend";
import type { Case } from "../case.js";
import { demandUsage, disposeAll, download, usageOf } from "../evaluate.js";
import { check } from "../failure.js";
import { generate } from "../generate.js";
import { encode, formats } from "../number-format.js";
import { finiteDifferences, probesOf } from "../reference/gradient.js";
import * as reference from "../reference/index.js";
import { type NdArray, ndarray, scalar, sizeOf } from "../reference/ndarray.js";
import type { ModelVector, RebuiltSpec, Vectors } from "../vectors/parse.js";
import { hashedUniform, rebuild } from "../vectors/rebuild.js";
import { VectorFormatError } from "../vectors/safetensors.js";

// ---------------------------------------------------------------------------------------------------------------
// One training step

const shapes = {
  conv: [4, 3, 3, 3],
  convBias: [4],
  fc: [5, 36],
  fcBias: [5],
} as const;

type ParameterName = keyof typeof shapes;

const labels = [2, 0];
const rate = 0.125;

const referenceLoss = (x: NdArray, p: Readonly<Record<ParameterName, NdArray>>): NdArray => {
  const activations = reference.map(reference.conv2d(x, p.conv, p.convBias, { padding: 1 }), reference.unary.relu);
  const { y } = reference.maxPool2d(activations, { kernel: 2 });
  const logits = reference.linear(reference.reshape(y, [2, 36]), p.fc, p.fcBias);
  return reference.reduceLoss(reference.crossEntropy(logits, ndarray([2], labels)), "mean");
};

/** Conv, ReLU, max pool, linear, cross-entropy; SGD. Loss before and after, and every parameter. */
const trainingStep = (dtype: DType): Case => ({
  id: `models:training-step#${formats[dtype].tag}`,
  group: "models",
  dtype,
  run: async ({ backend }) => {
    const id = "models/training-step";
    const { epsilon } = formats[dtype];
    const before = usageOf(backend);
    const draw = (shape: readonly number[], stream: number): NdArray =>
      ndarray(shape, generate({ kind: "uniform", low: -1, high: 1 }, id, stream, sizeOf(shape)));
    const images = draw([2, 3, 6, 6], 0);
    const names = Object.keys(shapes) as ParameterName[];
    const expected = Object.fromEntries(names.map((name, i) => [name, draw(shapes[name], i + 1)])) as Record<
      ParameterName,
      NdArray
    >;

    const x = tensor(encode(dtype, images.data), { backend, shape: images.shape, dtype });
    const target = tensor(Int32Array.from(labels), { backend });
    const parameters = names.map((name) =>
      tensor(encode(dtype, expected[name].data), { backend, shape: shapes[name], dtype }),
    );
    const loss = (): Tensor =>
      scope(() => {
        const [w, b, fc, fcBias] = parameters as [Tensor, Tensor, Tensor, Tensor];
        const pooled = maxPool2d(relu(conv2d(x, w, { bias: b, padding: 1 })), { kernel: 2 });
        return crossEntropy(linear(reshape(pooled, [2, 36]), fc, fcBias), target);
      });
    const { value, grads } = valueAndGrad(loss, parameters);
    for (const [i, parameter] of parameters.entries()) {
      const moved = scope(() => sub(parameter, mul(grads[i] as Tensor, rate)));
      parameter.assign(moved);
      moved.dispose();
    }
    disposeAll(grads);
    const first = await value.item();
    value.dispose();
    const second = loss();
    const last = await second.item();
    second.dispose();
    const found = await download(parameters);
    disposeAll([x, target]);

    const limit = Math.max(64 * epsilon, 1e-9);
    let ratio = 0;
    const agree = (what: string, got: number, want: number): void => {
      const error = Math.abs(got - want) / (limit * Math.max(1, Math.abs(want)));
      check(error <= 1, () => `${what} is ${got}, expected ${want}`);
      ratio = Math.max(ratio, error);
    };
    agree("the loss", first, referenceLoss(images, expected).data[0] as number);
    const slopes = names.map((name) => {
      const probes = probesOf(expected[name], sizeOf(shapes[name]));
      return finiteDifferences(() => referenceLoss(images, expected), expected[name], scalar(1), probes);
    });
    names.forEach((name, i) => {
      const { data } = expected[name];
      slopes[i]?.forEach((slope, j) => {
        data[j] = (data[j] as number) - rate * slope;
      });
      data.forEach((want, j) => agree(`${name}[${j}] after the step`, found[i]?.[j] as number, want));
    });
    agree("the loss after the step", last, referenceLoss(images, expected).data[0] as number);
    demandUsage(before, usageOf(backend));
    return { ratio };
  },
});

// ---------------------------------------------------------------------------------------------------------------
// Golden vectors of models

type ModelDType = "float32" | "float64";

/** A network with torchvision's names; `@striate/nn`'s modules are such. */
export interface ModelUnderTest {
  /** Parameters and buffers by name: the network's own handles, which the suite rebinds to the vectors' values. */
  stateDict(): ReadonlyMap<string, Tensor>;
  /** Evaluation mode: logits [N, classes]. */
  forward(images: Tensor): Tensor;
  dispose(): void;
}

/** Makes the network in evaluation mode. */
export type ModelBuilder = (options: { readonly backend: Backend; readonly dtype: ModelDType }) => ModelUnderTest;

/**
 * Relative, for the distance of the logits, the loss and the norms of gradients; `floor` is added for these. In float32 a ReLU or a
 * maximum may fall the other way than in PyTorch, which gradients show.
 */
const limits: Readonly<Record<ModelDType, { logits: number; loss: number; gradients: number; floor: number }>> = {
  float32: { logits: 1e-5, loss: 1e-5, gradients: 2e-3, floor: 1e-6 },
  float64: { logits: 1e-6, loss: 1e-6, gradients: 1e-6, floor: 1e-9 },
};

/** The largest network has a layer of 10^8 parameters: nothing here may make an array of numbers of them. */
const norm = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
};

const runModel = async (
  vector: ModelVector,
  builder: ModelBuilder,
  backend: Backend,
  dtype: ModelDType,
): Promise<number> => {
  const allowed = limits[dtype];
  const model = builder({ backend, dtype });
  // Rounded in float64 too: a value that is off by 1e-8 makes some ReLU fall the other way.
  const pixels = Float32Array.from(hashedUniform("input", vector.salt, sizeOf(vector.input)), (u) => u * 1.7);
  const images = tensor(encode(dtype, pixels), { backend, shape: vector.input, dtype });
  const target = tensor(Int32Array.from(vector.labels), { backend });
  let ratio = 0;
  const agree = (what: string, error: number, limit: number): void => {
    check(error <= limit, () => `${what} is off by ${error.toPrecision(3)}, allowed ${limit.toPrecision(3)}`);
    ratio = Math.max(ratio, error / limit);
  };
  try {
    const state = model.stateDict();
    const handleOf = ({ name, shape }: RebuiltSpec): Tensor => {
      const handle = state.get(name);
      if (!handle) throw new VectorFormatError(`the network has no ${name}`);
      check(
        handle.shape.join() === shape.join(),
        () => `${name} has shape [${handle.shape.join(", ")}], expected [${shape.join(", ")}]`,
      );
      return handle;
    };
    for (const spec of [...vector.parameters, ...vector.buffers]) {
      const handle = handleOf(spec);
      const rebuilt = rebuild(spec, vector.salt);
      const host = dtype === "float64" ? new Float64Array(rebuilt) : rebuilt;
      const values = tensor(host, { backend, shape: spec.shape, dtype });
      handle.assign(values);
      values.dispose();
    }
    const logits = scope(() => model.forward(images));
    const [found] = await download([logits]);
    const expected = vector.logits.flat();
    const difference = expected.map((want, i) => want - ((found as Float64Array)[i] as number));
    agree("the vector of logits", norm(difference), allowed.logits * norm(expected));
    const parameters = vector.parameters.map(handleOf);
    const { value, grads } = valueAndGrad(
      () => scope(() => crossEntropy(mul(model.forward(images), 1 / vector.temperature), target)),
      parameters,
    );
    const loss = await value.item();
    value.dispose();
    agree("the loss", Math.abs(loss - vector.loss), allowed.loss * Math.abs(vector.loss));
    try {
      for (const [i, { name }] of vector.parameters.entries()) {
        const want = vector.gradL2.get(name);
        if (want === undefined) continue;
        const found = norm(await (grads[i] as Tensor).data());
        agree(`the gradient norm of ${name}`, Math.abs(found - want), allowed.gradients * want + allowed.floor);
      }
    } finally {
      disposeAll(grads);
    }
    return ratio;
  } finally {
    disposeAll([images, target]);
    model.dispose();
  }
};

export interface ModelOptions {
  /** The networks that there are, by torchvision's names; vectors of others are skipped, saying so. */
  readonly models?: Readonly<Record<string, ModelBuilder>>;
}

const tenMinutes = 600_000;

export const modelCases = (vectors: Vectors, available: ReadonlySet<DType>, { models = {} }: ModelOptions): Case[] => {
  const dtypes = (["float32", "float64"] as const).filter((dtype) => available.has(dtype));
  return [
    ...dtypes.map(trainingStep),
    ...vectors.models.flatMap((vector) =>
      dtypes.map((dtype): Case => {
        const builder = Object.hasOwn(models, vector.model) ? models[vector.model] : undefined;
        return {
          id: `models:${vector.id}#${formats[dtype].tag}`,
          group: "models",
          dtype,
          timeout: tenMinutes,
          ...(!builder && { skip: `no network ${vector.model} was given` }),
          run: async ({ backend }) => ({ ratio: await runModel(vector, builder as ModelBuilder, backend, dtype) }),
        };
      }),
    ),
  ];
};
