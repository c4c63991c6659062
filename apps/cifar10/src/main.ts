import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CommandLineExit } from "./cli.js";
import { parseCommandLine } from "./command-line.js";
import { commands } from "./commands/index.js";
import { createDisplay, type Display } from "./display.js";
import { type Exit, exitCodes } from "./exit-codes.js";
import { type Failure, failureOf } from "./failure.js";
import type { Job, Message, Order } from "./messages.js";
import type { Ui } from "./ui/index.js";

const signals = { SIGINT: "interrupted", SIGTERM: "terminated" } as const;

/** Shows what the worker tells. Resolves when it is gone, with its exit or its failure. */
const work = async (worker: Worker, display: Display, ui: Ui | undefined): Promise<Exit | Failure> => {
  let result: Exit | Failure = failureOf(new Error("the worker ended without a result"));
  worker.on("message", (message: Message) => {
    switch (message.type) {
      case "event":
        display.event(message.event, message.text);
        break;
      case "notice":
        display.notice(message.text);
        break;
      case "progress":
        display.progress(message.progress);
        break;
      case "ui":
        ui?.message(message.message);
        break;
      case "metric":
        ui?.metric(message.metric as Parameters<Ui["metric"]>[0]);
        break;
      default:
        result = message.type === "failed" ? message.failure : message.exit;
    }
  });
  try {
    await once(worker, "exit");
    return result;
  } catch (error) {
    return failureOf(error);
  }
};

const fail = (display: Display, json: boolean, { exit, message, detail }: Failure): Exit => {
  if (json) display.event({ event: "error", kind: exit, message }, "");
  display.error(detail);
  return exit;
};

/** A page without its server is dead, so this stays until somebody has looked. */
const untilInterrupted = (display: Display, ui: Ui): Promise<void> => {
  display.notice(`the page stays at ${ui.url} until Ctrl-C`);
  return new Promise((resolve) => {
    for (const signal of Object.keys(signals)) process.removeAllListeners(signal).once(signal, () => resolve());
  });
};

const main = async (): Promise<Exit> => {
  const { stdout, stderr } = process;
  const args = process.argv.slice(2);
  const displayFor = (json: boolean): Display =>
    createDisplay(process, {
      json,
      interactive: stderr.isTTY && process.env["TERM"] !== "dumb",
      colors: stderr.isTTY && stderr.hasColors(),
    });
  const parsed = await parseCommandLine(args, process.env).catch((error: unknown) => {
    // A run that is to be gone on with is looked for while parsing.
    if (error instanceof CommandLineExit) throw error;
    return failureOf(error);
  });
  if ("exit" in parsed) return fail(displayFor(args.includes("--json")), args.includes("--json"), parsed);
  const { name, options } = parsed;
  const display = displayFor(options.json);

  const definition = await commands[name]();
  const head = definition.ui?.(options);
  let worker: Worker | undefined;
  const order = (given: Order): void => worker?.postMessage(given);
  let ui: Ui | undefined;
  if (head) {
    const { openUi } = await import("./ui/index.js");
    try {
      ui = await openUi({ ...head, onRequest: (request) => order({ type: "ui", request }) });
    } catch (error) {
      return fail(display, options.json, failureOf(error));
    }
    display.notice(`live page: ${ui.url}`);
  }
  const job: Job = { command: name, options, colors: stdout.isTTY && stdout.hasColors(), ui: ui !== undefined };
  worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: job });

  let stoppedBy: Exit | undefined;
  /** The first reason counts. */
  const stop = (exit: Exit, why: string): void => {
    if (stoppedBy !== undefined) return;
    stoppedBy = exit;
    // The last line may be the one that cannot be written: then all else is done already.
    process.exitCode = exitCodes[exit].code;
    display.notice(why);
    order({ type: "stop" });
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

  const result = await work(worker, display, ui);
  display.clear();
  const exit = typeof result === "string" ? (stoppedBy ?? result) : fail(display, options.json, result);
  if (ui) {
    if (stderr.isTTY && stoppedBy === undefined) await untilInterrupted(display, ui);
    await ui.close();
  }
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
