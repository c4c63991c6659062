import { Worker } from "node:worker_threads";
import { createBackend } from "@striate/backends";
import type { IsolatedWorker } from "@striate/conformance";
import { threadWorker } from "@striate/conformance/node";
import type { Inputs } from "./inputs.js";
import type { Options, Place } from "./options.js";

/** Where workers come from. */
export interface OpenPlace {
  start(): IsolatedWorker | Promise<IsolatedWorker>;
  /** Ends what was opened; workers are the caller's. */
  close(): Promise<void>;
}

const open: Readonly<Record<Place, (options: Options, inputs: Inputs) => Promise<OpenPlace>>> = {
  node: async (options) => {
    // An error here has its stack still.
    (await createBackend(options.backend)).backend.dispose();
    return {
      start: () => threadWorker(new Worker(new URL("./worker.js", import.meta.url), { workerData: options })),
      close: async () => {},
    };
  },
  // Loaded at need: nobody pays for a bundler and a browser's driver who does not use them.
  chromium: async (options, inputs) => (await import("./chromium/place.js")).openChromium(options, inputs),
};

/** @throws BackendChoiceError, BrowserError */
export const openPlace = (options: Options, inputs: Inputs): Promise<OpenPlace> => open[options.in](options, inputs);
