/** The experiment of Y. LeCun et al., Proceedings of the IEEE 86(11), 1998, section III and appendix C. */
import { setImmediate } from "node:timers/promises";
import type { Backend, Tensor } from "@striate/core";
import { type Batch, batches, type ImageDataset } from "@striate/data";
import { lenet5Normalization, lenet5Of1998 } from "@striate/models";
import { build, type Module } from "@striate/nn";
import { stochasticDiagonalLm } from "@striate/optim";
import { evaluate, TrainingError } from "@striate/train";
import { criteria } from "./criterion.js";
import { framed } from "./images.js";

/** The global learning rate of each pass; beyond the last, that one. */
const etas = [5e-4, 5e-4, 2e-4, 2e-4, 2e-4, 1e-4, 1e-4, 1e-4, 5e-5, 5e-5, 5e-5, 5e-5, 1e-5] as const;

/** Those of the paper. */
export const mostPasses = 20;

/** Images that the second derivatives are estimated on, before each pass. */
const probed = 500;

/**
 * Keeps steps small where the loss looks flat. The paper has 0.02; here that drove the units of C5 into saturation, where
 * they stay: docs/lenet5-1998.md.
 */
const mu = 0.5;

/** Images a batch where nothing is trained. */
const testBatch = 500;

/** What a pass came to. */
export interface Pass {
  /** From 1. */
  readonly pass: number;
  readonly eta: number;
  /** Mean over the images as they were trained with. */
  readonly loss: number;
  /** Share of the test images that are taken for another digit, after the pass. */
  readonly testError: number;
  /** Since the beginning. */
  readonly seconds: number;
}

export interface Step {
  readonly pass: number;
  /** Done in this pass. */
  readonly images: number;
  /** Of this image. */
  readonly loss: number;
}

export interface ExperimentOptions {
  readonly backend: Backend;
  /** Of 28x28 pixels, one channel and ten classes, as `test`. */
  readonly train: ImageDataset;
  readonly test: ImageDataset;
  /** 1 to `mostPasses`. */
  readonly passes: number;
  readonly seed: number;
  /** Of `lenet5Of1998`. */
  readonly head: keyof typeof criteria;
  readonly onStep?: (step: Step) => void;
  readonly onPass?: (pass: Pass) => void;
  /** Ends the experiment before the next image; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** LeNet-5 and what it is trained with. */
const createTrainee = ({ backend, seed, head }: Pick<ExperimentOptions, "backend" | "seed" | "head">) => {
  const { loss, probe } = criteria[head];
  const net = build(lenet5Of1998({ head }), { backend, seed });
  const optimizer = stochasticDiagonalLm(net.parameters(), { lr: 0, mu });
  const [features, output] = ["features", "output"].map((name) => net.children.get(name)) as [Module, Module];
  let draws = 0;

  const probes = function* (sample: Iterable<Batch>): Iterable<() => Tensor> {
    for (const { images } of sample)
      yield () => {
        const f6 = features.forward(images);
        return probe(f6, output.forward(f6), { seed, offset: draws++ });
      };
  };

  return {
    net,
    optimizer,
    step: (eta: number, { images, labels }: Batch): Tensor => {
      for (const group of optimizer.groups) group.lr = eta;
      return optimizer.step(() => loss(net.forward(images), labels));
    },
    estimateCurvature: (sample: Iterable<Batch>): void => optimizer.estimateCurvature(probes(sample)),
  };
};

const take = function* <T>(items: Iterable<T>, count: number): Iterable<T> {
  let taken = 0;
  for (const item of items) {
    if (taken++ === count) return;
    yield item;
  }
};

/**
 * Train LeNet-5, one image at a time, and test it after each pass.
 *
 * @returns the network, the caller's to dispose.
 * @throws TrainingError for a loss that is not finite; the reason of `signal`; what the callbacks and the backend throw.
 */
export const runExperiment = async (options: ExperimentOptions): Promise<Module> => {
  const { backend, passes, seed, onStep, onPass, signal } = options;
  const [train, test] = [options.train, options.test].map((dataset) => framed(dataset, 2)) as [
    ImageDataset,
    ImageDataset,
  ];
  const trainee = createTrainee(options);
  const started = performance.now();
  const images = (epoch: number) => batches(train, { backend, size: 1, seed, epoch, normalize: lenet5Normalization });
  try {
    for (let pass = 1; pass <= passes; pass++) {
      const eta = etas[Math.min(pass, etas.length) - 1] as number;
      let sum = 0;
      let done = 0;
      // Other images than those that come next: the order is that of an epoch that is never reached.
      trainee.estimateCurvature(take(images(mostPasses + pass - 1), probed));
      for (const batch of images(pass - 1)) {
        signal?.throwIfAborted();
        const loss = trainee.step(eta, batch);
        const value = await loss.item();
        loss.dispose();
        if (!Number.isFinite(value))
          throw new TrainingError("non-finite-loss", `the loss of image ${done} of pass ${pass} is ${value}`);
        sum += value;
        done++;
        onStep?.({ pass, images: done, loss: value });
        // Signals get their turn.
        if (done % 100 === 0) await setImmediate();
      }
      const { accuracy } = await evaluate(
        trainee.net,
        batches(test, { backend, size: testBatch, normalize: lenet5Normalization }),
        { signal },
      );
      onPass?.({
        pass,
        eta,
        loss: sum / done,
        testError: 1 - accuracy,
        seconds: (performance.now() - started) / 1000,
      });
    }
    return trainee.net;
  } catch (error) {
    trainee.net.dispose();
    throw error;
  } finally {
    trainee.optimizer.dispose();
  }
};
