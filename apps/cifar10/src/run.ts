import { access, constants, mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { createBackend } from "@striate/backends";
import { weightsSha256 } from "@striate/checkpoint";
import { saveSafetensors } from "@striate/checkpoint/node";
import type { Backend } from "@striate/core";
import { batches, type ImageDataset, syntheticDataset } from "@striate/data";
import { cifar10 } from "@striate/data/node";
import { evaluate, fit, stepsOf } from "@striate/train";
import type { Options } from "./options.js";
import { presets } from "./recipes.js";
import { epochText, percent, type Reporter, stepDetail } from "./reporter.js";
import { withViews } from "./views.js";

/** The folder for the weights cannot be written. */
export class OutputError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OutputError";
  }
}

/** Options that are well formed but do not go together. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** Better known before training than after it. */
const prepareOutput = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw new OutputError(`cannot write to ${folder}: ${(error as Error).message}`, { cause: error });
  }
};

const loadData = async (
  split: "train" | "test",
  options: Options,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<ImageDataset> => {
  if (options.synthetic) return syntheticDataset({ split, count: split === "train" ? 2048 : 512, seed: options.seed });
  return cifar10(split, {
    dir: options.data,
    offline: options.offline,
    signal,
    onProgress: (event) => {
      if (event.phase === "notice") reporter.notice(event.message);
      else reporter.progress(`${event.phase} ${event.source}`, event.received, event.total ?? event.received);
    },
  });
};

export type Ended = "finished" | "interrupted";

const train = async (options: Options, backend: Backend, reporter: Reporter, signal: AbortSignal): Promise<Ended> => {
  const preset = presets[options.preset];
  const { epochs = preset.epochs, batchSize = preset.batchSize, seed } = options;
  await prepareOutput(options.out);
  const training = await loadData("train", options, reporter, signal);
  const test = await loadData("test", options, reporter, signal);
  reporter.event(
    { event: "start", preset: options.preset, backend: backend.name, epochs, batchSize, seed, data: training.name },
    `training ${options.preset} (${preset.summary}) on ${training.count} images of ${training.name}, ` +
      `backend ${backend.name}, seed ${seed}`,
  );

  const started = performance.now();
  const prepared = preset.recipe({ epochs, batchSize, training }, { backend, seed });
  const { net, optimizer, loss, reduction, augment } = prepared;
  try {
    const batchOptions = { backend, size: batchSize, seed, augment, dropLast: true };
    const perEpoch = batches(training, batchOptions).total;
    const total = stepsOf(epochs, perEpoch);
    if (total === 0)
      throw new UsageError(`${epochs} epochs of ${perEpoch} batches of ${batchSize} images make no step; train longer`);
    const detail = stepDetail();
    const showing = performance.now();
    let seen = 0;
    const result = await fit({
      net,
      optimizer,
      loss,
      reduction,
      epochs,
      signal,
      batches: (epoch) => batches(training, { ...batchOptions, epoch }),
      callbacks: [
        ...prepared.callbacks,
        {
          onStep: (report) => {
            seen += report.images;
            const speed = (1000 * seen) / (performance.now() - showing);
            const label = `epoch ${report.epoch + 1}/${Math.ceil(epochs)}`;
            reporter.progress(label, report.step + 1, total, detail(report, speed));
          },
          onEpoch: (report) => {
            const { epoch, loss: trainLoss, accuracy, images, seconds } = report;
            reporter.event(
              { event: "epoch", epoch: epoch + 1, trainLoss, trainAccuracy: accuracy, imagesPerSecond: images / seconds },
              epochText(report, epochs),
            );
          },
        },
      ],
    });
    prepared.finish();
    const trainSeconds = (performance.now() - started) / 1000;
    const file = join(options.out, `${options.preset}-${backend.name.replace(":", "-")}-seed${seed}.safetensors`);
    const sha256 = await weightsSha256(net.stateDict());
    await saveSafetensors(file, net.stateDict(), {
      metadata: { preset: options.preset, seed: `${seed}`, steps: `${result.steps}`, sha256 },
    });
    const common = {
      trainSeconds,
      imagesPerSecond: result.images / result.seconds,
      epochs: result.steps / perEpoch,
      preset: options.preset,
      backend: backend.name,
      seed,
      trainLoss: result.loss,
      weightsSha256: sha256,
      weights: file,
      data: training.name,
    };
    const saved = `weights: ${relative(".", file)} (sha256 ${sha256.slice(0, 16)}…)`;
    if (result.ended === "aborted") {
      reporter.event({ event: "interrupted", ...common }, `stopped after ${result.steps} of ${total} steps; ${saved}`);
      return "interrupted";
    }
    // The test images are looked at here and nowhere else.
    const evaluation = await evaluate(net, batches(test, { backend, size: Math.min(500, test.count) }), {
      logits: withViews(net.forward, options.views),
      onBatch: ({ images }) => reporter.progress("test", images, test.count),
      signal,
    });
    const { accuracy: testAccuracy, loss: testLoss } = evaluation;
    reporter.event(
      { event: "end", testAccuracy, testLoss, views: options.views, ...common },
      `test accuracy ${percent(testAccuracy)} on ${evaluation.images} images` +
        `${options.views === 1 ? "" : ` (${options.views} views)`}, trained in ${trainSeconds.toFixed(1)} s ` +
        `(${Math.round(common.imagesPerSecond)} images/s)\n${saved}`,
    );
    return "finished";
  } finally {
    prepared.dispose();
  }
};

/** Train, save, test. The signal ends training after the step that is running; the weights are saved then too. */
export const run = async (options: Options, reporter: Reporter, signal: AbortSignal): Promise<Ended> => {
  const { backend, reason } = await createBackend(options.backend);
  if (reason && !options.json) reporter.notice(`backend ${backend.name}: ${reason}`);
  try {
    return await train(options, backend, reporter, signal);
  } finally {
    reporter.clear();
    backend.dispose();
  }
};
