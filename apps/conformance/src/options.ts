import { backendNames } from "@striate/backends";
import {
  type Group,
  groups,
  groupTexts,
  type Precision,
  parseShard,
  precisions,
  type Shard,
} from "@striate/conformance";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { exitCodes } from "./exit-codes.js";
import { bundledNetworks, modelBuilders } from "./networks.js";

/** Where the suite can run. */
export const places = ["node", "chromium"] as const;
export type Place = (typeof places)[number];

/** What the command line says, checked. */
export interface Options {
  readonly backend: string;
  readonly in: Place;
  /** Whether a page is cross-origin isolated. */
  readonly isolation: boolean;
  readonly shard: Shard | undefined;
  readonly vectors: string | undefined;
  readonly data: string | undefined;
  readonly trainingSteps: number | undefined;
  readonly networks: readonly string[] | undefined;
  readonly group: readonly Group[] | undefined;
  readonly filter: readonly string[] | undefined;
  readonly knownFailures: string | undefined;
  readonly precision: Precision | undefined;
  readonly timeout: number;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly html: string | undefined;
}

/** The command line is wrong, or asked for help; what there is to say has been said. */
export class CommandLineExit extends Error {
  readonly exitCode: number;
  constructor(exitCode: number) {
    super(`exit ${exitCode}`);
    this.exitCode = exitCode;
  }
}

const positive =
  (what: string, accepts: (value: number) => boolean) =>
  (text: string): number => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!(value > 0) || !accepts(value)) throw new InvalidArgumentError(`Expected ${what}.`);
    return value;
  };

const shard = (text: string): Shard => {
  try {
    return parseShard(text);
  } catch {
    throw new InvalidArgumentError("Expected i/n with 1 <= i <= n, as in 2/8.");
  }
};

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
};

const groupTable = (): string => table(groups.map((group) => [group, groupTexts[group]] as const));

const exitTable = (): string =>
  table(Object.values(exitCodes).map(({ code, meaning }) => [`${code}`, meaning] as const));

const examples = `Examples:
  npm run conformance -- --backend cpu
  npm run conformance -- --backend cpu --filter "conv2d/*#f32" --group ops gradients
  npm run conformance -- --backend cpu --in chromium
  npm run conformance -- --backend cpu --in chromium --no-isolation --shard 1/20
  npm run conformance -- --backend cpu --vectors ~/vectors --json report.json --html report.html`;

/** Steps of the bundled trainings: the second one sees the first update. */
export const bundledTrainingSteps = 2;

// commander: the most used argument parser of the field, and it suggests the nearest option by itself.
const command = (): Command =>
  new Command("npm run conformance --")
    .description("Grade a backend: every operator, forward and backward, against references and golden vectors.")
    .addOption(new Option("--backend <name>", `the backend under test: ${backendNames.join(", ")}`).default("auto"))
    .addOption(
      new Option("--in <place>", "where it runs; for Chromium, STRIATE_CHROMIUM may name the program")
        .choices(places)
        .default("node"),
    )
    .option("--no-isolation", "a page without SharedArrayBuffer: served without the headers for it (--in chromium)")
    .addOption(
      new Option(
        "--vectors <folder>",
        "golden vectors to run instead of the bundled ones: a folder with ops, models and training, or one of these",
      ).env("STRIATE_VECTORS"),
    )
    .option("--data <path>", "CIFAR-10 for the trainings: data_batch_1.bin or a folder with it (default: the cache)")
    .option(
      "--training-steps <n>",
      `steps of each training (default: ${bundledTrainingSteps} with the bundled vectors, all with --vectors)`,
      positive("a positive integer", Number.isSafeInteger),
    )
    .addOption(
      new Option(
        "--networks <names...>",
        `the networks that are held to golden vectors (default: ${bundledNetworks} with the bundled vectors, all with --vectors)`,
      ).choices(Object.keys(modelBuilders)),
    )
    .addOption(new Option("--group <names...>", "only these groups, see below (default: all)").choices(groups))
    .option("--filter <patterns...>", "only cases whose id contains one of these; * stands for any text")
    .option("--shard <i/n>", "only the i-th of n shares; a case's share depends on its id alone", shard)
    .option("--known-failures <file>", "JSON list of accepted failures: pattern, reason, expires")
    .addOption(
      new Option(
        "--precision <name>",
        "what pointwise operators are held to (default: what the backend declares)",
      ).choices(precisions),
    )
    .option(
      "--timeout <seconds>",
      "after which a case counts as hanging",
      positive("a number above 0", Number.isFinite),
      60,
    )
    .option("--json <file>", "write the report, all results included")
    .option("--markdown <file>", "write the scorecard as Markdown")
    .option("--html <file>", "write the scorecard as one HTML page")
    .allowExcessArguments(false)
    .showHelpAfterError("(--help lists all options)")
    .addHelpText("after", () => `\nGroups:\n${groupTable()}\n\nExit codes:\n${exitTable()}\n\n${examples}`);

/** @throws CommandLineExit */
export const parseOptions = (args: readonly string[]): Options => {
  const parser = command().exitOverride();
  try {
    parser.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new CommandLineExit(error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code);
  }
  const options = parser.opts<Options>();
  if (!options.isolation && options.in === "node") {
    process.stderr.write("error: option '--no-isolation' is about pages: it needs --in chromium\n");
    throw new CommandLineExit(exitCodes.usage.code);
  }
  return options;
};
