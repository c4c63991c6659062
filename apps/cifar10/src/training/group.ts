/** Runs that belong together, each in a folder within one: those of `--seeds`, of an experiment. */
import { join } from "node:path";
import type { Backend } from "@striate/core";
import type { CommandContext } from "../commands/command.js";
import { isRun } from "../runs.js";
import { expectSameMember } from "./resume.js";
import { type Outcome, type TrainJob, trainOnce } from "./train.js";

/** One of the runs, by the name of its folder. */
export interface Member {
  readonly name: string;
  readonly job: Omit<TrainJob, "out" | "resume">;
}

/**
 * Trains them one after the other. Those that `folder` has already are gone on with, or told again if they have ended, so that the
 * same command finishes a group that was stopped. Without a folder each run gets one of its own below `runs`.
 *
 * @returns what they came to, the last one undefined if it was stopped: the others are left then.
 * @throws RunError if `folder` has other runs under these names; as `trainOnce`
 */
export const trainGroup = async (
  folder: string | undefined,
  members: readonly Member[],
  backend: Backend,
  context: CommandContext,
): Promise<readonly Outcome[]> => {
  const jobs = members.map(({ name, job }): TrainJob => {
    const run = folder === undefined ? undefined : join(folder, name);
    return run !== undefined && isRun(run) ? { ...job, resume: run } : { ...job, out: run };
  });
  for (const { resume, config } of jobs) if (resume !== undefined) expectSameMember(resume, config);
  const outcomes: Outcome[] = [];
  for (const job of jobs) {
    const outcome = await trainOnce(job, backend, context);
    outcomes.push(outcome);
    if (outcome.testAccuracy !== undefined) continue;
    if (folder !== undefined) context.reporter.notice(`the same command with --out ${folder} goes on with all of them`);
    break;
  }
  return outcomes;
};
