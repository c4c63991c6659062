import { createRequire } from "node:module";
import { createWasmBackend } from "@striate/backend-wasm";
import { createBackend, type WasmTile } from "@striate/backends";
import { type Backend, convTranspose2d, crossEntropy, matmul, type Tensor, tensor } from "@striate/core";
import {
  adaptiveAvgPool2d,
  batchNorm2d,
  build,
  conv2d,
  flatten,
  gelu,
  type Layer,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "@striate/nn";
import { sgd } from "@striate/optim";
import { type LayerSpec, type LayerTable, makeLayer, networks } from "../networks.js";
import type { Peer, Task } from "../peer.js";
import {
  type ConvProblem,
  type HostTensor,
  type Inputs,
  inputNamed,
  type Problem,
  type TrainProblem,
  training,
} from "../problem.js";

const layers: LayerTable<Layer, undefined> = {
  conv2d: ({ in: inputs, out, kernel, ...options }) => conv2d(inputs, out, kernel, options),
  linear: ({ in: inputs, out, bias }) => linear(inputs, out, { bias }),
  batchNorm2d: ({ features }) => batchNorm2d(features),
  maxPool2d: ({ kernel }) => maxPool2d(kernel),
  relu: () => relu(),
  gelu: () => gelu(),
  globalAvgPool2d: () => sequential([adaptiveAvgPool2d(1), flatten()]),
  flatten: () => flatten(),
  residual: (spec) => (m) => {
    const main = m.child("main", chain(spec.main));
    const shortcut = m.child("shortcut", chain(spec.shortcut));
    return (x) => main(x).add(shortcut(x)).relu();
  },
};

const chain = (specs: readonly LayerSpec[]): Layer =>
  sequential(specs.map((spec) => makeLayer(layers, spec, undefined)));

const upload = (backend: Backend, { data, shape }: HostTensor): Tensor => tensor(data, { backend, shape });

const download = async (t: Tensor): Promise<Float32Array> => (await t.data()) as Float32Array;

/** A task around an op. The result is kept until the next run, so that it can be compared. */
const opTask = (backend: Backend, inputs: readonly Tensor[], compute: () => Tensor): Task => {
  let result: Tensor | undefined;
  return {
    run: () => {
      result?.dispose();
      result = compute();
      return backend.sync();
    },
    outputs: async () => new Map([["y", await download(result as Tensor)]]),
    dispose: () => {
      for (const t of [...inputs, ...(result ? [result] : [])]) t.dispose();
    },
  };
};

const matmulTask = (backend: Backend, inputs: Inputs): Task => {
  const a = upload(backend, inputNamed(inputs, "a"));
  const b = upload(backend, inputNamed(inputs, "b"));
  return opTask(backend, [a, b], () => matmul(a, b));
};

const convTask = (backend: Backend, { op, padding, ...sizes }: ConvProblem, inputs: Inputs): Task => {
  const get = (name: string): Tensor => upload(backend, inputNamed(inputs, name));
  if (op === "conv2d") {
    const [x, w] = [get("x"), get("w")];
    return opTask(backend, [x, w], () => x.conv2d(w, { padding }));
  }
  const gy = get("gy");
  if (op === "conv2dGradInput") {
    const w = get("w");
    return opTask(backend, [w, gy], () => convTranspose2d(gy, w, { padding }));
  }
  // Recorded once; then only the backward pass is run, for the weight alone.
  const shape = [sizes.out, sizes.in, sizes.kernel, sizes.kernel];
  const w = tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { backend, shape, requiresGrad: true });
  const x = get("x");
  const y = x.conv2d(w, { padding });
  return opTask(backend, [x, w, y, gy], () => {
    y.backward({ gradient: gy, retainGraph: true });
    const grad = w.grad as Tensor;
    w.grad = null;
    return grad;
  });
};

const trainTask = (backend: Backend, { network, image }: TrainProblem, inputs: Inputs): Task => {
  const net = build(chain(networks[network].layers(image)), { backend, seed: 1 });
  for (const [name, parameter] of net.namedParameters()) {
    const value = upload(backend, inputNamed(inputs, name));
    parameter.assign(value);
    value.dispose();
  }
  const images = upload(backend, inputNamed(inputs, "images"));
  const labels = tensor(inputs.labels, { backend });
  const optimizer = sgd(net.parameters(), { lr: training.learningRate, momentum: training.momentum });
  let loss = Number.NaN;
  return {
    run: async () => {
      const value = optimizer.step(() => crossEntropy(net.forward(images), labels));
      loss = await value.item();
      value.dispose();
    },
    outputs: async () => {
      const outputs = new Map<string, Float32Array>([["loss", Float32Array.of(loss)]]);
      for (const [name, t] of net.stateDict()) if (t.dtype === "float32") outputs.set(name, await download(t));
      return outputs;
    },
    dispose: () => {
      optimizer.dispose();
      net.dispose();
      for (const t of [images, labels]) t.dispose();
    },
  };
};

const prepare = (backend: Backend, problem: Problem, inputs: Inputs): Task => {
  if (problem.op === "matmul") return matmulTask(backend, inputs);
  return problem.op === "train" ? trainTask(backend, problem, inputs) : convTask(backend, problem, inputs);
};

interface Started {
  readonly backend: Backend;
  readonly threads: number | null;
  readonly wasm: boolean;
}

const peer = (name: string, start: () => Promise<Started>): Peer => ({
  name: `striate:${name}`,
  open: async () => {
    const { backend, ...traits } = await start();
    const { version } = createRequire(import.meta.url)("@striate/core/package.json") as { version: string };
    return {
      version,
      ...traits,
      prepare: (problem, inputs) => prepare(backend, problem, inputs),
      close: () => backend.dispose(),
    };
  },
});

/** Backends whose work is not the calling thread's. */
const onGpu = /web(gl|gpu)$/;

/** Striate on one of its backends, by the name that `--backend` takes. */
export const striatePeer = (backendName: string): Peer =>
  peer(backendName, async () => {
    const { backend } = await createBackend(backendName);
    const threads = onGpu.test(backendName) ? null : 1;
    return { backend, threads, wasm: backendName.endsWith("wasm") };
  });

/** Striate on its wasm backend with so many threads, or with all, and with a tile or the usual one. @throws Error if it got fewer threads. */
export const striateWasmPeer = (wanted?: number, wantedTile?: WasmTile): Peer =>
  peer(["wasm", wanted && `-${wanted}`, wantedTile && `:${wantedTile}`].filter(Boolean).join(""), async () => {
    const backend = await createWasmBackend({
      ...(wanted !== undefined && { threads: wanted }),
      ...(wantedTile && { tile: wantedTile }),
    });
    const { threads, threadsNote } = backend;
    if (wanted !== undefined && threads !== wanted) {
      backend.dispose();
      throw new Error(threadsNote);
    }
    return { backend, threads, wasm: true };
  });
