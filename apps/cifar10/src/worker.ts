// Trains, and tells the main thread. In a thread of its own because a synchronous backend blocks it for a whole step,
// which may take seconds: Ctrl-C and the progress line shall not wait for that.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import picocolors from "picocolors";
import { failureOf } from "./failure.js";
import type { Job, Message } from "./messages.js";
import type { Reporter } from "./reporter.js";
import { run } from "./run.js";

const { options, colors } = workerData as Job;
const port = parentPort as MessagePort;
const post = (message: Message): void => port.postMessage(message);
const style = picocolors.createColors(colors);
const abort = new AbortController();
port.once("message", () => abort.abort(new Error("stopped")));

const reporter: Reporter = {
  event: (event, text) => post({ type: "event", event, text: text(style) }),
  notice: (text) => post({ type: "notice", text }),
  progress: (progress) => post({ type: "progress", progress }),
};

try {
  await run(options, reporter, abort.signal);
  post({ type: "ended" });
} catch (error) {
  post({ type: "failed", failure: failureOf(error) });
} finally {
  port.close();
}
