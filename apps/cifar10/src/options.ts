import { backendNames, nearestName } from "@striate/backends";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { exitCodes } from "./exit-codes.js";
import { type PresetName, presets } from "./recipes.js";
import type { Views } from "./views.js";

/** What the command line says, checked. */
export interface Options {
  readonly preset: PresetName;
  readonly backend: string;
  /** These three: undefined for the preset's. */
  readonly epochs: number | undefined;
  readonly batchSize: number | undefined;
  readonly views: Views | undefined;
  readonly seed: number;
  readonly data: string | undefined;
  readonly offline: boolean;
  readonly synthetic: boolean;
  readonly out: string;
  readonly json: boolean;
}

/** Options that are well formed but do not fit the data. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** The command line is wrong, or asked for help; what there is to say has been said. */
export class CommandLineExit extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Where help and complaints go. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

const number =
  (what: string, accepts: (value: number) => boolean) =>
  (text: string): number => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!accepts(value)) throw new InvalidArgumentError(`Expected ${what}.`);
    return value;
  };

const epochs = number("a number above 0, up to a million", (v) => v > 0 && v <= 1e6);
const batchSize = number("a positive integer, up to a million", (v) => Number.isInteger(v) && v > 0 && v <= 1e6);
const seed = number("an integer from 0 to 2^53 - 1", (v) => Number.isSafeInteger(v) && v >= 0);
const views = number("1 or 6", (v) => v === 1 || v === 6);

/** An empty text is a variable of the shell that is not set, never a folder. */
const folder = (text: string): string => {
  if (text.trim() === "") throw new InvalidArgumentError("Expected a folder.");
  return text;
};

const preset = (text: string): PresetName => {
  if (Object.hasOwn(presets, text)) return text as PresetName;
  const nearest = nearestName(text, Object.keys(presets));
  const hint = nearest === undefined ? "" : `Did you mean ${nearest}? `;
  throw new InvalidArgumentError(`${hint}The presets are ${Object.keys(presets).join(", ")}.`);
};

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
};

const presetTable = (): string =>
  table(
    Object.entries(presets).map(([name, p]) => {
      const testing = p.views === 1 ? "" : `, ${p.views} views`;
      return [name, `${p.summary}; ${p.epochs} epochs, batch ${p.batchSize}${testing}`] as const;
    }),
  );

const exitTable = (): string =>
  table(Object.values(exitCodes).map(({ code, meaning }) => [`${code}`.padStart(3), meaning] as const));

const events = `Events of --json: start, epoch (one an epoch), and at last end, interrupted or error.`;

const examples = `Examples:
  npm run cifar10
  npm run cifar10 -- --preset fast70 --epochs 1 --seed 7
  npm run cifar10 -- --data ~/data/cifar-10-batches-bin --offline
  npm run --silent cifar10 -- --json | tail -n 1`;

/** What the options are that the command line does not have. */
const unset: Options = {
  preset: "fast70",
  backend: "auto",
  epochs: undefined,
  batchSize: undefined,
  views: undefined,
  seed: 0,
  data: undefined,
  offline: false,
  synthetic: false,
  out: "runs",
  json: false,
};

// commander: the most used argument parser of the field, and it suggests the nearest option by itself.
const command = (): Command =>
  new Command("npm run cifar10 --")
    .description("Train a network on CIFAR-10, save its weights, and test it once at the end.")
    .addOption(new Option("--preset <name>", "network and recipe, see below").argParser(preset).default(unset.preset))
    .option("--backend <name>", `what computes: ${backendNames.join(", ")}`, unset.backend)
    .option("--epochs <n>", "passes over the training images; may be a fraction (default: the preset's)", epochs)
    .option("--batch-size <n>", "images a step (default: the preset's)", batchSize)
    .option("--seed <n>", "of weights, order and augmentation; the same seed gives the same weights", seed, unset.seed)
    .option("--views <n>", "views of each test image to average over, 1 or 6 (default: the preset's)", views)
    .option(
      "--data <folder>",
      "cifar-10-batches-bin or -py, or the folder above it (default: fetch into the cache)",
      folder,
    )
    .option("--offline", "never touch the network")
    .addOption(
      new Option("--synthetic", "generated images instead, for trying things out: the numbers mean nothing").conflicts(
        "data",
      ),
    )
    .option("--out <folder>", "where the weights go", folder, unset.out)
    .option("--json", "one JSON object a line on standard output, and nothing else there")
    .allowExcessArguments(false)
    .showHelpAfterError("(--help lists all options)")
    .addHelpText(
      "after",
      () => `\nPresets:\n${presetTable()}\n\nExit codes:\n${exitTable()}\n\n${events}\n\n${examples}`,
    );

/** Options of npm's own: npm sets these for reasons that are none of ours. */
const npmOptions: ReadonlySet<string> = new Set(["json", "offline"]);

/** Without the `--` in `npm run cifar10 -- --seed 1`, npm keeps `--seed` for itself, as an environment variable. */
const expectNotSwallowed = (parser: Command, env: NodeJS.ProcessEnv): void => {
  for (const { long = "" } of parser.options) {
    const name = long.slice(2);
    if (!npmOptions.has(name) && env[`npm_config_${name.replaceAll("-", "_")}`] !== undefined)
      parser.error(`error: npm took ${long} for its own; options go behind a --: npm run cifar10 -- ${long} …`);
  }
};

/** @throws CommandLineExit */
export const parseOptions = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  output: Output = { out: (text) => process.stdout.write(text), err: (text) => process.stderr.write(text) },
): Options => {
  const parser = command().exitOverride().configureOutput({ writeOut: output.out, writeErr: output.err });
  try {
    expectNotSwallowed(parser, env);
    parser.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new CommandLineExit(error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code);
  }
  return { ...unset, ...parser.opts<Partial<Options>>() };
};
