/** Run folders as training leaves them, made in a moment, with numbers that look like a run's. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors } from "@striate/checkpoint";
import { randomWords } from "@striate/core";
import { type ImageDataset, syntheticDataset } from "@striate/data";
import { confusionOf, perClassOf } from "../figures.js";
import type { MetricOf } from "../metrics.js";
import { predictionsOf } from "../predictions.js";

/** Uniform numbers from 0 to 1, the same at every call. */
export const uniform = (seed: number): (() => number) => {
  let index = 0;
  let words: Uint32Array = new Uint32Array();
  return () => {
    if (index % 1024 === 0) words = randomWords(seed, 1, index, 1024);
    return (words[index++ % 1024] as number) / 2 ** 32;
  };
};

export interface FabricateOptions {
  readonly seed?: number;
  readonly epochs?: number;
  readonly stepsPerEpoch?: number;
  /** Added to what the network gets right in the end. */
  readonly better?: number;
  readonly preset?: string;
}

export const fabricatedTest = (): ImageDataset => syntheticDataset({ split: "test", count: 400, seed: 3 });

/** The objects of a metrics.jsonl, from the start to the end, and the probabilities of the test. */
export const fabricateMetrics = ({
  seed = 1,
  epochs = 4,
  stepsPerEpoch = 60,
  better = 0,
  preset = "fast70",
}: FabricateOptions = {}) => {
  const random = uniform(seed);
  const steps = epochs * stepsPerEpoch;
  const batchSize = 512;
  const test = fabricatedTest();
  const classes = [...test.classes];
  const lines: Record<string, unknown>[] = [
    {
      event: "start",
      time: 0,
      preset,
      network: "speed net 16/32/32",
      parameters: 38_734,
      backend: "wasm",
      epochs,
      steps,
      batchSize,
      seed,
      data: "cifar10/train",
      classes,
    } satisfies MetricOf<"start">,
  ];
  let time = 0.5;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const begun = time;
    let lossSum = 0;
    let right = 0;
    for (let i = 0; i < stepsPerEpoch; i++) {
      const step = epoch * stepsPerEpoch + i + 1;
      const share = step / steps;
      const seconds = 0.24 + 0.03 * random();
      time += seconds;
      const loss = 2.3 * Math.exp(-2.2 * share - better) + 0.55 + 0.25 * (random() - 0.5) * (1 - share / 2);
      const accuracy =
        Math.round(batchSize * Math.min(1, 0.8 - 0.7 * Math.exp(-3 * share) + better + 0.06 * (random() - 0.5))) /
        batchSize;
      lossSum += loss;
      right += accuracy;
      const lr = 0.4 * (share < 0.23 ? 0.2 + (0.8 * share) / 0.23 : 1 - (0.93 * (share - 0.23)) / 0.77);
      lines.push({
        event: "step",
        time,
        step,
        epoch,
        loss,
        accuracy,
        lr,
        images: batchSize,
        seconds,
      } satisfies MetricOf<"step">);
    }
    const seconds = time - begun;
    lines.push({
      event: "epoch",
      time,
      epoch,
      steps: stepsPerEpoch,
      trainLoss: lossSum / stepsPerEpoch,
      trainAccuracy: right / stepsPerEpoch,
      imagesPerSecond: (stepsPerEpoch * batchSize) / seconds,
      seconds,
    } satisfies MetricOf<"epoch">);
    time += 1.5;
    const step = (epoch + 1) * stepsPerEpoch;
    lines.push({
      event: "validation",
      time,
      epoch,
      step,
      loss: 0.75 + 1.2 * Math.exp((-3 * step) / steps) - better,
      accuracy: 0.76 - 0.4 * Math.exp((-3 * step) / steps) + better,
      images: 5000,
    } satisfies MetricOf<"validation">);
    lines.push({
      event: "checkpoint",
      time,
      step,
      file: `checkpoints/step-${`${step}`.padStart(8, "0")}.safetensors`,
      best: true,
    } satisfies MetricOf<"checkpoint">);
    if (epoch === 1)
      lines.push({
        event: "change",
        time,
        step,
        lr: 0.25,
        lrScale: 0.78,
        weightDecay: 0.0005,
      } satisfies MetricOf<"change">);
  }
  const probabilities = new Float32Array(test.count * classes.length);
  for (let i = 0; i < test.count; i++) {
    const row = classes.map((_, c) => random() ** 4 + (c === test.labels[i] ? 0.9 * random() : 0));
    const sum = row.reduce((a, b) => a + b, 0);
    probabilities.set(
      row.map((p) => p / sum),
      i * classes.length,
    );
  }
  for (const which of ["last", "best"] as const) {
    const { labels, predictions } = predictionsOf({ dataset: test, which, probabilities });
    const confusion = confusionOf(labels, predictions, classes.length);
    const correct = confusion.reduce((sum, row, c) => sum + (row[c] as number), 0);
    time += 2;
    lines.push({
      event: "test",
      time,
      which,
      loss: 0.83,
      accuracy: correct / test.count,
      images: test.count,
      confusion,
      perClass: perClassOf(confusion, classes),
    } satisfies MetricOf<"test">);
  }
  lines.push({ event: "end", time, ended: "finished", seconds: time } satisfies MetricOf<"end">);
  return { lines, probabilities, test };
};

/** Writes all files of a finished run into `folder`, which is made. */
export const fabricateRun = async (folder: string, options: FabricateOptions = {}): Promise<void> => {
  const { lines, probabilities, test } = fabricateMetrics(options);
  const random = uniform(7);
  await mkdir(folder, { recursive: true });
  const json = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  await writeFile(join(folder, "metrics.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await json("config.json", {
    preset: options.preset ?? "fast70",
    seed: options.seed ?? 1,
    optimizer: { name: "sgd", momentum: 0.85, nesterov: true },
    augment: { flip: "alternating", crop: { padding: 2 } },
  });
  await json("environment.json", {
    startedAt: "2026-03-01T12:00:00.000Z",
    node: "v20.19.0",
    cpu: "Xeon",
    threads: 2,
    backend: "wasm",
  });
  await json("summary.json", { accuracy: { last: 0.7, best: 0.71 }, seconds: 63.2 });
  await json("predictions.json", predictionsOf({ dataset: test, which: "last", split: "cifar10/test", probabilities }));
  const shape = [24, 3, 5, 5];
  const data = Float32Array.from({ length: 24 * 75 }, () => random() - 0.5);
  const weights = encodeSafetensors([["conv1.weight", { dtype: "F32", shape, data }]]);
  await writeFile(join(folder, "weights.safetensors"), weights);
};
