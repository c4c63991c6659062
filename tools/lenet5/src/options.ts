import { Command, InvalidArgumentError, Option } from "commander";
import { criteria } from "./criterion.js";
import { exitCodes } from "./exit-codes.js";
import { mostPasses } from "./experiment.js";

/** What the command line says, checked. */
export interface Options {
  readonly passes: number;
  readonly seed: number;
  readonly head: keyof typeof criteria;
  /** The first of the training images; undefined for all. */
  readonly images: number | undefined;
  readonly data: string | undefined;
  readonly offline: boolean;
  /** A file for the weights. */
  readonly out: string | undefined;
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

const passes = number(`an integer from 1 to ${mostPasses}`, (v) => Number.isInteger(v) && v >= 1 && v <= mostPasses);
const images = number("an integer from 1 to 60000", (v) => Number.isInteger(v) && v >= 1 && v <= 60_000);
const seed = number("an integer from 0 to 2^53 - 1", (v) => Number.isSafeInteger(v) && v >= 0);

const path = (text: string): string => {
  if (text.trim() === "") throw new InvalidArgumentError("Expected a path.");
  return text;
};

const exitTable = (): string =>
  Object.values(exitCodes)
    .map(({ code, meaning }) => `  ${`${code}`.padStart(3)}  ${meaning}`)
    .join("\n");

const notes = `
The experiment of Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition",
1998: 60,000 images one at a time, 20 passes, stochastic diagonal Levenberg-Marquardt. Published: 0.95 % of the test
images wrong. A pass takes about two minutes of one core; the test error is printed after each.

Examples:
  npm run lenet5
  npm run lenet5 -- --passes 5 --seed 1
  npm run lenet5 -- --head softmax --out lenet5.safetensors`;

/**
 * The options in `args`.
 *
 * @throws CommanderError after it has written help (exitCode 0) or what is wrong (another one).
 */
export const parseOptions = (args: readonly string[], output: Output): Options => {
  const program = new Command("npm run lenet5 --")
    .description("Train LeNet-5 on MNIST as in 1998, and test it after each pass.")
    .option("--passes <n>", "over the training images", passes, mostPasses)
    .option("--seed <n>", "of weights, order and estimates; the same seed gives the same weights", seed, 0)
    .addOption(new Option("--head <name>", "what F6 goes into").choices(Object.keys(criteria)).default("rbf"))
    .option("--images <n>", "train with the first n images only (default: all)", images)
    .option("--data <folder>", "with MNIST's idx files (default: fetch into the cache)", path)
    .option("--offline", "never touch the network", false)
    .option("--out <file>", "safetensors file for the weights", path)
    .allowExcessArguments(false)
    .showHelpAfterError("(--help lists all options)")
    .addHelpText("after", () => `\nExit codes:\n${exitTable()}\n${notes}`)
    .exitOverride()
    .configureOutput({ writeOut: output.out, writeErr: output.err });
  program.parse(args, { from: "user" });
  return { images: undefined, data: undefined, out: undefined, ...program.opts<Partial<Options>>() } as Options;
};
