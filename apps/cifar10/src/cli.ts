/** What all commands have in common on the command line. */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { ConfigError } from "./config/resolve.js";
import { exitCodes } from "./exit-codes.js";

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

export const processOutput: Output = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};

export type Env = Readonly<Record<string, string | undefined>>;

/** Options that every command has. */
export interface CommonOptions {
  readonly json: boolean;
}

export const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n");
};

export const exitTable = (): string =>
  table(Object.values(exitCodes).map(({ code, meaning }) => [`${code}`.padStart(3), meaning] as const));

/** Positive integers in text. */
export const readCount =
  (least: number, most = 1e9) =>
  (text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most))
      throw new InvalidArgumentError(`Expected an integer from ${least} to ${most}.`);
    return value;
  };

/** An empty text is a variable of the shell that is not set, never a path. */
export const readPath = (text: string): string => {
  if (text.trim() === "") throw new InvalidArgumentError("Expected a path.");
  return text;
};

export interface CommandText {
  /** `eval`; empty for what runs without a name. */
  readonly name: string;
  readonly summary: string;
  /** Complete command lines. */
  readonly examples: readonly string[];
  /** Between the options and the exit codes. */
  readonly details?: (() => string) | undefined;
}

// commander: the most used argument parser of the field, and it suggests the nearest option by itself.
export const createCommand = ({ name, summary, examples, details }: CommandText): Command =>
  new Command(`npm run cifar10 --${name === "" ? "" : ` ${name}`}`)
    .description(summary)
    .allowExcessArguments(false)
    .showHelpAfterError("(--help lists all options)")
    .option("--json", "one JSON object a line on standard output, and nothing else there", false)
    .addHelpText("after", () =>
      ["", ...(details ? [details(), ""] : []), "Exit codes:", exitTable(), "", "Examples:"]
        .concat(examples.map((line) => `  ${line}`))
        .join("\n"),
    );

/** Options of npm's own: npm sets these for reasons that are none of ours. */
const npmOptions: ReadonlySet<string> = new Set(["json", "offline"]);

/** Without the `--` in `npm run cifar10 -- --seed 1`, npm keeps `--seed` for itself, as an environment variable. */
const expectNotSwallowed = (command: Command, env: Env): void => {
  for (const { long = "" } of command.options) {
    const name = long.slice(2);
    if (!npmOptions.has(name) && env[`npm_config_${name.replaceAll("-", "_")}`] !== undefined)
      command.error(`error: npm took ${long} for its own; options go behind a --: npm run cifar10 -- ${long} …`);
  }
};

/**
 * What `read` makes of the options and arguments.
 * @throws CommandLineExit for help and for whatever is wrong; a ConfigError of `read` counts among the latter.
 */
export const parseWith = <T>(
  command: Command,
  args: readonly string[],
  { env = {}, output = processOutput }: { env?: Env | undefined; output?: Output | undefined },
  read: (options: Readonly<Record<string, unknown>>, args: readonly string[]) => T,
): T => {
  command.exitOverride().configureOutput({ writeOut: output.out, writeErr: output.err });
  try {
    expectNotSwallowed(command, env);
    command.parse(args, { from: "user" });
    try {
      return read(command.opts(), command.args);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return command.error(`error: ${error.message}`);
    }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    throw new CommandLineExit(error.exitCode === 0 ? exitCodes.ok.code : exitCodes.usage.code);
  }
};
