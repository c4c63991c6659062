import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, crossEntropy, type HostArray, memoryUsage, type Tensor } from "@striate/core";
import { type BatchSequence, batches, type ImageDataset, syntheticDataset } from "@striate/data";
import { build, flatten, type Layer, linear, type Module, sequential } from "@striate/nn";
import { type Optimizer, type SgdOptions, sgd } from "@striate/optim";

export const classes = 3;

/** A problem so small that a thousand steps take a second. */
export interface Problem {
  readonly backend: Backend;
  readonly dataset: ImageDataset;
  readonly net: Module;
  readonly optimizer: Optimizer<SgdOptions>;
  readonly loss: (logits: Tensor, labels: Tensor) => Tensor;
  /** 4 batches of 8, 8, 8 and 6 images. */
  readonly batches: (epoch: number) => BatchSequence;
}

export const createProblem = async ({
  layer = sequential([flatten(), linear(16, classes)]),
  lr = 0.1,
  count = 30,
  read = (proceed) => proceed(),
}: {
  readonly layer?: Layer;
  readonly lr?: number;
  readonly count?: number;
  /** Stands between core and the backend's reads, to make a slow device of it, or a failing one. */
  readonly read?: (proceed: () => Promise<HostArray>) => Promise<HostArray>;
} = {}): Promise<Problem> => {
  const cpu = await createCpuBackend();
  const backend: Backend = { ...cpu, read: (source) => read(() => cpu.read(source)) };
  const dataset = syntheticDataset({ count, seed: 1, classes, channels: 1, height: 4, width: 4 });
  const net = build(layer, { backend, seed: 1 });
  const optimizer = sgd(net.parameters(), { lr, momentum: 0.9 });
  return {
    backend,
    dataset,
    net,
    optimizer,
    loss: (logits, labels) => crossEntropy(logits, labels),
    batches: (epoch) => batches(dataset, { backend, size: 8, seed: 1, epoch }),
  };
};

/** What is alive, without the peak, which only grows. */
export const alive = (backend: Backend): object => {
  const { tensors, storages, bytes } = memoryUsage(backend);
  return { tensors, storages, bytes };
};
