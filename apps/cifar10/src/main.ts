import { BackendChoiceError } from "@striate/backends";
import { CheckpointError } from "@striate/checkpoint";
import { BackendLostError, KernelError, OutOfMemoryError } from "@striate/core";
import { DataError } from "@striate/data";
import { TrainingError } from "@striate/train";
import { type Exit, exitCodes } from "./exit-codes.js";
import { CommandLineExit, parseOptions, UsageError } from "./options.js";
import { OutputError } from "./output.js";
import { createReporter } from "./reporter.js";
import { run } from "./run.js";

const failures: readonly (readonly [new (...args: never[]) => Error, Exit])[] = [
  [UsageError, "usage"],
  [DataError, "data"],
  [BackendChoiceError, "backend"],
  [BackendLostError, "backend"],
  [OutOfMemoryError, "backend"],
  [KernelError, "backend"],
  [OutputError, "output"],
  [CheckpointError, "output"],
  [TrainingError, "training"],
];

const signals = { SIGINT: "interrupted", SIGTERM: "terminated" } as const;

const main = async (): Promise<Exit> => {
  const options = parseOptions(process.argv.slice(2), process.env);
  const reporter = createReporter(process, options.json, process.stderr.isTTY && process.env["TERM"] !== "dumb");
  const abort = new AbortController();
  let stoppedBy: Exit | undefined;
  /** Ends training after the step that is running. The first reason counts. */
  const stop = (exit: Exit, why: string): void => {
    if (stoppedBy !== undefined) return;
    stoppedBy = exit;
    // The last line may be the one that cannot be written: then all else is done already.
    process.exitCode = exitCodes[exit].code;
    reporter.notice(why);
    abort.abort(new Error(why));
  };

  for (const [signal, exit] of Object.entries(signals))
    process.on(signal, () => {
      if (stoppedBy !== undefined) {
        reporter.clear();
        process.exit(exitCodes[exit].code);
      }
      stop(exit, `${signal}: stopping after this step; once more to leave at once`);
    });
  // `| head` closes the pipe early; a disk may be full.
  process.stdout.on("error", (error: NodeJS.ErrnoException) =>
    error.code === "EPIPE"
      ? stop("closed", "standard output was closed: stopping")
      : stop("output", `cannot write to standard output: ${error.message}`),
  );
  // Nothing depends on what is said there.
  process.stderr.on("error", () => {});

  try {
    await run(options, reporter, abort.signal);
    return stoppedBy ?? "ok";
  } catch (error) {
    if (stoppedBy !== undefined && error === abort.signal.reason) {
      reporter.event({ event: "interrupted" }, () => "stopped before training; nothing is saved");
      return stoppedBy;
    }
    const exit = failures.find(([type]) => error instanceof type)?.[1] ?? "internal";
    const message = error instanceof Error ? error.message : String(error);
    if (options.json) reporter.event({ event: "error", kind: exit, message }, () => "");
    reporter.error(exit === "internal" && error instanceof Error ? (error.stack ?? message) : message);
    return exit;
  }
};

main().then(
  (exit) => {
    process.exitCode = exitCodes[exit].code;
  },
  (error: unknown) => {
    if (!(error instanceof CommandLineExit)) throw error;
    process.exitCode = error.exitCode;
  },
);
