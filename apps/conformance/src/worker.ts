/** The thread in which cases run; `main` watches it and starts another when a case hangs. */
import { workerData } from "node:worker_threads";
import { serveIsolated } from "@striate/conformance";
import { threadPort } from "@striate/conformance/node";
import { loadInputs } from "./inputs.js";
import type { Options } from "./options.js";
import { suiteOptions } from "./suite-options.js";

const options = workerData as Options;

await serveIsolated(threadPort(), async () => suiteOptions(options, await loadInputs(options)));
