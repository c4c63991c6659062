import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createDisplay, type Display } from "./display.js";
import { type Exit, exitCodes } from "./exit-codes.js";
import { type Failure, failureOf } from "./failure.js";
import type { Job, Message, Stop } from "./messages.js";
import { CommandLineExit, parseOptions } from "./options.js";

const signals = { SIGINT: "interrupted", SIGTERM: "terminated" } as const;

/** Shows what the worker tells. Resolves when it is gone, with its failure if there was one. */
const work = async (worker: Worker, display: Display): Promise<Failure | null> => {
  let failure: Failure | null = failureOf(new Error("the worker ended without a result"));
  worker.on("message", (message: Message) => {
    if (message.type === "event") display.event(message.event, message.text);
    else if (message.type === "notice") display.notice(message.text);
    else if (message.type === "progress") display.progress(message.progress);
    else failure = message.type === "failed" ? message.failure : null;
  });
  try {
    await once(worker, "exit");
    return failure;
  } catch (error) {
    return failureOf(error);
  }
};

const main = async (): Promise<Exit> => {
  const options = parseOptions(process.argv.slice(2), process.env);
  const { stdout, stderr } = process;
  const display = createDisplay(process, {
    json: options.json,
    interactive: stderr.isTTY && process.env["TERM"] !== "dumb",
    colors: stderr.isTTY && stderr.hasColors(),
  });
  const job: Job = { options, colors: stdout.isTTY && stdout.hasColors() };
  const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: job });

  let stoppedBy: Exit | undefined;
  /** The first reason counts. */
  const stop = (exit: Exit, why: string): void => {
    if (stoppedBy !== undefined) return;
    stoppedBy = exit;
    // The last line may be the one that cannot be written: then all else is done already.
    process.exitCode = exitCodes[exit].code;
    display.notice(why);
    worker.postMessage("stop" satisfies Stop);
  };
  for (const [signal, exit] of Object.entries(signals))
    process.on(signal, () => {
      if (stoppedBy !== undefined) {
        display.clear();
        process.exit(exitCodes[exit].code);
      }
      stop(exit, `${signal}: stopping after this step; once more to leave at once`);
    });
  // `| head` closes the pipe early; a disk may be full.
  stdout.on("error", (error: NodeJS.ErrnoException) =>
    error.code === "EPIPE"
      ? stop("closed", "standard output was closed: stopping")
      : stop("output", `cannot write to standard output: ${error.message}`),
  );
  // Nothing depends on what is said there.
  stderr.on("error", () => {});

  const failure = await work(worker, display);
  display.clear();
  if (failure === null) return stoppedBy ?? "ok";
  const { exit, message, detail } = failure;
  if (options.json) display.event({ event: "error", kind: exit, message }, "");
  display.error(detail);
  return exit;
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
