/** The backends that the apps offer, by the names of their `--backend` option. */
import type { TileCache, WasmBackendOptions } from "@striate/backend-wasm";
import type { Backend } from "@striate/core";
import { BackendChoiceError, type ChosenBackend, startBackend, startFirst } from "./choice.js";
import { nearestName } from "./nearest.js";

export type { TileCache } from "@striate/backend-wasm";
export { BackendChoiceError, type ChosenBackend } from "./choice.js";
export { nearestName } from "./nearest.js";

export interface BackendOptions {
  /** Take the time of every dispatch, where the backend can: WebGPU's, see its `profile`. Default false. */
  readonly profile?: boolean;
  /** Where `wasm:measured` keeps what it measured. */
  readonly tileCache?: TileCache;
}

type Creator = (options: BackendOptions) => Promise<Backend>;

export type WasmTile = NonNullable<WasmBackendOptions["tile"]>;

/** Of type so that none is forgotten. */
const everyTile: Readonly<Record<WasmTile, true>> = { measured: true, "4x8": true, "4x12": true, "4x16": true };

/** What may follow `wasm:`. */
export const wasmTiles = Object.keys(everyTile) as readonly WasmTile[];

const wasmCreator =
  (tile?: WasmTile): Creator =>
  async ({ tileCache }) =>
    (await import("@striate/backend-wasm")).createWasmBackend({
      ...(tile && { tile }),
      ...(tileCache && { tileCache }),
    });

/** Each is loaded at its first use: a program, or a page, carries only the backend that it runs. */
const creators: ReadonlyMap<string, Creator> = new Map<string, Creator>([
  ["cpu", async () => (await import("@striate/backend-cpu")).createCpuBackend()],
  ["wasm", wasmCreator()],
  ...wasmTiles.map((tile) => [`wasm:${tile}`, wasmCreator(tile)] as const),
  ["webgpu", async ({ profile = false }) => (await import("@striate/backend-webgpu")).createWebGpuBackend({ profile })],
  ["tfjs:cpu", async () => (await import("./tfjs.js")).createTfjs("cpu")],
  ["tfjs:wasm", async () => (await import("./tfjs.js")).createTfjs("wasm")],
  ["tfjs:webgl", async () => (await import("./tfjs.js")).createTfjs("webgl")],
  ["tfjs:webgpu", async () => (await import("./tfjs.js")).createTfjs("webgpu")],
]);

/** What `auto` tries, fastest first. */
const automatic: readonly string[] = ["wasm", "cpu"];

/** Every name that `createBackend` takes. */
export const backendNames: readonly string[] = ["auto", ...creators.keys()];

const choiceError = (name: string): BackendChoiceError => {
  const offered = `this build has ${backendNames.join(", ")}`;
  const nearest = nearestName(name, backendNames);
  const hint = nearest === undefined ? "" : `did you mean ${nearest}? `;
  return new BackendChoiceError(`there is no backend ${JSON.stringify(name)}; ${hint}${offered}`);
};

/**
 * @throws BackendChoiceError for a name that is not there, naming the nearest one, and for a backend that cannot be started
 *   here; what it threw is the `cause`.
 */
export const createBackend = async (name: string, options: BackendOptions = {}): Promise<ChosenBackend> => {
  const candidates = (name === "auto" ? automatic : [name]).map((candidate) => {
    const create = creators.get(candidate);
    if (!create) throw choiceError(candidate);
    return { name: candidate, create: () => create(options) };
  });
  if (name === "auto") return startFirst(candidates);
  return { backend: await startBackend(candidates[0]!), reason: "" };
};
