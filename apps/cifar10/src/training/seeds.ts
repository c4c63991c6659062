import type { Backend } from "@striate/core";
import type { CommandContext } from "../commands/command.js";
import type { Exit } from "../exit-codes.js";
import { percent } from "../progress-line.js";
import { sampleStatistics } from "../statistics.js";
import { trainGroup } from "./group.js";
import type { Outcome, TrainJob } from "./train.js";

/** The same run with `count` seeds from the config's on, and what they come to together. @throws as `trainGroup` */
export const trainSeeds = async (
  job: TrainJob,
  count: number,
  backend: Backend,
  context: CommandContext,
): Promise<Exit> => {
  const seeds = Array.from({ length: count }, (_, i) => job.config.seed + i);
  const { out, resume: _, ...common } = job;
  const members = seeds.map((seed) => ({ name: `seed${seed}`, job: { ...common, config: { ...job.config, seed } } }));
  const outcomes = await trainGroup(out, members, backend, context);
  const accuracies = outcomes.flatMap(({ testAccuracy }) => testAccuracy ?? []);
  if (accuracies.length < count) return (outcomes.at(-1) as Outcome).exit;
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
