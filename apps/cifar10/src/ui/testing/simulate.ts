/** A small run in this process with its live page: real training, so that nothing of the page is make-believe. */
import { createCpuBackend } from "@striate/backend-cpu";
import { crossEntropy, memoryUsage, type Tensor } from "@striate/core";
import { batches, type ImageDataset, splitDataset, syntheticDataset } from "@striate/data";
import { build, conv2d, flatten, type Layer, linear, type Module, maxPool2d, relu, sequential } from "@striate/nn";
import { cosineAnnealingLr, type Optimizer, sgd } from "@striate/optim";
import { type Callback, evaluate, type FitResult, fit } from "@striate/train";
import { confusionOf, perClassOf } from "../../report/figures.js";
import type { Metric } from "../../report/metrics.js";
import type { Change } from "../changes.js";
import type { PageFiles } from "../page-files.js";
import { createUiPort, type UiPort } from "../port.js";
import type { UiRequest } from "../protocol.js";
import { openUi, type Ui } from "../server.js";

export const smallLayer = (): Layer =>
  sequential([conv2d(3, 8, 5, { stride: 2 }), relu(), maxPool2d(2), flatten(), linear(8 * 7 * 7, 10)]);

export interface Subject {
  readonly net: Module;
  readonly optimizer: Optimizer;
  readonly loss: (logits: Tensor, targets: Tensor) => Tensor;
  readonly training: ImageDataset;
  readonly examples: ImageDataset;
  dispose(): void;
}

export const smallSubject = async (
  data: ImageDataset = syntheticDataset({ split: "train", count: 256, seed: 5 }),
  layer: Layer = smallLayer(),
): Promise<Subject> => {
  const backend = await createCpuBackend();
  const { train, validation } = splitDataset(data, { validation: Math.floor(data.count / 4), seed: 1 });
  const net = build(layer, { backend, seed: 1 });
  const optimizer = sgd(net.parameters(), { lr: 0.05, momentum: 0.9, weightDecay: 5e-4 });
  return {
    net,
    optimizer,
    loss: (logits, targets) => crossEntropy(logits, targets),
    training: train,
    examples: validation,
    dispose: () => {
      optimizer.dispose();
      net.dispose();
    },
  };
};

/** What is alive on the backend of `net`. */
export const aliveOn = ({ net }: { readonly net: Module }): unknown => {
  const { peakBytes: _, ...alive } = memoryUsage((net.parameters()[0] as Tensor).backend);
  return alive;
};

export interface Simulation {
  readonly ui: Ui;
  readonly port: UiPort;
  /** As they came from the page. */
  readonly requests: readonly UiRequest[];
  readonly changes: readonly Change[];
  readonly metrics: readonly Metric[];
  /** Resolves with the last event told. */
  readonly done: Promise<FitResult>;
  /** After the end of the run. */
  close(): Promise<void>;
}

export interface SimulateOptions {
  readonly files: PageFiles;
  readonly subject: Subject;
  /** Of the rest it makes no more than a page may stop. */
  readonly epochs: number;
  readonly batchSize?: number;
  readonly title?: string;
}

export const simulateRun = async ({
  files,
  subject,
  epochs,
  batchSize = 16,
  title = "small net · cpu",
}: SimulateOptions): Promise<Simulation> => {
  const { net, optimizer, loss, training, examples } = subject;
  const { backend } = net.parameters()[0] as Tensor;
  const requests: UiRequest[] = [];
  const changes: Change[] = [];
  const metrics: Metric[] = [];
  const started = performance.now();
  const time = (): number => (performance.now() - started) / 1000;
  const ui = await openUi({
    title,
    facts: [
      ["network", "small net"],
      ["parameters", `${net.parameters().reduce((sum, { size }) => sum + size, 0)}`],
    ],
    files,
    onRequest: (request) => {
      requests.push(request);
      port.request(request);
    },
  });
  const tell = (metric: Metric): void => {
    metrics.push(metric);
    ui.metric(metric);
  };
  const port = createUiPort({
    ...subject,
    // As between threads.
    post: (message) => ui.message(structuredClone(message)),
    changed: (change) => {
      changes.push(change);
      tell({ event: "change", time: time(), ...JSON.parse(JSON.stringify(change)) });
    },
    interval: 0,
    share: 1,
  });
  const perEpoch = Math.floor(training.count / batchSize);
  const steps = epochs * perEpoch;
  const lr = cosineAnnealingLr(0.05, { tMax: steps });
  const rates = new Map<number, number>();
  let last = 0;
  const record: Callback = {
    beforeStep: ({ step }) => {
      for (const group of optimizer.groups) group.lr = lr(step);
    },
    afterStep: ({ step }) => {
      rates.set(step, optimizer.groups[0]?.lr as number);
    },
    onStep: ({ step, epoch, images, loss: value, correct }) => {
      const now = time();
      tell({
        event: "step",
        time: now,
        step: step + 1,
        epoch,
        loss: value,
        accuracy: correct / images,
        lr: rates.get(step) as number,
        images,
        seconds: now - last,
      });
      last = now;
      rates.delete(step);
    },
    onEpoch: async ({ epoch, steps: made, loss: trainLoss, accuracy: trainAccuracy, images, seconds }) => {
      tell({
        event: "epoch",
        time: time(),
        epoch,
        steps: made,
        trainLoss,
        trainAccuracy,
        imagesPerSecond: images / seconds,
        seconds,
      });
      await validate(epoch, (epoch + 1) * perEpoch);
    },
  };
  const evaluated = async () => evaluate(net, batches(examples, { backend, size: 64 }));
  const validate = async (epoch: number, step: number): Promise<void> => {
    const { loss: value, accuracy, images, labels, predictions } = await evaluated();
    tell({ event: "validation", time: time(), epoch, step, loss: value, accuracy, images });
    port.evaluated({ dataset: examples, split: "validation", step, labels, predictions });
  };
  tell({
    event: "start",
    time: 0,
    steps,
    epochs,
    batchSize,
    backend: backend.name,
    seed: 1,
    data: training.name,
    classes: [...training.classes],
  });
  const train = async (): Promise<FitResult> => {
    const result = await fit({
      net,
      optimizer,
      loss,
      epochs,
      batches: (epoch, start) => batches(training, { backend, size: batchSize, seed: 1, epoch, start, dropLast: true }),
      callbacks: [record, port.callback],
    });
    const { loss: value, accuracy, images, labels, predictions } = await evaluated();
    const confusion = confusionOf(labels, predictions, training.classes.length);
    const perClass = perClassOf(confusion, training.classes);
    tell({ event: "test", time: time(), which: "last", loss: value, accuracy, images, confusion, perClass });
    port.evaluated({ dataset: examples, split: "test", step: result.steps, labels, predictions });
    tell({
      event: "end",
      time: time(),
      ended: result.ended,
      ...(result.reason !== undefined && { reason: result.reason }),
      seconds: result.seconds,
    });
    return result;
  };
  return { ui, port, requests, changes, metrics, done: train(), close: () => ui.close() };
};
