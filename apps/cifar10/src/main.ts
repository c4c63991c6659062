import { BackendChoiceError } from "@striate/backends";
import { CheckpointError } from "@striate/checkpoint";
import { BackendLostError, KernelError, OutOfMemoryError } from "@striate/core";
import { DataError } from "@striate/data";
import { TrainingError } from "@striate/train";
import { exitCodes } from "./exit-codes.js";
import { CommandLineExit, parseOptions } from "./options.js";
import { createReporter } from "./reporter.js";
import { OutputError, run, UsageError } from "./run.js";

type Failure = Exclude<keyof typeof exitCodes, "ok" | "interrupted">;

const failures: readonly (readonly [new (...args: never[]) => Error, Failure])[] = [
  [DataError, "data"],
  [BackendChoiceError, "backend"],
  [BackendLostError, "backend"],
  [OutOfMemoryError, "backend"],
  [KernelError, "backend"],
  [OutputError, "output"],
  [CheckpointError, "output"],
  [TrainingError, "training"],
  [UsageError, "usage"],
];

const failureOf = (error: unknown): Failure => failures.find(([type]) => error instanceof type)?.[1] ?? "internal";

const signals = { SIGINT: 130, SIGTERM: 143 } as const;

const main = async (): Promise<number> => {
  const options = parseOptions(process.argv.slice(2));
  const reporter = createReporter(process, options.json);
  const abort = new AbortController();
  let interruptedBy: keyof typeof signals = "SIGINT";
  for (const name of Object.keys(signals) as (keyof typeof signals)[])
    process.on(name, () => {
      if (abort.signal.aborted) process.exit(signals[name]);
      interruptedBy = name;
      reporter.notice(`${name}: finishing this step, then saving; once more to leave at once`);
      abort.abort(new Error(`interrupted by ${name}`));
    });
  try {
    const ended = await run(options, reporter, abort.signal);
    return ended === "interrupted" ? signals[interruptedBy] : exitCodes.ok.code;
  } catch (error) {
    if (abort.signal.aborted && error === abort.signal.reason) return signals[interruptedBy];
    const failure = failureOf(error);
    const message = error instanceof Error ? error.message : String(error);
    const detail = failure === "internal" && error instanceof Error ? (error.stack ?? message) : message;
    if (options.json) reporter.event({ event: "error", kind: failure, message }, "");
    reporter.notice(`error: ${detail}`);
    return exitCodes[failure].code;
  }
};

// Standard output may be a pipe that is closed early (`| head`): that ends the program quietly.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.ok.code);
});

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (error instanceof CommandLineExit) process.exitCode = error.exitCode;
    else throw error;
  },
);
