/** What `chromium.test.ts` runs in a worker of a page: the main thread must not wait. */
import { createWasmBackend, type WasmBackendOptions } from "../index.js";
import { train } from "./train.js";

export interface PageSettings extends Pick<WasmBackendOptions, "threads" | "tile"> {
  readonly steps: number;
}

export interface PageResult {
  readonly threads: number;
  readonly tile: string;
  readonly description: string;
  /** Bits of the weights, parameter by parameter. */
  readonly weights: readonly (readonly number[])[];
  /** All that the page's storage has; nothing in a worker. */
  readonly kept: readonly (readonly [key: string, value: string])[];
}

/** Its tile is kept in the page's storage; workers have none. */
export const trainHere = async ({ steps, ...options }: PageSettings): Promise<PageResult> => {
  const backend = await createWasmBackend({ ...options, ...(scope.document && { tileCache: localStorage }) });
  const weights = await train(backend, steps);
  const { description = "" } = backend;
  const result = {
    threads: backend.threads,
    tile: backend.tile,
    description,
    weights: weights.map((values) => Array.from(new Uint32Array(values.buffer))),
    kept: scope.document ? Object.entries(localStorage) : [],
  };
  backend.dispose();
  return result;
};

/** In a page, its main thread; in a worker, the answer to a message. */
const scope = globalThis as unknown as {
  document?: object;
  trainHere?: typeof trainHere;
  onmessage?: (event: { data: PageSettings }) => void;
  postMessage?: (result: PageResult) => void;
};
if (scope.document) scope.trainHere = trainHere;
else scope.onmessage = async ({ data }) => (scope.postMessage as (result: PageResult) => void)(await trainHere(data));
