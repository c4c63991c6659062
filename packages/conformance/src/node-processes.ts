/** Isolated runs in processes of Node: unlike a thread, one whose native code hangs or crashes takes nothing else with it. */
import type { ChildProcess } from "node:child_process";
import { Worker } from "node:worker_threads";
import type { IsolatedLaunch, IsolatedMessage, IsolatedPort, IsolatedWorker } from "./isolated.js";

/** What a process says of the exception that ends it. */
interface LastWords {
  readonly type: "down";
  readonly message: string;
}

/** In a thread: where the main one hangs, it hears neither `disconnect` nor signals, and nobody is left to end it. */
const endWithParent = `
const { workerData: parent } = require("node:worker_threads");
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, "SIGKILL"); }, 1000);
`;

/**
 * The line of a process to the one that forked it, which alone decides how long it runs: SIGINT, which a terminal sends to all, is
 * ignored, and without the other it ends.
 *
 * @throws TypeError in a process that was not forked.
 */
export const processPort = (): IsolatedPort => {
  const send = process.send?.bind(process) as
    | ((message: IsolatedMessage | LastWords, then?: () => void) => void)
    | undefined;
  if (!send) throw new TypeError("processPort: called in a process that was not forked");
  process.on("SIGINT", () => {});
  process.on("disconnect", () => process.exit());
  new Worker(endWithParent, { eval: true, execArgv: [], workerData: process.ppid }).unref();
  process.on("uncaughtException", (thrown: unknown) =>
    send({ type: "down", message: thrown instanceof Error ? thrown.message : String(thrown) }, () => process.exit(1)),
  );
  return {
    // Before `then` it may wait for the other end to read, in a queue that only an idle process works off.
    post: (message) => new Promise((resolve) => send(message, resolve)),
    launch: () =>
      new Promise<IsolatedLaunch>((resolve) => process.once("message", (launch) => resolve(launch as IsolatedLaunch))),
  };
};

/** A process that calls `serveIsolated(processPort(), …)`, for `runIsolated`. */
export const processWorker = (child: ChildProcess): IsolatedWorker => ({
  listen: ({ message, lost }) => {
    let words: string | undefined;
    child.on("message", (said: IsolatedMessage | LastWords) => {
      if (said.type === "down") words = said.message;
      else message(said);
    });
    child.on("error", (error) => lost(`lost its process: ${error.message}`, error));
    // Behind the last message, as `exit` is not.
    child.on("close", (code, signal) => {
      const how = signal === null ? `with code ${code}` : `by ${signal}`;
      lost(
        words === undefined ? `ended its process ${how}` : `took its process down: ${words}`,
        new Error(words ?? `the process ended ${how} before its first case`),
      );
    });
  },
  // One that has ended already cannot be written to: `close` says so.
  launch: (launch) => child.send(launch, () => {}),
  terminate: () =>
    new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) resolve();
      else {
        child.once("exit", () => resolve());
        child.kill("SIGKILL");
      }
    }),
});
