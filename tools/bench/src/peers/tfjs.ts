import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as Tf from "@tensorflow/tfjs-core";
import { type ImageShape, type LayerSpec, type LayerTable, layerShape, makeLayer, networks } from "../networks.js";
import { CannotError, type Peer, type Task } from "../peer.js";
import {
  type ConvProblem,
  type HostTensor,
  type Inputs,
  imageShape,
  inputNamed,
  type Problem,
  type TrainProblem,
  training,
} from "../problem.js";
import { loadBundled } from "./bundled.js";

type Tfjs = typeof Tf;
type Image = Tf.Tensor4D;

/**
 * Which of the builds in the packages. Node loads the first: older JavaScript, several times slower than the modules that
 * bundlers take for a page.
 */
const builds = { node: ["main"], modules: ["module", "main"] } as const;

/**
 * tfjs with its gradients, which its Node build leaves to the union package of 290 MB; from here they come as modules.
 * tfjs registers itself on `global`: each copy gets one of its own, so that several can run side by side.
 */
const load = (backend: string, entry: keyof typeof builds): Promise<Tfjs> => {
  const contents = [
    'export * from "@tensorflow/tfjs-core";',
    'import "@tensorflow/tfjs-core/dist/register_all_gradients";',
    `import "@tensorflow/tfjs-backend-${backend}";`,
  ].join("\n");
  const require = createRequire(import.meta.url);
  // Beside its .wasm files.
  const folder = dirname(require.resolve(`@tensorflow/tfjs-backend-${backend}`));
  const filename = join(folder, `tfjs-${backend}-${entry}.cjs`);
  const surroundings = { require, __filename: filename, __dirname: folder, global: Object.create(globalThis) };
  return loadBundled(contents, filename, surroundings, {
    mainFields: [...builds[entry]],
    external: ["node-fetch"],
    ignoreAnnotations: true, // they deny that the Node builds have side effects
  });
};

// ---- layouts: tfjs has NHWC images and HWIO weights -----------------------------------------------------------------

/** The permutation to tfjs's layout, and back. */
const imagePermutation = { to: [0, 2, 3, 1], from: [0, 3, 1, 2] } as const;
const weightPermutation = { to: [2, 3, 1, 0], from: [3, 2, 0, 1] } as const;
type Permutation = typeof imagePermutation | typeof weightPermutation;

const upload = (tf: Tfjs, { data, shape }: HostTensor, { to }: Permutation): Image =>
  tf.tidy(() => tf.transpose(tf.tensor(data, [...shape] as Image["shape"]), [...to]));

const download = async (tf: Tfjs, t: Tf.Tensor, permutation?: Permutation): Promise<Float32Array> => {
  const ordered = permutation ? tf.transpose(t, [...permutation.from]) : tf.clone(t);
  const data = (await ordered.data()) as Float32Array;
  ordered.dispose();
  return data;
};

// ---- ops ------------------------------------------------------------------------------------------------------------

const opTask = (tf: Tfjs, inputs: readonly Tf.Tensor[], compute: () => Tf.Tensor, permutation?: Permutation): Task => {
  let result: Tf.Tensor | undefined;
  return {
    run: async () => {
      result?.dispose();
      result = compute();
      await result.data();
    },
    outputs: async () => new Map([["y", await download(tf, result as Tf.Tensor, permutation)]]),
    dispose: () => {
      tf.dispose([...inputs, ...(result ? [result] : [])]);
    },
  };
};

const matmulTask = (tf: Tfjs, inputs: Inputs): Task => {
  const [a, b] = ["a", "b"].map((name) => {
    const { data, shape } = inputNamed(inputs, name);
    return tf.tensor2d(data, shape as [number, number]);
  }) as [Tf.Tensor2D, Tf.Tensor2D];
  return opTask(tf, [a, b], () => tf.matMul(a, b));
};

