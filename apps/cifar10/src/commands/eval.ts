import { cifar10Classes, type ImageDataset } from "@striate/data";
import type { Views } from "@striate/train";
import { openBackend } from "../backend.js";
import { type CommonOptions, createCommand, parseWith, readCount, readPath } from "../cli.js";
import { ConfigError } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import { percent } from "../progress-line.js";
import type { Reporter } from "../reporter.js";
import { findRun, runConfig } from "../runs.js";
import { loadSplit, loadTrainingData } from "../training/data.js";
import { evaluateOn } from "../training/evaluation.js";
import { trainedNetwork } from "../training/trained.js";
import type { CommandDefinition } from "./command.js";
import { unlessStopped } from "./unless-stopped.js";

const splits = ["test", "validation", "train"] as const;
type Split = (typeof splits)[number];

export interface EvalOptions extends CommonOptions {
  readonly run: string | undefined;
  readonly split: Split;
  /** These: undefined for the run's own. */
  readonly views: Views | undefined;
  readonly backend: string | undefined;
  readonly data: string | undefined;
  readonly offline: boolean;
}

const command = () =>
  createCommand({
    name: "eval",
    summary: "Classify the test images, or others, by the weights of a run (default: the newest).",
    examples: [
      "npm run cifar10 -- eval",
      "npm run cifar10 -- eval runs/20261121-101500-fast70-wasm-seed0 --views 6 --json",
    ],
  })
    .argument("[run]", "its folder", readPath)
    .option("--split <name>", `${splits.join(", ")}: which images`, "test")
    .option("--views <n>", "views of each image to average over, 1 or 6 (default: the run's)", readCount(1, 6))
    .option("--backend <name>", "what computes (default: the run's)")
    .option("--data <folder>", "where CIFAR-10 is (default: where the run had it)", readPath)
    .option("--offline", "never touch the network", false);

const load = async (
  split: Split,
  config: Config,
  reporter: Pick<Reporter, "notice" | "progress">,
  signal: AbortSignal,
): Promise<ImageDataset> => {
  if (split === "test") return loadSplit("test", config, reporter, signal);
  const { training, validation } = await loadTrainingData(config, reporter, signal);
  if (split === "train") return training;
  if (validation === undefined) throw new ConfigError("--split validation: the run held no images out");
  return validation;
};

export const evaluateRun: CommandDefinition<EvalOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options, [run]) => {
      const { split, views } = options;
      if (!splits.includes(split as Split))
        throw new ConfigError(`--split is ${JSON.stringify(split)}, expected one of ${splits.join(", ")}`);
      if (views !== undefined && views !== 1 && views !== 6)
        throw new ConfigError(`--views is ${views}, expected 1 or 6`);
      return { ...options, run } as unknown as EvalOptions;
    }),
  run: async ({ run: given, split, views, backend: name, data, offline }, { reporter, signal }) => {
    const run = findRun(given);
    const { backend } = await openBackend(name ?? runConfig(run).backend);
    return unlessStopped({ reporter, signal }, async () => {
      const { net, config } = await trainedNetwork(run, backend, cifar10Classes.length);
      const from = {
        ...config.data,
        ...(data !== undefined && { folder: data }),
        offline: offline || config.data.offline,
      };
      const dataset = await load(split, { ...config, data: from }, reporter, signal);
      const shown = views ?? config.views;
      const { accuracy, loss, images } = await evaluateOn(net, dataset, {
        backend,
        views: shown,
        phase: "evaluating",
        reporter,
        signal,
      });
      const event = { run, split, accuracy, loss, images, views: shown, backend: backend.name, data: dataset.name };
      reporter.event(
        { event: "eval", ...event },
        ({ bold }) =>
          `${bold(`${split} accuracy ${percent(accuracy)}`)}, loss ${loss.toFixed(4)}, on ${images} images` +
          `${shown === 1 ? "" : `, ${shown} views each`}\n${run}`,
      );
      return "ok";
    }).finally(() => backend.dispose());
  },
};
