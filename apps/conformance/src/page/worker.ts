/** The worker of a page in which cases run. */
import { type IsolatedLaunch, type IsolatedMessage, serveIsolated } from "@striate/conformance";
import { suiteOptions } from "../suite-options.js";
import { loadRun } from "./inputs.js";

// Messages of a dedicated worker go to its page; the DOM's types know `self` as a window only.
const post = self.postMessage.bind(self) as (message: IsolatedMessage) => void;

const launched = new Promise<IsolatedLaunch>((resolve) => {
  self.addEventListener("message", ({ data }: MessageEvent<IsolatedLaunch>) => resolve(data), { once: true });
});

await serveIsolated({ post, launch: () => launched }, async () => {
  const { options, inputs } = await loadRun();
  return suiteOptions(options, inputs);
});