const convTask = (tf: Tfjs, problem: ConvProblem, inputs: Inputs): Task => {
  const { op, padding } = problem;
  const image = (name: string): Image => upload(tf, inputNamed(inputs, name), imagePermutation);
  const weight = (): Image => upload(tf, inputNamed(inputs, "w"), weightPermutation);
  if (op === "conv2d") {
    const [x, w] = [image("x"), weight()];
    return opTask(tf, [x, w], () => tf.conv2d(x, w, 1, padding), imagePermutation);
  }
  const gy = image("gy");
  if (op === "conv2dGradInput") {
    const w = weight();
    const shape: [number, number, number, number] = [problem.batch, problem.image, problem.image, problem.in];
    return opTask(tf, [w, gy], () => tf.conv2dTranspose(gy, w, shape, 1, padding), imagePermutation);
  }
  // There is no public op for this one without a forward pass before it.
  const x = image("x");
  const attrs = {
    strides: [1, 1],
    pad: padding,
    dataFormat: "NHWC",
    filterShape: [problem.kernel, problem.kernel, problem.in, problem.out],
  };
  const compute = (): Tf.Tensor => tf.engine().runKernel("Conv2DBackpropFilter", { x, dy: gy }, attrs) as Tf.Tensor;
  return opTask(tf, [x, gy], compute, weightPermutation);
};

// ---- training -------------------------------------------------------------------------------------------------------

/** A variable with its name in the outputs and the way there. */
interface NamedVariable {
  readonly name: string;
  readonly variable: Tf.Variable;
  read(): Promise<Float32Array>;
}

interface BuildContext {
  readonly tf: Tfjs;
  readonly inputs: Inputs;
  readonly path: string;
  /** Of the layer's input, or before it was flattened: the order of the elements differs between the layouts. */
  readonly shape: ImageShape;
  readonly variables: NamedVariable[];
}

type Forward = (x: Tf.Tensor) => Tf.Tensor;

const declare = (
  { tf, path, variables }: BuildContext,
  name: string,
  value: Tf.Tensor,
  trainable: boolean,
  read: (variable: Tf.Variable) => Promise<Float32Array> = (variable) => download(tf, variable),
): Tf.Variable => {
  const variable = tf.variable(value, trainable);
  value.dispose();
  variables.push({ name: `${path}.${name}`, variable, read: () => read(variable) });
  return variable;
};

const vector = (context: BuildContext, name: string): Tf.Variable =>
  declare(context, name, context.tf.tensor1d(inputNamed(context.inputs, `${context.path}.${name}`).data), true);

/** [out, C · H · W] as [H · W · C, out], and back. */
const linearWeight = (context: BuildContext): Tf.Variable => {
  const { tf, path, inputs } = context;
  const [c, h, w] = context.shape;
  const { data, shape } = inputNamed(inputs, `${path}.weight`);
  const [out] = shape as [number];
  const value = tf.tidy(() =>
    tf.reshape(tf.transpose(tf.tensor4d(data, [out, c, h, w]), [2, 3, 1, 0]), [h * w * c, out]),
  );
  return declare(context, "weight", value, true, (variable) => {
    const image = tf.reshape(variable, [h, w, c, out]);
    return download(tf, image, weightPermutation).finally(() => image.dispose());
  });
};

const layers: LayerTable<Forward, BuildContext> = {
  conv2d: ({ stride, padding, bias }, context) => {
    const { tf, path, inputs } = context;
    const value = upload(tf, inputNamed(inputs, `${path}.weight`), weightPermutation);
    const weight = declare(context, "weight", value, true, (variable) => download(tf, variable, weightPermutation));
    const offset = bias ? vector(context, "bias") : undefined;
    return (x) => {
      const y = tf.conv2d(x as Image, weight as unknown as Image, stride, padding);
      return offset ? tf.add(y, offset) : y;
    };
  },
  linear: ({ bias }, context) => {
    const { tf } = context;
    const weight = linearWeight(context);
    const offset = bias ? vector(context, "bias") : undefined;
    return (x) => {
      const y = tf.matMul(x, weight);
      return offset ? tf.add(y, offset) : y;
    };
  },
  batchNorm2d: ({ features }, context) => {
    const { tf } = context;
    const scale = vector(context, "weight");
    const offset = vector(context, "bias");
    const runningMean = declare(context, "running_mean", tf.zeros([features]), false);
    const runningVariance = declare(context, "running_var", tf.ones([features]), false);
    const move = (running: Tf.Variable, batch: Tf.Tensor): void =>
      running.assign(tf.add(tf.mul(running, 0.9), tf.mul(batch, 0.1)));
    return (x) => {
      const { mean, variance } = tf.moments(x, [0, 1, 2]);
      const y = tf.batchNorm(
        x as Image,
        mean as Tf.Tensor1D,
        variance as Tf.Tensor1D,
        offset as Tf.Tensor1D,
        scale as Tf.Tensor1D,
        1e-5,
      );
      const count = x.size / features;
      move(runningMean, mean);
      move(runningVariance, tf.mul(variance, count / (count - 1)));
      return y;
    };
  },
  maxPool2d:
    ({ kernel }, { tf }) =>
    (x) =>
      tf.maxPool(x as Image, kernel, kernel, "valid"),
  relu:
    (_, { tf }) =>
    (x) =>
      tf.relu(x),
  gelu:
    (_, { tf }) =>
    (x) =>
      tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1)),
  globalAvgPool2d:
    (_, { tf }) =>
    (x) =>
      tf.mean(x, [1, 2]),
  flatten:
    (_, { tf }) =>
    (x) =>
      tf.reshape(x, [x.shape[0] as number, -1]),
  residual: (spec, context) => {
    const { tf, path } = context;
    const main = chain(spec.main, { ...context, path: `${path}.main.` });
    const shortcut = chain(spec.shortcut, { ...context, path: `${path}.shortcut.` });
    return (x) => tf.relu(tf.add(main(x), shortcut(x)));
  },
};

