import { join } from "node:path";
import { createBackend } from "@striate/backends";
import { tensorsToHost, weightsSha256 } from "@striate/checkpoint";
import { saveSafetensors } from "@striate/checkpoint/node";
import type { Backend } from "@striate/core";
import { batches, type ImageDataset, syntheticDataset } from "@striate/data";
import { cifar10, type DataProgress } from "@striate/data/node";
import { evaluate, type FitResult, fit, stepsOf } from "@striate/train";
import { type Options, UsageError } from "./options.js";
import { expectReplaceable, prepareOutput } from "./output.js";
import { clock, megabytes, percent } from "./progress-line.js";
import { type Prepared, presets } from "./recipes.js";
import type { Reporter } from "./reporter.js";
import { trainingReports } from "./training-reports.js";
import { type Views, withViews } from "./views.js";

export type Ended = "finished" | "interrupted";

/** What the command line and the preset come to. */
interface Settings extends Options {
  readonly epochs: number;
  readonly batchSize: number;
  readonly views: Views;
}

const settingsOf = (options: Options): Settings => {
  const { epochs, batchSize, views } = presets[options.preset];
  return {
    ...options,
    epochs: options.epochs ?? epochs,
    batchSize: options.batchSize ?? batchSize,
    views: options.views ?? views,
  };
};

const dataPhases = { download: "downloading", decode: "unpacking", verify: "reading" } as const;

/** Shows where reading or fetching the data stands. */
const dataReports = (reporter: Reporter): ((event: DataProgress) => void) => {
  const announced = new Set<string>();
  return (event) => {
    if (event.phase === "notice") {
      reporter.notice(event.message);
      return;
    }
    const { phase, source, received, total } = event;
    // For logs too: it takes minutes.
    if (phase === "download" && !announced.has(source)) {
      announced.add(source);
      reporter.notice(`fetching CIFAR-10 from ${source}${total === undefined ? "" : ` (${megabytes(total)})`}`);
    }
    const details = received > 0 ? [megabytes(received)] : [];
    reporter.progress({ phase: `${dataPhases[phase]} CIFAR-10`, done: received, total, details });
  };
};

