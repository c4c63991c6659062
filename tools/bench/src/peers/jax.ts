import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as Jax from "@jax-js/jax";
import { type ImageShape, type LayerSpec, type LayerTable, layerShape, makeLayer, networks } from "../networks.js";
import type { Peer, Task } from "../peer.js";
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
import { createWebWorkers, type WebWorkers } from "./web-workers.js";

type Library = typeof Jax;
type Array = Jax.Array;

/**
 * A copy of jax-js. It takes its threads from the global `Worker` of a page and `navigator.hardwareConcurrency`, and has one
 * thread where there is no `Worker`, as in Node: each copy is given its own.
 */
const load = (workers: WebWorkers | undefined, threads: number): Promise<Library> =>
  loadBundled('export * from "@jax-js/jax";', "jax.cjs", {
    require: createRequire(import.meta.url),
    Worker: workers?.Worker,
    navigator: { hardwareConcurrency: threads },
  });

// Its functions consume their arguments; `ref` keeps one for another use. Nothing runs under its `jit`: there, its wasm
// kernels for convolutions are ten times slower.

const upload = (jax: Library, { data, shape }: HostTensor): Array => jax.numpy.array(data, { shape: [...shape] });

const download = async (array: Array): Promise<Float32Array> => (await array.ref.data()) as Float32Array;

const pads = (padding: number): [number, number][] => [
  [padding, padding],
  [padding, padding],
];

const opTask = (jax: Library, inputs: readonly Array[], compute: () => Array): Task => {
  let result: Array | undefined;
  return {
    run: async () => {
      result?.dispose();
      result = compute();
      await jax.blockUntilReady(result);
    },
    outputs: async () => new Map([["y", await download(result as Array)]]),
    dispose: () => {
      for (const array of [...inputs, ...(result ? [result] : [])]) array.dispose();
    },
  };
};

const matmulTask = (jax: Library, inputs: Inputs): Task => {
  const [a, b] = [upload(jax, inputNamed(inputs, "a")), upload(jax, inputNamed(inputs, "b"))];
  return opTask(jax, [a, b], () => jax.numpy.matmul(a.ref, b.ref));
};

const convTask = (jax: Library, problem: ConvProblem, inputs: Inputs): Task => {
  const { op, padding } = problem;
  const { lax, numpy, vjp } = jax;
  const get = (name: string): Array => upload(jax, inputNamed(inputs, name));
  if (op === "conv2d") {
    const [x, w] = [get("x"), get("w")];
    return opTask(jax, [x, w], () => lax.convGeneralDilated(x.ref, w.ref, [1, 1], pads(padding)));
  }
  const gy = get("gy");
  if (op === "conv2dGradInput") {
    const w = get("w");
    return opTask(jax, [w, gy], () =>
      lax.convTranspose(gy.ref, w.ref, [1, 1], pads(padding), { transposeKernel: true }),
    );
  }
  const x = get("x");
  const shape = [problem.out, problem.in, problem.kernel, problem.kernel];
  return opTask(jax, [x, gy], () => {
    // The product itself is never asked for, so it is never computed.
    const forward = (w: Array): Array => lax.convGeneralDilated(x.ref, w, [1, 1], pads(padding));
    const [y, back] = vjp(forward, [numpy.zeros(shape)]);
    y.dispose();
    const [grad] = back(gy.ref) as [Array];
    back.dispose();
    return grad;
  });
};

// ---- training -------------------------------------------------------------------------------------------------------

type Arrays = Record<string, Array>;

/** What a forward pass reads, and where it leaves the new running statistics. */
interface Pass {
  readonly parameters: Arrays;
  readonly statistics: Arrays;
  readonly updated: Arrays;
}

type Forward = (x: Array, pass: Pass) => Array;

interface BuildContext {
  readonly jax: Library;
  readonly path: string;
  readonly shape: ImageShape;
  readonly batch: number;
  /** Those to start from are put here. */
  readonly statistics: Arrays;
}

const BN_AXES = [0, 2, 3];