/** `context.path` is what the layers' names begin with. */
const chain = (specs: readonly LayerSpec[], context: BuildContext): Forward => {
  let { shape } = context;
  const forwards = specs.map((spec, i) => {
    const forward = makeLayer(layers, spec, { ...context, path: `${context.path}${i}`, shape });
    shape = layerShape(spec, shape);
    return forward;
  });
  return (x) => forwards.reduce((y, forward) => forward(y), x);
};

const trainTask = (tf: Tfjs, problem: TrainProblem, inputs: Inputs): Task => {
  const variables: NamedVariable[] = [];
  const shape = imageShape(problem);
  const specs = networks[problem.network].layers(problem.image);
  const forward = chain(specs, { tf, inputs, path: "", shape, variables });
  const images = upload(tf, inputNamed(inputs, "images"), imagePermutation);
  const labels = tf.tidy(() => tf.oneHot(tf.tensor1d(inputs.labels, "int32"), training.classes));
  const optimizer = tf.train.momentum(training.learningRate, training.momentum);
  const trained = variables.map(({ variable }) => variable).filter(({ trainable }) => trainable);
  let loss = Number.NaN;
  return {
    run: async () => {
      const value = optimizer.minimize(
        () => tf.losses.softmaxCrossEntropy(labels, forward(images)) as Tf.Scalar,
        true,
        trained,
      ) as Tf.Scalar;
      loss = (await value.data())[0] as number;
      value.dispose();
    },
    outputs: async () => {
      const outputs = new Map<string, Float32Array>([["loss", Float32Array.of(loss)]]);
      for (const { name, read } of variables) outputs.set(name, await read());
      return outputs;
    },
    dispose: () => {
      optimizer.dispose();
      tf.dispose([images, labels, ...variables.map(({ variable }) => variable)]);
    },
  };
};

/** A kernel without which no convolution can be trained. */
const FILTER_GRADIENT = "Conv2DBackpropFilter";

const prepare = (tf: Tfjs, problem: Problem, inputs: Inputs): Task => {
  const needsFilterGradient = problem.op === "train" || problem.op === "conv2dGradWeight";
  if (needsFilterGradient && !tf.getKernel(FILTER_GRADIENT, tf.getBackend()))
    throw new CannotError(`tfjs has no ${FILTER_GRADIENT} on its ${tf.getBackend()} backend`);
  if (problem.op === "matmul") return matmulTask(tf, inputs);
  return problem.op === "train" ? trainTask(tf, problem, inputs) : convTask(tf, problem, inputs);
};

/** TensorFlow.js core on one of its backends. */
export const tfjsPeer = (name: string, backend: string, entry: keyof typeof builds): Peer => ({
  name,
  open: async () => {
    const tf = await load(backend, entry);
    tf.enableProdMode(); // as its guide for speed says: no checks of values
    await tf.setBackend(backend);
    await tf.ready();
    return {
      version: tf.version_core,
      threads: 1,
      wasm: backend === "wasm",
      prepare: (problem, inputs) => prepare(tf, problem, inputs),
      close: () => tf.removeBackend(backend),
    };
  },
});
