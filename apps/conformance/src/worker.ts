/** The thread in which cases run; `main` watches it and starts another when a case hangs. */
import { workerData } from "node:worker_threads";
import { createBackend } from "@striate/backends";
import { serveIsolated } from "@striate/conformance/node";
import type { Backend } from "@striate/core";
import { loadInputs } from "./inputs.js";
import type { Options } from "./options.js";

const options = workerData as Options;

const create = async (): Promise<Backend> => (await createBackend(options.backend)).backend;
// What `auto` stands for.
const probe = await create();
const { name } = probe;
probe.dispose();

await serveIsolated({
  ...(await loadInputs(options)),
  name,
  create,
  precision: options.precision,
  timeout: options.timeout * 1000,
  ...(options.group && { groups: options.group }),
  ...(options.filter && { filter: options.filter }),
});
