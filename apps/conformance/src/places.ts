import { fork } from "node:child_process";
import { createBackend } from "@striate/backends";
import type { IsolatedWorker } from "@striate/conformance";
import { processWorker } from "@striate/conformance/node";
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
      start: () => {
        const program = new URL("./worker.js", import.meta.url);
        return processWorker(fork(program, [JSON.stringify(options)], { serialization: "advanced" }));
      },
      close: async () => {},
    };
  },
  // Loaded at need: nobody pays for a bundler and a browser's driver who does not use them.
  chromium: async (options, inputs) => (await import("./chromium/place.js")).openChromium(options, inputs),
};

/** @throws BackendChoiceError, BrowserError */
export const openPlace = (options: Options, inputs: Inputs): Promise<OpenPlace> => open[options.in](options, inputs);
