/** The backends that the apps offer, by the names of their `--backend` option. */
import { createCpuBackend } from "@striate/backend-cpu";
import type { Backend } from "@striate/core";
import { nearestName } from "./nearest.js";

export { nearestName } from "./nearest.js";

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

/** Fastest first: `auto` is the first one. */
const creators: ReadonlyMap<string, () => Promise<Backend>> = new Map([["cpu", createCpuBackend]]);

/** Every name that `createBackend` takes. */
export const backendNames: readonly string[] = ["auto", ...creators.keys()];

/** Names that the project has set aside for backends that are not built yet. */
const reserved = /^(wasm|webgpu|tfjs:.+)$/;

const choiceError = (name: string): BackendChoiceError => {
  const offered = `this build has ${backendNames.join(", ")}`;
  if (reserved.test(name)) return new BackendChoiceError(`backend ${name} is not there yet; ${offered}`);
  const nearest = nearestName(name, backendNames);
  const hint = nearest === undefined ? "" : `did you mean ${nearest}? `;
  return new BackendChoiceError(`there is no backend ${JSON.stringify(name)}; ${hint}${offered}`);
};

/** @throws BackendChoiceError for a name that is not there, naming the nearest one; what creating the backend throws. */
export const createBackend = async (name: string): Promise<ChosenBackend> => {
  const [fastest] = creators.keys();
  const chosen = name === "auto" ? (fastest as string) : name;
  const create = creators.get(chosen);
  if (!create) throw choiceError(name);
  return { backend: await create(), reason: name === "auto" ? `${chosen} is the fastest backend that is there` : "" };
};
