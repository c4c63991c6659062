/** Commands in this process: what they say, and what they end with. */
import { CommandLineExit } from "../cli.js";
import { parseCommandLine } from "../command-line.js";
import { commands } from "../commands/index.js";
import { type Exit, exitCodes } from "../exit-codes.js";
import { failureOf } from "../failure.js";
import type { Event, Progress, Reporter } from "../reporter.js";

export interface Told {
  readonly code: number;
  readonly exit: Exit | undefined;
  /** Of the error, if it came to one. */
  readonly message: string;
  readonly events: readonly Event[];
  readonly texts: readonly string[];
  readonly notices: readonly string[];
  readonly progress: readonly Progress[];
  /** What parsing wrote. */
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: Event) => void;
  readonly onProgress?: (progress: Progress) => void;
}

const never = new AbortController().signal;

/** As the program would run it; what it says is collected. */
export const runCommand = async (args: readonly string[], options: RunOptions = {}): Promise<Told> => {
  const { env = {}, signal = never, onEvent = () => {}, onProgress = () => {} } = options;
  const events: Event[] = [];
  const texts: string[] = [];
  const notices: string[] = [];
  const progress: Progress[] = [];
  const said = { out: "", err: "" };
  const plain = String;
  const reporter: Reporter = {
    event: (event, text) => {
      events.push(event);
      texts.push(text({ bold: plain, dim: plain }));
      onEvent(event);
    },
    notice: (text) => void notices.push(text),
    progress: (given) => {
      progress.push(given);
      onProgress(given);
    },
  };
  const output = {
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
  };
  const told = (code: number, exit: Exit | undefined, message: string): Told => ({
    code,
    exit,
    message,
    events,
    texts,
    notices,
    progress,
    ...said,
  });
  try {
    const { name, options: parsed } = await parseCommandLine(args, env, output);
    const definition = await commands[name]();
    // As between threads: what is parsed goes through a clone.
    const exit = await definition.run(structuredClone(parsed), { reporter, signal });
    return told(exitCodes[exit].code, exit, "");
  } catch (error) {
    if (error instanceof CommandLineExit) return told(error.exitCode, undefined, said.err);
    const { exit, message } = failureOf(error);
    return told(exitCodes[exit].code, exit, message);
  }
};