const loadData = async (
  split: "train" | "test",
  { synthetic, seed, data, offline }: Settings,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<ImageDataset> =>
  synthetic
    ? syntheticDataset({ split, count: split === "train" ? 2048 : 512, seed })
    : cifar10(split, { dir: data, offline, signal, onProgress: dataReports(reporter) });

/** Steps an epoch and in all. @throws UsageError if there would be none. */
const planSteps = ({ epochs, batchSize }: Settings, { count }: ImageDataset): { perEpoch: number; total: number } => {
  const perEpoch = Math.floor(count / batchSize);
  if (perEpoch === 0) throw new UsageError(`--batch-size ${batchSize} is more than the ${count} training images`);
  const total = stepsOf(epochs, perEpoch);
  if (total === 0)
    throw new UsageError(`--epochs ${epochs} is less than one step of ${batchSize} images; an epoch has ${perEpoch}`);
  return { perEpoch, total };
};

/** Where the weights go. An interrupted run leaves those of a finished one alone. */
const weightsFile = ({ out, preset, seed }: Settings, backend: Backend, ended: FitResult["ended"]): string => {
  const suffix = ended === "finished" ? "" : "-interrupted";
  return join(out, `${preset}-${backend.name.replaceAll(":", "-")}-seed${seed}${suffix}.safetensors`);
};

const train = async (settings: Settings, backend: Backend, reporter: Reporter, signal: AbortSignal): Promise<Ended> => {
  const { preset, epochs, batchSize, seed, views } = settings;
  await prepareOutput(settings.out);
  await expectReplaceable(weightsFile(settings, backend, "finished"));
  const training = await loadData("train", settings, reporter, signal);
  const test = await loadData("test", settings, reporter, signal);
  const steps = planSteps(settings, training);
  reporter.event(
    { event: "start", preset, backend: backend.name, epochs, batchSize, seed, data: training.name },
    ({ bold }) =>
      `${bold(preset)}: ${presets[preset].summary}\n` +
      `${training.count} images of ${training.name}, ${steps.total} steps of ${batchSize}, backend ${backend.name}, seed ${seed}`,
  );
  reporter.progress({ phase: "training", done: 0, total: steps.total });

  const started = performance.now();
  const prepared: Prepared = presets[preset].recipe({ steps: steps.total, batchSize, training }, { backend, seed });
  try {
    const { net, optimizer, loss, reduction, augment } = prepared;
    const result = await fit({
      net,
      optimizer,
      loss,
      reduction,
      epochs,
      signal,
      batches: (epoch) => batches(training, { backend, size: batchSize, seed, epoch, augment, dropLast: true }),
      callbacks: [...prepared.callbacks, trainingReports(reporter, epochs, steps.total)],
    });
    if (result.ended === "finished") prepared.finish();
    // Reading the weights waits for the device: only now has all of the work been done.
    const weights = await tensorsToHost(net.stateDict());
    const trainSeconds = (performance.now() - started) / 1000;
    const common = {
      trainSeconds,
      imagesPerSecond: result.images / trainSeconds,
      epochs: result.steps / steps.perEpoch,
      steps: result.steps,
      preset,
      batchSize,
      backend: backend.name,
      seed,
      data: training.name,
      trainLoss: result.loss,
    };
    if (result.steps === 0) {
      reporter.event({ event: "interrupted", ...common }, () => "stopped before the first step; nothing is saved");
      return "interrupted";
    }

    const file = weightsFile(settings, backend, result.ended);
    const sha256 = await weightsSha256(weights);
    await saveSafetensors(file, weights, {
      metadata: { preset, backend: backend.name, seed: `${seed}`, steps: `${result.steps}`, sha256 },
    });
    const saved = { ...common, weightsSha256: sha256, weights: file };
    const savedText = `weights: ${file} (sha256 ${sha256.slice(0, 16)}…)`;
    const stopped = (when: string): Ended => {
      reporter.event({ event: "interrupted", ...saved }, () => `stopped ${when}\n${savedText}`);
      return "interrupted";
    };
    if (result.ended === "aborted") return stopped(`after ${result.steps} of ${steps.total} steps`);

    // The test images are looked at here and nowhere else.
    reporter.progress({ phase: "testing", done: 0, total: test.count });
    const evaluation = await evaluate(net, batches(test, { backend, size: Math.min(500, test.count) }), {
      logits: withViews(net.forward, views),
      onBatch: ({ images }) => reporter.progress({ phase: "testing", done: images, total: test.count }),
      signal,
    }).catch((error: unknown) => {
      if (signal.aborted && error === signal.reason) return null;
      throw error;
    });
    if (evaluation === null) return stopped("while testing");
    const { accuracy: testAccuracy, loss: testLoss, images } = evaluation;
    reporter.event(
      { event: "end", testAccuracy, testLoss, testImages: images, views, ...saved },
      ({ bold }) =>
        `${bold(`test accuracy ${percent(testAccuracy)}`)} on ${images} images${views === 1 ? "" : `, ${views} views each`}; ` +
        `trained in ${clock(trainSeconds)} (${Math.round(saved.imagesPerSecond)} images/s)\n${savedText}`,
    );
    return "finished";
  } finally {
    prepared.dispose();
  }
};

/**
 * Train, save, test. The signal ends training after the step that is running; what was trained is saved then too.
 *
 * @throws UsageError, OutputError, BackendChoiceError, DataError, TrainingError, CheckpointError, core's errors.
 */
export const run = async (options: Options, reporter: Reporter, signal: AbortSignal): Promise<Ended> => {
  const { backend, reason } = await createBackend(options.backend);
  const about = [backend.description, reason].filter((text) => text).join("; ");
  if (about && !options.json) reporter.notice(`backend ${backend.name}: ${about}`);
  try {
    return await train(settingsOf(options), backend, reporter, signal);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    reporter.event({ event: "interrupted" }, () => "stopped before training; nothing is saved");
    return "interrupted";
  } finally {
    backend.dispose();
  }
};
