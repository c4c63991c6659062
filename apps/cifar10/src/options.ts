import { backendNames } from "@striate/backends";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { exitCodes } from "./exit-codes.js";
import { presets, type PresetName } from "./recipes.js";
import type { Views } from "./views.js";

/** What the command line says, checked. */
export interface Options {
  readonly preset: PresetName;
  readonly backend: string;
  readonly epochs: number | undefined;
  readonly batchSize: number | undefined;
  readonly seed: number;
  readonly views: Views;
  readonly data: string | undefined;
  readonly offline: boolean;
  readonly synthetic: boolean;
  readonly out: string;
  readonly json: boolean;
}

/** The command line is wrong, or asked for help; what there is to say has been said. */
export class CommandLineExit extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

const number =
  (what: string, accepts: (value: number) => boolean) =>
  (text: string): number => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!accepts(value)) throw new InvalidArgumentError(`Expected ${what}.`);
    return value;
  };

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
};

const presetTable = (): string =>
  table(
    Object.entries(presets).map(([name, p]) => [name, `${p.summary}; ${p.epochs} epochs, batch ${p.batchSize}`] as const),
  );

const exitTable = (): string => table(Object.values(exitCodes).map(({ code, meaning }) => [`${code}`, meaning] as const));

const examples = `Examples:
  npm run cifar10
  npm run cifar10 -- --preset fast70 --epochs 1 --seed 7
  npm run cifar10 -- --data ~/data/cifar-10-batches-bin --offline
  npm run --silent cifar10 -- --json | tail -n 1`;

export const defaultPreset: PresetName = "lenet5";

const positive = number("a number above 0", (v) => v > 0 && Number.isFinite(v));
const count = number("a positive integer", (v) => Number.isSafeInteger(v) && v > 0);
const seed = number("an integer from 0 to 2^53 - 1", (v) => Number.isSafeInteger(v) && v >= 0);

// commander: the most used argument parser of the field, and it suggests the nearest option by itself.
const command = (): Command =>
  new Command("npm run cifar10 --")
    .description("Train a network on CIFAR-10, test it once at the end, and save its weights.")
    .addOption(new Option("--preset <name>", "network and recipe, see below").choices(Object.keys(presets)).default(defaultPreset))
    .addOption(new Option("--backend <name>", `what computes: ${backendNames.join(", ")}`).default("auto"))
    .option("--epochs <n>", "passes over the training images; may be a fraction (default: the preset's)", positive)
    .option("--batch-size <n>", "images a step (default: the preset's)", count)
    .option("--seed <n>", "of weights, order and augmentation; the same seed gives the same run", seed, 0)
    .addOption(
      new Option("--views <n>", "views of each test image to average over: 1 or 6")
        .argParser(number("1 or 6", (v) => v === 1 || v === 6))
        .default(1),
    )
    .option("--data <folder>", "cifar-10-batches-bin, cifar-10-batches-py or the folder above (default: fetch into the cache)")
    .option("--offline", "never touch the network", false)
    .option("--synthetic", "train on generated images instead: for trying things out, the numbers mean nothing", false)
    .option("--out <folder>", "where the weights go", "runs")
    .option("--json", "one JSON object a line on standard output, and nothing else there", false)
    .allowExcessArguments(false)
    .showHelpAfterError("(--help lists all options)")
    .addHelpText("after", () => `\nPresets:\n${presetTable()}\n\nExit codes:\n${exitTable()}\n\n${examples}`);

/** @throws CommandLineExit */
export const parseOptions = (args: readonly string[]): Options => {
  const parser = command().exitOverride();
  try {
    parser.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new CommandLineExit(error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code);
  }
  return parser.opts<Options>();
};
