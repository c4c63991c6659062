import type { RunEvent } from "@striate/train/node";
import type { CommonOptions, Env, Output } from "../cli.js";
import type { Exit } from "../exit-codes.js";
import type { Picture } from "../report/pictures.js";
import type { Reporter } from "../reporter.js";
import type { UiMessage, UiRequest } from "../ui/index.js";

/** The live page, as the worker sees it. */
export interface UiChannel {
  post(message: UiMessage<Picture>): void;
  /** Everything that goes into metrics.jsonl, in its order. */
  metric(metric: RunEvent): void;
  /** Takes the page's requests from now on. */
  listen(listener: (request: UiRequest) => void): void;
}

export interface CommandContext {
  readonly reporter: Reporter;
  /** Ends the command soon and well. */
  readonly signal: AbortSignal;
  /** There with `--ui`. */
  readonly ui?: UiChannel | undefined;
}

export interface PageHead {
  readonly title: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
}

/** A command in two halves: the main thread parses, a worker runs. `O` must survive a structured clone. */
export interface CommandDefinition<O extends CommonOptions> {
  /** What the live page is to show at its top, where these options ask for one. */
  ui?(options: O): PageHead | undefined;
  /** @throws CommandLineExit */
  parse(args: readonly string[], given?: { env?: Env; output?: Output }): O;
  /** Tells its results to the reporter. What it throws is an exit of the program, see `failureOf`. */
  run(options: O, context: CommandContext): Promise<Exit>;
}
