import { nearestName } from "@striate/backends";
import { CommandLineExit, type Env, type Output, processOutput } from "./cli.js";
import { commands } from "./commands/index.js";
import { type CommandName, commandNames, commandTable } from "./commands/names.js";
import { exitCodes } from "./exit-codes.js";

const isCommand = (word: string): word is CommandName => Object.hasOwn(commands, word);

/**
 * Which command a command line names, and its arguments. A line that begins with an option is for `train`.
 * @throws CommandLineExit for a word that is no command
 */
export const chooseCommand = (
  args: readonly string[],
  output: Output = processOutput,
): { readonly name: CommandName; readonly args: readonly string[] } => {
  const [first = "", ...rest] = args;
  if (isCommand(first)) return { name: first, args: rest };
  if (first === "help") {
    const [about = ""] = rest;
    return isCommand(about) ? { name: about, args: ["--help"] } : { name: "train", args: ["--help"] };
  }
  if (first === "" || first.startsWith("-")) return { name: "train", args };
  const nearest = nearestName(first, commandNames);
  const hint = nearest === undefined ? "" : ` Did you mean ${nearest}?`;
  output.err(
    `error: there is no command '${first}'.${hint}\nThe commands are\n${commandTable()}\n(--help lists all options)\n`,
  );
  throw new CommandLineExit(exitCodes.usage.code);
};

/** A command line, parsed: what a worker runs. */
export const parseCommandLine = async (
  args: readonly string[],
  env: Env = {},
  output: Output = processOutput,
): Promise<{ readonly name: CommandName; readonly options: { readonly json: boolean } }> => {
  const chosen = chooseCommand(args, output);
  const definition = await commands[chosen.name]();
  return { name: chosen.name, options: definition.parse(chosen.args, { env, output }) };
};
