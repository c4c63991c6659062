/** What a run leaves behind its last step for people and other programs. */
import { join } from "node:path";
import { tensorsToHost, weightsSha256 } from "@striate/checkpoint";
import { replaceFile } from "@striate/checkpoint/node";
import type { RunFolder, RunResult } from "@striate/train/node";
import type { CommandContext } from "../commands/command.js";
import { clock, percent } from "../progress-line.js";
import { currentRecords, readMetrics, toCsv, writeReport, writeTensorBoard } from "../report/index.js";
import { resumeCommand } from "./resume.js";
import type { Session, SessionPlan } from "./session.js";
import type { Tested } from "./testing.js";
import type { Outcome, TrainJob } from "./train.js";

type Result = RunResult<Session>;

const weightsFile = (run: RunFolder): string => join(run.path, "weights.safetensors");

/** Figures of every event behind the last step. */
const commonFigures = (run: RunFolder, { config, steps, training }: SessionPlan, result: Result): object => {
  const { preset, batchSize, seed } = config;
  return {
    trainSeconds: result.seconds,
    imagesPerSecond: result.images / result.seconds,
    epochs: result.steps / steps.perEpoch,
    steps: result.steps,
    preset,
    batchSize,
    backend: result.training.backend.name,
    seed,
    data: training.name,
    trainLoss: result.loss,
    run: run.path,
  };
};

/** The weights that the run comes to have been tested, if the run was not interrupted. */
const selectedOf = ({ training: { tested } }: Result) => (tested.get("best") ?? tested.get("last")) as Tested;

const figures = ({ accuracy, loss }: Tested): object => ({ testAccuracy: accuracy, testLoss: loss });

/** The `end` event, and what summary.json holds. */
export const endOf = (run: RunFolder, plan: SessionPlan, result: Result): object => {
  const { ended, reason, weightsSha256, training } = result;
  const selected = selectedOf(result);
  const last = training.tested.get("last") as Tested;
  const best = training.tested.get("best");
  return {
    ...figures(selected),
    testImages: selected.images,
    views: plan.config.views,
    ...commonFigures(run, plan, result),
    weightsSha256,
    weights: weightsFile(run),
    ended,
    ...(reason !== undefined && { reason }),
    last: figures(last),
    ...(best && { best: { ...figures(best), step: best.step } }),
  };
};

/** Keeps the weights as they are, and tells how to go on. */
const interrupted = async (
  run: RunFolder,
  plan: SessionPlan,
  result: Result,
  { dev = false }: Pick<TrainJob, "dev">,
  { reporter }: CommandContext,
): Promise<void> => {
  const common = commonFigures(run, plan, result);
  // The few batches of a test are nothing to go on with.
  const resume = dev ? undefined : resumeCommand(run.path);
  const howToGoOn = (bold: (text: string) => string): string =>
    resume === undefined ? "" : `\nto go on: ${bold(resume)}`;
  if (result.steps === 0) {
    reporter.event(
      { event: "interrupted", ...common, resume },
      ({ bold }) => `stopped before the first step; there are no weights to keep${howToGoOn(bold)}`,
    );
    return;
  }
  const { net, metadata } = result.training;
  const weights = await tensorsToHost(net.stateDict());
  const sha256 = await weightsSha256(weights);
  await run.saveWeights(weights, { ...metadata, steps: `${result.steps}`, sha256 });
  const file = weightsFile(run);
  const when =
    result.interrupted === "testing" ? "while testing" : `after ${result.steps} of ${plan.steps.total} steps`;
  reporter.event(
    { event: "interrupted", ...common, weightsSha256: sha256, weights: file, resume },
    ({ bold }) => `stopped ${when}\nweights: ${file}${howToGoOn(bold)}`,
  );
};

/** Files for other programs. */
export const exportMetrics = async (folder: string, { csv, tensorboard }: Pick<TrainJob, "csv" | "tensorboard">) => {
  if (csv) {
    const { records } = await readMetrics(join(folder, "metrics.jsonl"));
    const text = toCsv(currentRecords(records).map(({ metric }) => metric));
    await replaceFile(join(folder, "metrics.csv"), [new TextEncoder().encode(text)]);
  }
  if (tensorboard) await writeTensorBoard(folder);
};

/** Reports, and says what the run came to. */
export const finishRun = async (
  run: RunFolder,
  plan: SessionPlan,
  result: Result,
  job: Pick<TrainJob, "csv" | "tensorboard" | "dev">,
  context: CommandContext,
): Promise<Outcome> => {
  if (result.interrupted) {
    await interrupted(run, plan, result, job, context);
    return { exit: "ok", testAccuracy: undefined };
  }
  const { reason, seconds, weightsSha256: sha256, training } = result;
  const { accuracy, images } = selectedOf(result);
  const { views } = plan.config;
  const best = training.tested.get("best");
  const last = training.tested.get("last") as Tested;
  const report = await writeReport(run.path);
  await exportMetrics(run.path, job);
  context.reporter.event({ event: "end", ...endOf(run, plan, result), report }, ({ bold }) =>
    [
      ...(reason === undefined ? [] : [`stopped: ${reason}`]),
      `${bold(`test accuracy ${percent(accuracy)}`)} on ${images} images${views === 1 ? "" : `, ${views} views each`}; ` +
        `trained in ${clock(seconds)} (${Math.round(result.images / seconds)} images/s)`,
      ...(best
        ? [`best on validation, after ${best.step} steps; weights of the last step: ${percent(last.accuracy)}`]
        : []),
      `weights: ${weightsFile(run)} (sha256 ${`${sha256}`.slice(0, 16)}…)`,
      `report: ${report}`,
    ].join("\n"),
  );
  return { exit: "ok", testAccuracy: accuracy };
};
