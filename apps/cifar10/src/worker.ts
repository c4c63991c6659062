// Does the work, and tells the main thread. In a thread of its own because a synchronous backend blocks it for a whole
// step, which may take seconds: Ctrl-C and the progress line shall not wait for that.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import picocolors from "picocolors";
import type { UiChannel } from "./commands/command.js";
import { commands } from "./commands/index.js";
import { failureOf } from "./failure.js";
import type { Job, Message, Order } from "./messages.js";
import type { Reporter } from "./reporter.js";

const { command, options, colors, ui } = workerData as Job;
const port = parentPort as MessagePort;
const post = (message: Message): void => port.postMessage(message);
const style = picocolors.createColors(colors);
const abort = new AbortController();
let listener: Parameters<UiChannel["listen"]>[0] = () => {};
port.on("message", (order: Order) => {
  if (order.type === "stop") abort.abort(new Error("stopped"));
  else listener(order.request);
});

const reporter: Reporter = {
  event: (event, text) => post({ type: "event", event, text: text(style) }),
  notice: (text) => post({ type: "notice", text }),
  progress: (progress) => post({ type: "progress", progress }),
};

const channel: UiChannel = {
  post: (message) => post({ type: "ui", message }),
  metric: (metric) => post({ type: "metric", metric }),
  listen: (given) => {
    listener = given;
  },
};

try {
  const definition = await commands[command]();
  post({
    type: "ended",
    exit: await definition.run(options, { reporter, signal: abort.signal, ...(ui && { ui: channel }) }),
  });
} catch (error) {
  post({ type: "failed", failure: failureOf(error) });
} finally {
  port.close();
}
