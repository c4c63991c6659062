/** The process in which cases run; `main` watches it and starts another when a case hangs. */
import { serveIsolated } from "@striate/conformance";
import { processPort } from "@striate/conformance/node";
import { loadInputs } from "./inputs.js";
import type { Options } from "./options.js";
import { suiteOptions } from "./suite-options.js";

const options = JSON.parse(process.argv[2] as string) as Options;

await serveIsolated(processPort(), async () => suiteOptions(options, await loadInputs(options)));
