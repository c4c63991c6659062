/** The page's main thread: starts the worker and carries messages, so that it answers whatever the worker is doing. */
import type { PageGlobals, PageMessage } from "./protocol.js";

const globals = globalThis as unknown as PageGlobals;

const waiting: PageMessage[] = [];
let sending = false;
/** In order, and as many at once as have come while the last ones were under way. */
const send = async (message: PageMessage): Promise<void> => {
  waiting.push(message);
  if (sending) return;
  sending = true;
  while (waiting.length > 0) await globals.striateHear(waiting.splice(0));
  sending = false;
};

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.addEventListener("message", ({ data }: MessageEvent<PageMessage>) => void send(data));
worker.addEventListener("error", ({ message }) =>
  send({ type: "lost", message: message ?? "its script cannot be loaded" }),
);

globals.striateLaunch = (launch) => worker.postMessage(launch);
