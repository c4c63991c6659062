/** What a run does behind its last step: tests, saves, reports. */
import { join } from "node:path";
import { tensorsToHost, weightsSha256 } from "@striate/checkpoint";
import { replaceFile } from "@striate/checkpoint/node";
import type { Backend } from "@striate/core";
import type { ImageDataset } from "@striate/data";
import { type FitResult, restoreState } from "@striate/train";
import type { RunFolder } from "@striate/train/node";
import type { CommandContext } from "../commands/command.js";
import { keepsBest } from "../config/resolve.js";
import { clock, percent } from "../progress-line.js";
import { currentRecords, readMetrics, toCsv, writeReport, writeTensorBoard } from "../report/index.js";
import { resumeCommand } from "./resume.js";
import type { Session, SessionPlan } from "./session.js";
import { type Tested, testWeights } from "./testing.js";
import type { Outcome, TrainJob } from "./train.js";

export interface FinishedTraining extends SessionPlan, Pick<TrainJob, "csv" | "tensorboard"> {
  readonly test: ImageDataset;
  readonly session: Session;
  readonly backend: Backend;
  readonly result: FitResult;
  /** What making the network took: it is part of training. */
  readonly assembleSeconds: number;
}

const figures = ({ accuracy, loss }: Tested): object => ({ testAccuracy: accuracy, testLoss: loss });

const interrupted: Outcome = { exit: "ok", testAccuracy: undefined };

/** Files for other programs. */
const exportMetrics = async (folder: string, { csv, tensorboard }: Pick<TrainJob, "csv" | "tensorboard">) => {
  if (csv) {
    const { records } = await readMetrics(join(folder, "metrics.jsonl"));
    const text = toCsv(currentRecords(records).map(({ metric }) => metric));
    await replaceFile(join(folder, "metrics.csv"), [new TextEncoder().encode(text)]);
  }
  if (tensorboard) await writeTensorBoard(folder);
};

/** Tests the weights of the last step and, where they are kept, the best; saves those that the run comes to. */
export const finishRun = async (
  run: RunFolder,
  training: FinishedTraining,
  { reporter, signal }: CommandContext,
): Promise<Outcome> => {
  const { config, steps, test, session, backend, result, assembleSeconds } = training;
  const { assembled, port } = session;
  const { net } = assembled;
  const { preset, batchSize, seed, views } = config;
  if (result.ended !== "aborted") assembled.finish();
  // Reading the weights waits for the device: only now has all of the work been done.
  const reading = performance.now();
  let weights = await tensorsToHost(net.stateDict());
  const trainSeconds = assembleSeconds + result.seconds + (performance.now() - reading) / 1000;
  const common = {
    trainSeconds,
    imagesPerSecond: result.images / trainSeconds,
    epochs: result.steps / steps.perEpoch,
    steps: result.steps,
    preset,
    batchSize,
    backend: backend.name,
    seed,
    data: training.training.name,
    trainLoss: result.loss,
    run: run.path,
  };
  const resume = resumeCommand(run.path);
  if (result.steps === 0) {
    run.event({ event: "end", ended: result.ended, seconds: trainSeconds });
    reporter.event(
      { event: "interrupted", ...common },
      () => "stopped before the first step; there are no weights to keep",
    );
    return interrupted;
  }

  const file = join(run.path, "weights.safetensors");
  const save = async (): Promise<{ weightsSha256: string; weights: string }> => {
    const sha256 = await weightsSha256(weights);
    await run.saveWeights(weights, {
      preset,
      backend: backend.name,
      seed: `${seed}`,
      steps: `${result.steps}`,
      sha256,
    });
    return { weightsSha256: sha256, weights: file };
  };
  const stopped = async (when: string): Promise<Outcome> => {
    const saved = await save();
    run.event({ event: "end", ended: "aborted", seconds: trainSeconds });
    reporter.event(
      { event: "interrupted", ...common, ...saved, resume },
      ({ bold }) => `stopped ${when}\nweights: ${file}\nto go on: ${bold(resume)}`,
    );
    return interrupted;
  };
  if (result.ended === "aborted") return stopped(`after ${result.steps} of ${steps.total} steps`);

  // The test images are looked at here and nowhere else.
  reporter.progress({ phase: "testing", done: 0, total: test.count });
  const best = keepsBest(config) ? await run.best() : undefined;
  const bestStep = best?.progress.step;
  const look = async (which: "last" | "best", step: number, kept: boolean): Promise<Tested> => {
    const tested = await testWeights(net, test, which, run, {
      backend,
      views,
      phase: "testing",
      reporter,
      signal,
      kept,
    });
    const { labels, predictions } = tested;
    if (kept) port?.evaluated({ dataset: test, split: "test", step, labels, predictions });
    return tested;
  };
  const testAll = async (): Promise<{ last: Tested; best: Tested | undefined }> => {
    const last = await look("last", result.steps, best === undefined);
    if (!best) return { last, best: undefined };
    restoreState(best.states, session.training);
    assembled.adopt();
    weights = await tensorsToHost(net.stateDict());
    return { last, best: await look("best", best.progress.step, true) };
  };
  let tested: Awaited<ReturnType<typeof testAll>>;
  try {
    tested = await testAll();
  } catch (error) {
    if (signal.aborted && error === signal.reason) return stopped("while testing");
    throw error;
  }
  const saved = await save();
  const { accuracy: testAccuracy, loss: testLoss, images } = tested.best ?? tested.last;
  const end = {
    testAccuracy,
    testLoss,
    testImages: images,
    views,
    ...common,
    ...saved,
    ended: result.ended,
    ...(result.reason !== undefined && { reason: result.reason }),
    last: figures(tested.last),
    ...(tested.best && { best: { ...figures(tested.best), step: bestStep } }),
  };
  const { ended, reason } = result;
  run.event({ event: "end", ended, ...(reason !== undefined && { reason }), seconds: trainSeconds });
  await run.writeJson("summary.json", end);
  const report = await writeReport(run.path);
  await exportMetrics(run.path, training);
  reporter.event({ event: "end", ...end, report }, ({ bold }) =>
    [
      ...(reason === undefined ? [] : [`stopped: ${reason}`]),
      `${bold(`test accuracy ${percent(testAccuracy)}`)} on ${images} images${views === 1 ? "" : `, ${views} views each`}; ` +
        `trained in ${clock(trainSeconds)} (${Math.round(common.imagesPerSecond)} images/s)`,
      ...(tested.best
        ? [`best on validation, after ${bestStep} steps; weights of the last step: ${percent(tested.last.accuracy)}`]
        : []),
      `weights: ${file} (sha256 ${saved.weightsSha256.slice(0, 16)}…)`,
      `report: ${report}`,
    ].join("\n"),
  );
  return { exit: "ok", testAccuracy };
};
