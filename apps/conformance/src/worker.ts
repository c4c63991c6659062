/** The thread in which cases run; `main` watches it and starts another when a case hangs. */
import { workerData } from "node:worker_threads";
import { createBackend } from "@striate/backends";
import { serveIsolated } from "@striate/conformance/node";
import { loadInputs } from "./inputs.js";
import type { Options } from "./options.js";

const options = workerData as Options;

await serveIsolated({
  ...(await loadInputs(options)),
  name: options.backend,
  create: async () => (await createBackend(options.backend)).backend,
  precision: options.precision,
  timeout: options.timeout * 1000,
  ...(options.group && { groups: options.group }),
  ...(options.filter && { filter: options.filter }),
});
