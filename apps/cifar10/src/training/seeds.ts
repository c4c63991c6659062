import { join } from "node:path";
import type { Backend } from "@striate/core";
import type { CommandContext } from "../commands/command.js";
import type { Exit } from "../exit-codes.js";
import { percent } from "../progress-line.js";
import { sampleStatistics } from "../statistics.js";
import { type TrainJob, trainOnce } from "./train.js";

/** The same run with `count` seeds from the config's on, one after the other, and what they come to together. */
export const trainSeeds = async (
  job: TrainJob,
  count: number,
  backend: Backend,
  context: CommandContext,
): Promise<Exit> => {
  const seeds = Array.from({ length: count }, (_, i) => job.config.seed + i);
  const accuracies: number[] = [];
  for (const seed of seeds) {
    const out = job.out === undefined ? undefined : join(job.out, `seed${seed}`);
    const { exit, testAccuracy } = await trainOnce({ ...job, out, config: { ...job.config, seed } }, backend, context);
    if (testAccuracy === undefined) return exit;
    accuracies.push(testAccuracy);
  }
  const { mean, standardDeviation, interval: ends, confidence } = sampleStatistics(accuracies);
  // Of few seeds the interval is wide; an accuracy beyond 0 or 1 it need not hold.
  const interval = ends.map((end) => Math.min(Math.max(end, 0), 1)) as [number, number];
  const [low, high] = interval;
  context.reporter.event(
    {
      event: "seeds",
      preset: job.config.preset,
      seeds,
      testAccuracies: accuracies,
      mean,
      standardDeviation,
      interval,
      confidence,
    },
    ({ bold }) =>
      `${bold(`test accuracy ${percent(mean)}`)} over ${count} seeds, standard deviation ${percent(standardDeviation)}; ` +
      `the mean lies between ${percent(low)} and ${percent(high)} (${Math.round(100 * confidence)} % confidence)`,
  );
  return "ok";
};