const layers: LayerTable<Forward, BuildContext> = {
  conv2d:
    ({ stride, padding, bias, out }, { jax, path }) =>
    (x, { parameters }) => {
      const weight = parameters[`${path}.weight`] as Array;
      const y = jax.lax.convGeneralDilated(x, weight.ref, [stride, stride], pads(padding));
      return bias ? y.add((parameters[`${path}.bias`] as Array).ref.reshape([1, out, 1, 1])) : y;
    },
  linear:
    ({ bias }, { jax: { numpy }, path }) =>
    (x, { parameters }) => {
      const y = numpy.matmul(x, numpy.transpose((parameters[`${path}.weight`] as Array).ref));
      return bias ? y.add((parameters[`${path}.bias`] as Array).ref) : y;
    },
  batchNorm2d: ({ features }, { jax: { lax, numpy }, path, batch, shape, statistics }) => {
    const [meanName, varianceName] = [`${path}.running_mean`, `${path}.running_var`];
    statistics[meanName] = numpy.zeros([features]);
    statistics[varianceName] = numpy.ones([features]);
    const count = batch * shape[1] * shape[2];
    const move = ({ statistics: before, updated }: Pass, name: string, value: Array): void => {
      const kept = (before[name] as Array).ref.mul(0.9);
      updated[name] = kept.add(lax.stopGradient(value).reshape([features]).mul(0.1));
    };
    return (x, pass) => {
      const mean = numpy.mean(x.ref, BN_AXES, { keepdims: true });
      move(pass, meanName, mean.ref);
      const centered = x.sub(mean);
      const variance = numpy.mean(numpy.square(centered.ref), BN_AXES, { keepdims: true });
      move(pass, varianceName, variance.ref.mul(count / (count - 1)));
      const [weight, bias] = ["weight", "bias"].map((name) =>
        (pass.parameters[`${path}.${name}`] as Array).ref.reshape([1, features, 1, 1]),
      ) as [Array, Array];
      return centered.mul(weight.div(numpy.sqrt(variance.add(1e-5)))).add(bias);
    };
  },
  maxPool2d:
    ({ kernel }, { jax: { lax, numpy } }) =>
    (x) =>
      lax.reduceWindow(x, (window) => numpy.max(window), [kernel, kernel], [kernel, kernel]),
  relu:
    (_, { jax: { nn } }) =>
    (x) =>
      nn.relu(x),
  gelu:
    (_, { jax: { nn } }) =>
    (x) =>
      nn.gelu(x, { approximate: false }),
  globalAvgPool2d:
    (_, { jax: { numpy } }) =>
    (x) =>
      numpy.mean(x, [2, 3]),
  flatten:
    (_, { batch }) =>
    (x) =>
      x.reshape([batch, -1]),
  residual: (spec, context) => {
    const main = chain(spec.main, { ...context, path: `${context.path}.main.` });
    const shortcut = chain(spec.shortcut, { ...context, path: `${context.path}.shortcut.` });
    return (x, pass) => context.jax.nn.relu(main(x.ref, pass).add(shortcut(x, pass)));
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
  return (x, pass) => forwards.reduce((y, forward) => forward(y, pass), x);
};

const trainTask = (jax: Library, problem: TrainProblem, inputs: Inputs): Task => {
  const { numpy, nn, valueAndGrad, blockUntilReady } = jax;
  const { batch } = problem;
  let statistics: Arrays = {};
  const specs = networks[problem.network].layers(problem.image);
  const forward = chain(specs, { jax, path: "", shape: imageShape(problem), batch, statistics });
  const images = upload(jax, inputNamed(inputs, "images"));
  const labels = nn.oneHot(numpy.array(inputs.labels, { dtype: numpy.int32 }), training.classes);
  const names = [...inputs.tensors.keys()].filter((name) => name !== "images");
  let parameters: Arrays = {};
  let momenta: Arrays = {};
  for (const name of names) {
    const value = inputNamed(inputs, name);
    parameters[name] = upload(jax, value);
    momenta[name] = numpy.zeros([...value.shape]);
  }
  const release = (arrays: Arrays): void => {
    for (const array of Object.values(arrays)) array.dispose();
  };
  const shared = (arrays: Arrays): Arrays =>
    Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref]));
  let loss = Number.NaN;
  return {
    run: async () => {
      const compute = (own: Arrays): [Array, Arrays] => {
        const updated: Arrays = {};
        const logits = forward(images.ref, { parameters: own, statistics, updated });
        const picked = nn.logSoftmax(logits).mul(labels.ref);
        release(own);
        return [numpy.sum(picked).mul(-1 / batch), updated];
      };
      const [[value, updated], grads] = valueAndGrad(compute, { hasAux: true })(shared(parameters)) as unknown as [
        [Array, Arrays],
        Arrays,
      ];
      release(statistics);
      statistics = updated;
      const nextParameters: Arrays = {};
      const nextMomenta: Arrays = {};
      for (const name of names) {
        const velocity = (momenta[name] as Array).mul(training.momentum).add(grads[name] as Array);
        nextMomenta[name] = velocity.ref;
        nextParameters[name] = (parameters[name] as Array).sub(velocity.mul(training.learningRate));
      }
      [parameters, momenta] = [nextParameters, nextMomenta];
      await blockUntilReady([parameters, momenta, statistics]);
      loss = (await value.data())[0] as number;
    },
    outputs: async () => {
      const outputs = new Map<string, Float32Array>([["loss", Float32Array.of(loss)]]);
      for (const [name, array] of Object.entries({ ...parameters, ...statistics }))
        outputs.set(name, await download(array));
      return outputs;
    },
    dispose: () => {
      release({ images, labels });
      for (const arrays of [parameters, momenta, statistics]) release(arrays);
    },
  };
};

const prepare = (jax: Library, problem: Problem, inputs: Inputs): Task => {
  if (problem.op === "matmul") return matmulTask(jax, inputs);
  return problem.op === "train" ? trainTask(jax, problem, inputs) : convTask(jax, problem, inputs);
};

/** jax-js on its wasm device. With more threads than one, in what a page would give it. */
export const jaxPeer = (name: string, threads: number): Peer => ({
  name,
  open: async () => {
    const workers = threads > 1 ? createWebWorkers() : undefined;
    const jax = await load(workers, threads);
    const devices = await jax.init("wasm");
    if (!devices.includes("wasm")) throw new Error("jax-js has no wasm device here");
    jax.defaultDevice("wasm");
    const require = createRequire(import.meta.url);
    // Its manifest is no export.
    const manifest = join(dirname(require.resolve("@jax-js/jax")), "../package.json");
    const { version } = require(manifest) as { version: string };
    return {
      version,
      threads,
      wasm: true,
      prepare: (problem, inputs) => prepare(jax, problem, inputs),
      close: () => workers?.terminate(),
    };
  },
});
