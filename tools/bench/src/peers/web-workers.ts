/** The `Worker` of a page, over Node's, for libraries that know only that one. */
import { resolveObjectURL } from "node:buffer";
import { Worker } from "node:worker_threads";

export interface WebWorkers {
  /** Takes the `blob:` URL of a script without imports. Messages wait until it runs. */
  readonly Worker: new (
    url: string,
  ) => WebWorker;
  /** Ends all that were made. */
  terminate(): void;
}

interface WebWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message: string }) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

const prelude = `
const { parentPort } = require("node:worker_threads");
globalThis.self = globalThis;
globalThis.postMessage = (message) => parentPort.postMessage(message);
parentPort.on("message", (data) => globalThis.onmessage?.({ data }));
`;

export const createWebWorkers = (): WebWorkers => {
  const all: WebWorker[] = [];
  return {
    Worker: class implements WebWorker {
      onmessage: WebWorker["onmessage"] = null;
      onerror: WebWorker["onerror"] = null;
      readonly #worker: Promise<Worker>;

      constructor(url: string) {
        const script = resolveObjectURL(url);
        if (!script) throw new Error(`there is no script at ${url}`);
        this.#worker = script.text().then((source) => {
          const worker = new Worker(prelude + source, { eval: true });
          worker.unref();
          worker.on("message", (data) => this.onmessage?.({ data }));
          worker.on("error", ({ message }) => this.onerror?.({ message }));
          return worker;
        });
        all.push(this);
      }

      postMessage(message: unknown): void {
        void this.#worker.then((worker) => worker.postMessage(message));
      }

      terminate(): void {
        void this.#worker.then((worker) => worker.terminate());
      }
    },
    terminate: () => {
      for (const worker of all) worker.terminate();
    },
  };
};
