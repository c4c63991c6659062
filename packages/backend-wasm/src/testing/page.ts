/** What `chromium.test.ts` runs in a worker of a page: the main thread must not wait. */
import { createWasmBackend } from "../index.js";
import { train } from "./train.js";

export interface PageResult {
  readonly threads: number;
  readonly description: string;
  /** Bits of the weights, parameter by parameter. */
  readonly weights: readonly (readonly number[])[];
}

export const trainHere = async (threads: number | undefined, steps: number): Promise<PageResult> => {
  const backend = await createWasmBackend(threads === undefined ? {} : { threads });
  const weights = await train(backend, steps);
  const { description = "" } = backend;
  const result = {
    threads: backend.threads,
    description,
    weights: weights.map((values) => Array.from(new Uint32Array(values.buffer))),
  };
  backend.dispose();
  return result;
};

/** In a page, its main thread; in a worker, the answer to a message. */
const scope = globalThis as unknown as {
  document?: object;
  trainHere?: typeof trainHere;
  onmessage?: (event: { data: { threads?: number; steps: number } }) => void;
  postMessage?: (result: PageResult) => void;
};
if (scope.document) scope.trainHere = trainHere;
else
  scope.onmessage = async ({ data: { threads, steps } }) =>
    (scope.postMessage as (result: PageResult) => void)(await trainHere(threads, steps));
