/** The backends that the apps offer, by the names of their `--backend` option. */
import { createCpuBackend } from "@striate/backend-cpu";
import type { Backend } from "@striate/core";
import { closest } from "fastest-levenshtein";

/** A backend as the user named it, and why it was taken. */
export interface ChosenBackend {
  readonly backend: Backend;
  /** For people; empty unless the name was `auto`. */
  readonly reason: string;
}

/** No such backend, or none that runs here. */
export class BackendChoiceError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "BackendChoiceError";
  }
}

const creators: Readonly<Record<string, () => Promise<Backend>>> = {
  cpu: () => createCpuBackend(),
};

/** Fastest first. */
const preference = ["cpu"] as const;

/** Every name that `createBackend` takes. */
export const backendNames: readonly string[] = ["auto", ...Object.keys(creators)];

/** Names that the project has set aside for backends that are not built yet. */
const reserved = /^(wasm|webgpu|tfjs:.+)$/;

/** @throws BackendChoiceError for a name that is not there, naming the nearest one. */
export const createBackend = async (name: string): Promise<ChosenBackend> => {
  if (name === "auto") {
    const [first] = preference;
    const backend = await (creators[first] as () => Promise<Backend>)();
    return { backend, reason: `${first} is the fastest backend that is there` };
  }
  const create = Object.hasOwn(creators, name) ? creators[name] : undefined;
  if (create) return { backend: await create(), reason: "" };
  const offered = `this build has ${backendNames.join(", ")}`;
  if (reserved.test(name)) throw new BackendChoiceError(`backend ${name} is not there yet; ${offered}`);
  throw new BackendChoiceError(
    `there is no backend ${JSON.stringify(name)}; did you mean ${closest(name, [...backendNames])}? (${offered})`,
  );
};
