/** Runs that have come to their end: `--resume` says so, and leaves them as they are. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { readMetrics } from "@striate/train/node";
import type { CommandContext } from "../commands/command.js";
import { statOf } from "../data-files.js";
import { percent } from "../progress-line.js";
import { writeReport } from "../report/index.js";
import { runConfig } from "../runs.js";
import { exportMetrics } from "./finish.js";
import { isLonger, longerHint } from "./resume.js";
import type { Outcome, TrainJob } from "./train.js";

/** Of summary.json. */
interface Summary extends Readonly<Record<string, unknown>> {
  readonly testAccuracy: number;
  readonly testImages: number;
  readonly steps: number;
  readonly ended: string;
}

/**
 * Says what the run came to, if it is over and the config makes it no longer: nothing is trained, or tested again, and no
 * file changed; those that are missing, or asked for, are written. Otherwise undefined.
 *
 * @throws TrainingError (run-corrupt, run-missing), RunError; as `writeReport`
 */
export const tellEnded = async (
  run: string,
  job: Pick<TrainJob, "config" | "csv" | "tensorboard">,
  { reporter, ui }: Pick<CommandContext, "reporter" | "ui">,
): Promise<Outcome | undefined> => {
  const metrics = await readMetrics(run);
  const before = runConfig(run);
  const last = metrics.at(-1);
  if (last?.event !== "end" || (last["ended"] !== "finished" && last["ended"] !== "stopped")) return undefined;
  if (isLonger(job.config, before)) {
    reporter.notice("this run was tested already; the test images are used again at its new end");
    return undefined;
  }
  const summary = await readFile(join(run, "summary.json"), "utf8")
    .then((text) => JSON.parse(text) as Summary)
    .catch(() => undefined);
  if (!summary) return undefined;
  if (ui) for (const metric of metrics) ui.metric(metric);
  const file = join(run, "report.html");
  const report = statOf(file) ? file : await writeReport(run);
  await exportMetrics(run, job);
  reporter.event({ event: "end", ...summary, run, report }, ({ bold }) =>
    [
      `${run} has come to its end: ${bold(`test accuracy ${percent(summary.testAccuracy)}`)} on ` +
        `${summary.testImages} images after ${summary.steps} steps`,
      `report: ${report}`,
      longerHint(summary, before),
    ].join("\n"),
  );
  return { exit: "ok", testAccuracy: summary.testAccuracy };
};
