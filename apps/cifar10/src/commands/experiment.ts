import { join } from "node:path";
import { openBackend } from "../backend.js";
import { type CommonOptions, createCommand, parseWith, readPath } from "../cli.js";
import { compareRuns, comparisonText } from "../comparison.js";
import { ConfigError } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import type { Exit } from "../exit-codes.js";
import { prepareRunFolder } from "../output.js";
import { writeComparison } from "../report/index.js";
import { isRun, runName, runsFolder } from "../runs.js";
import { trainGroup } from "../training/group.js";
import type { Outcome } from "../training/train.js";
import type { CommandDefinition } from "./command.js";
import { configHelp, configOf, withConfigOptions } from "./config-options.js";
import { stoppedBefore, unlessStopped } from "./unless-stopped.js";

export interface ExperimentOptions extends CommonOptions {
  /** One a run. */
  readonly configs: readonly Config[];
  readonly out: string | undefined;
}

/** The exercise of many a lecture: how far does a net without convolutions come, and how far one with them? */
const annAgainstCnn = ["ann", "lenet5"] as const;

const command = () =>
  withConfigOptions(
    createCommand({
      name: "experiment",
      summary: `Train presets one after the other on the same data, and compare them on one page (default: ${annAgainstCnn.join(" and ")}).`,
      examples: [
        "npm run cifar10 -- experiment",
        "npm run cifar10 -- experiment ann lenet5 fast70 --epochs 2 --seed 3 --out runs/side-by-side",
      ],
      details: configHelp,
    }),
  )
    .argument("[preset...]", "two or more")
    .option(
      "--out <folder>",
      "where the runs and comparison.html go, or are gone on with (default: a new one in runs)",
      readPath,
    );

/** @throws ConfigError */
const presetsOf = (given: readonly string[]): readonly string[] => {
  const presets = given.length > 0 ? given : annAgainstCnn;
  if (presets.length < 2 || new Set(presets).size < presets.length)
    throw new ConfigError(`experiment takes two different presets or more, not ${presets.join(" ")}`);
  return presets;
};

export const experiment: CommandDefinition<ExperimentOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, names) => {
      if (options["preset"] !== undefined)
        throw new ConfigError("experiment: presets are named without --preset: experiment ann lenet5");
      const configs = presetsOf(names).map((preset) => configOf({ ...options, preset }, given.env));
      return { ...options, configs } as unknown as ExperimentOptions;
    }),
  run: async ({ configs, out }, context) => {
    const [{ backend: name, seed }] = configs as readonly [Config, ...Config[]];
    const { backend } = await openBackend(name);
    const work = async (): Promise<Exit> => {
      const preset = `experiment-${configs.map((config) => config.preset).join("-")}`;
      const folder = out ?? join(runsFolder, runName(new Date(), { preset, seed }, backend.name));
      const members = configs.map((config) => ({ name: config.preset, job: { config } }));
      const runs = members.map((member) => join(folder, member.name));
      if (!runs.some(isRun)) await prepareRunFolder(folder);
      const { exit, testAccuracy } = (await trainGroup(folder, members, backend, context)).at(-1) as Outcome;
      if (testAccuracy === undefined) return exit;
      const html = join(folder, "comparison.html");
      await writeComparison(runs, html);
      const comparison = await compareRuns(runs);
      context.reporter.event({ event: "comparison", ...comparison, html }, (style) =>
        [comparisonText(comparison, style), html].join("\n"),
      );
      return "ok";
    };
    return unlessStopped(context, work, stoppedBefore).finally(() => backend.dispose());
  },
};
