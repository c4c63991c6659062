import { createBackend } from "@striate/backends";
import type { ConformanceOptions, ModelBuilder } from "@striate/conformance";
import type { Backend } from "@striate/core";
import type { Inputs } from "./inputs.js";
import { bundledNetworks, modelBuilders } from "./networks.js";
import type { Options } from "./options.js";

/** What the worker runs, in Node as in a page. @throws BackendChoiceError */
export const suiteOptions = async (options: Options, inputs: Inputs): Promise<ConformanceOptions> => {
  const create = async (): Promise<Backend> => (await createBackend(options.backend)).backend;
  // What `auto` stands for.
  const probe = await create();
  const { name } = probe;
  probe.dispose();
  const { networks = options.vectors === undefined ? bundledNetworks : undefined } = options;
  return {
    ...inputs,
    name,
    create,
    models: networks
      ? Object.fromEntries(networks.map((key) => [key, modelBuilders[key] as ModelBuilder]))
      : modelBuilders,
    ...(options.precision && { precision: options.precision }),
    timeout: options.timeout * 1000,
    ...(options.group && { groups: options.group }),
    ...(options.filter && { filter: options.filter }),
    ...(options.shard && { shard: options.shard }),
  };
};
