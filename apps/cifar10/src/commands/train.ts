import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InvalidArgumentError } from "commander";
import { openBackend } from "../backend.js";
import { type CommonOptions, createCommand, parseWith, readCount, readPath } from "../cli.js";
import { ConfigError, overlay } from "../config/resolve.js";
import type { Config } from "../config/schema.js";
import type { Exit } from "../exit-codes.js";
import { findRun, findRunToResume, RunError, runConfig } from "../runs.js";
import { overfit } from "../training/overfit.js";
import { createProfile } from "../training/profile.js";
import { expectSameRun } from "../training/resume.js";
import { trainSeeds } from "../training/seeds.js";
import { type TrainJob, trainOnce } from "../training/train.js";
import type { Change } from "../ui/changes.js";
import type { CommandDefinition } from "./command.js";
import { configHelp, configOf, settingsOf, withConfigOptions } from "./config-options.js";
import { commandTable } from "./names.js";
import { stoppedBefore, unlessStopped } from "./unless-stopped.js";

export interface TrainOptions extends CommonOptions {
  readonly config: Config;
  readonly out: string | undefined;
  /** The folder of a run to go on with. */
  readonly resume: string | undefined;
  readonly seeds: number;
  readonly fastDevRun: boolean;
  readonly overfitBatches: number | undefined;
  /** The live page. */
  readonly ui: boolean;
  /** Changes by hand to be made again. */
  readonly changes: readonly Change[];
  readonly profile: boolean;
  readonly csv: boolean;
  readonly tensorboard: boolean;
}

const details = (): string =>
  [
    `Commands (--help behind one tells more):\n${commandTable()}`,
    configHelp(),
    "Events of --json: start, epoch and validation, and at last end, interrupted or error; seeds behind those of --seeds.",
  ].join("\n\n");

const command = () =>
  withConfigOptions(
    createCommand({
      name: "",
      summary: "Train a network on CIFAR-10, save its weights, and test it once at the end.",
      examples: [
        "npm run cifar10",
        "npm run cifar10 -- --preset fast70 --epochs 1 --seed 7",
        "npm run cifar10 -- --network resnet20 --max-time 10m --select best",
        "npm run cifar10 -- --resume",
        "npm run cifar10 -- --config runs/20261121-101500-fast70-wasm-seed0/config.json",
        "npm run --silent cifar10 -- --json | tail -n 1",
      ],
      details,
    }),
  )
    .option("--out <folder>", "the folder of the run (default: a new one in runs)", readPath)
    .option(
      "--resume [run]",
      "go on with a run that was stopped, or make it longer: more --epochs, --max-time (default: the newest)",
    )
    .option(
      "--seeds <n>",
      "so many runs, of one seed after the other, and what they come to; with --out, again to go on with them",
      readCount(2, 1000),
    )
    .option("--fast-dev-run", "a few batches through every stage, to see that it works", false)
    .option(
      "--overfit-batches <n>",
      "learn so many batches by heart: the loss must go to nearly zero",
      readCount(1, 1000),
    )
    .option("--ui", "a live page on this machine: curves, pictures, pause, changes by hand", false)
    .option("--replay <run>", "make the changes by hand of that run again", readPath)
    .option("--profile", "say where the time goes: data, dispatch, each op", false)
    .option("--csv", "metrics.csv in the folder of the run", false)
    .option("--tensorboard", "event files for TensorBoard in the folder of the run", false);

/** @throws RunError */
const changesOf = (run: string): Change[] => {
  const file = join(findRun(run), "metrics.jsonl");
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line.startsWith('{"event":"change"'))
      .map((line) => {
        const { event: _, time: __, ...change } = JSON.parse(line) as Change & { event: string; time: number };
        return change;
      });
  } catch (error) {
    throw new RunError(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
};

const exclusive = ["resume", "seeds", "fastDevRun", "overfitBatches"] as const;

const optionName = (attribute: string): string => `--${attribute.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/** @throws ConfigError */
const expectCompatible = (options: Readonly<Record<string, unknown>>): void => {
  const given = exclusive.filter((name) => options[name] !== undefined && options[name] !== false);
  if (given.length > 1) throw new ConfigError(`${given.map(optionName).join(" and ")} exclude each other`);
  if (options["profile"] === true && (options["seeds"] !== undefined || options["overfitBatches"] !== undefined))
    throw new ConfigError("--profile is for a single run");
  if (options["ui"] === true && (options["seeds"] !== undefined || options["overfitBatches"] !== undefined))
    throw new ConfigError("--ui is for a single run");
  if (options["overfitBatches"] !== undefined)
    for (const name of ["csv", "tensorboard", "out"])
      if (options[name] !== undefined && options[name] !== false)
        throw new ConfigError(`--overfit-batches saves nothing; --${name} is for a run`);
  if (options["resume"] === undefined) return;
  for (const name of ["preset", "config", "out"])
    if (options[name] !== undefined)
      throw new ConfigError(`--resume goes on with a run as it is; --${name} is for a new one`);
};

const resumedConfig = (run: string, options: Readonly<Record<string, unknown>>): Config => {
  const before = runConfig(run);
  const config = overlay(before, settingsOf(options));
  expectSameRun(config, before);
  return config;
};

export const train: CommandDefinition<TrainOptions> = {
  parse: (args, given = {}) =>
    parseWith(command(), args, given, (options) => {
      expectCompatible(options);
      const { resume, seeds = 1 } = options as { resume?: string | true; seeds?: number };
      if (typeof resume === "string" && resume.trim() === "") throw new InvalidArgumentError("--resume is empty");
      const run = resume === undefined ? undefined : findRunToResume(resume === true ? undefined : resume);
      const config = run === undefined ? configOf(options, given.env) : resumedConfig(run, options);
      const changes = typeof options["replay"] === "string" ? changesOf(options["replay"]) : [];
      return { ...options, config, resume: run, seeds, changes } as unknown as TrainOptions;
    }),
  ui: ({ ui, config, resume }) => {
    if (!ui) return undefined;
    const { network, backend, epochs, batchSize, seed, optimizer } = config;
    return {
      title: `${config.preset}, seed ${seed}`,
      facts: [
        ["network", network.name],
        ["backend", backend],
        ["epochs", `${epochs}`],
        ["batch", `${batchSize}`],
        ["optimizer", optimizer.name],
        ...(resume === undefined ? [] : [["run", resume] as const]),
      ],
    };
  },
  run: async ({ config, out, resume, seeds, fastDevRun, overfitBatches, json, ...rest }, context) => {
    const { backend, reason } = await openBackend(config.backend, { profile: rest.profile });
    const about = [backend.description, reason].filter((text) => text).join("; ");
    if (about && !json) context.reporter.notice(`backend ${backend.name}: ${about}`);
    const { changes: replay, csv, tensorboard } = rest;
    const profile = rest.profile ? createProfile(backend) : undefined;
    const job: TrainJob = { config, out, resume, dev: fastDevRun, replay, csv, tensorboard, profile };
    const work = async (): Promise<Exit> => {
      if (overfitBatches !== undefined) return overfit(config, overfitBatches, backend, context);
      if (seeds > 1) return trainSeeds(job, seeds, backend, context);
      return (await trainOnce(job, profile?.backend ?? backend, context)).exit;
    };
    return unlessStopped(context, work, stoppedBefore).finally(() => backend.dispose());
  },
};
