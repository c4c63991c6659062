/** Isolated runs in worker threads of Node. */
import { parentPort, type Worker } from "node:worker_threads";
import type { IsolatedLaunch, IsolatedPort, IsolatedWorker } from "./isolated.js";

/** The line of a worker thread to the one that started it. @throws TypeError outside of a worker thread. */
export const threadPort = (): IsolatedPort => {
  const port = parentPort;
  if (!port) throw new TypeError("threadPort: called outside of a worker thread");
  return {
    post: (message) => port.postMessage(message),
    launch: () => new Promise<IsolatedLaunch>((resolve) => port.once("message", resolve)),
  };
};

/** A thread that calls `serveIsolated(threadPort(), …)`, for `runIsolated`. */
export const threadWorker = (worker: Worker): IsolatedWorker => ({
  listen: ({ message, lost }) => {
    worker.on("message", message);
    worker.on("error", (error: Error) => lost(`took its thread down: ${error.message}`, error));
    worker.on("exit", (code) =>
      lost(`ended its thread with code ${code}`, new Error(`the worker ended with code ${code} before its first case`)),
    );
  },
  launch: (launch) => worker.postMessage(launch),
  terminate: () => worker.terminate(),
});
