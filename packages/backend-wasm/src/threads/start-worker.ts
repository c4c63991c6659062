import { type WorkerData, workerSource } from "./worker.js";

/** A worker of Node or of a browser. */
export interface WorkerHandle {
  /** Resolves when it runs. Rejects when it could not be started. */
  readonly ready: Promise<void>;
  /** Resolves when it is gone. In a browser that is assumed one second after `terminate`, which nothing confirms. */
  readonly ended: Promise<void>;
  terminate(): void;
}

// The parts of both platforms that are used here: neither platform's types may be needed to compile this package.

interface NodeWorker {
  on(event: "message" | "error" | "exit", listener: (value: unknown) => void): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

interface WorkerThreads {
  readonly Worker: new (source: string, options: object) => NodeWorker;
}

interface Platform {
  readonly process?: { getBuiltinModule?(name: string): unknown };
  readonly navigator?: { readonly hardwareConcurrency?: number };
}

const platform = (): Platform => globalThis as unknown as Platform;

const startNodeWorker = ({ Worker }: WorkerThreads, data: WorkerData): WorkerHandle => {
  const worker = new Worker(workerSource, {
    eval: true,
    workerData: data,
    name: `striate-wasm-${data.thread}`,
    // Flags of the parent are not for it: a loader of TypeScript, say, would only slow its start.
    execArgv: [],
    env: {},
    stdin: false,
  });
  let markEnded: () => void;
  const ended = new Promise<void>((resolve) => {
    markEnded = resolve;
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.on("message", () => resolve());
    worker.on("error", reject);
    worker.on("exit", () => {
      reject(new Error("the worker ended"));
      markEnded();
    });
  });
  // A process that has nothing else to do ends, without waiting for workers that sleep; but it waits for their start.
  ready.catch(() => {}).finally(() => worker.unref());
  return { ready, ended, terminate: () => void worker.terminate() };
};

const startWebWorker = (data: WorkerData): WorkerHandle => {
  const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
  const worker = new Worker(url, { name: `striate-wasm-${data.thread}` });
  let markEnded: () => void;
  const ended = new Promise<void>((resolve) => {
    markEnded = resolve;
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => {
      reject(new Error(event.message || "the worker could not be started"));
      markEnded();
    };
  });
  ready.catch(() => {}).finally(() => URL.revokeObjectURL(url));
  worker.postMessage(data);
  return {
    ready,
    ended,
    terminate: () => {
      worker.terminate();
      setTimeout(markEnded, 1000);
    },
  };
};

const workerThreads = (): WorkerThreads | undefined =>
  platform().process?.getBuiltinModule?.("node:worker_threads") as WorkerThreads | undefined;

/** A worker that runs `workerSource`, in Node or in a browser. @throws where workers cannot be had. */
export const startWorker = (data: WorkerData): WorkerHandle => {
  const node = workerThreads();
  return node ? startNodeWorker(node, data) : startWebWorker(data);
};

/** Cores that the platform offers to this process. */
export const availableThreads = (): number => {
  const os = platform().process?.getBuiltinModule?.("node:os") as { availableParallelism(): number } | undefined;
  return os?.availableParallelism() ?? platform().navigator?.hardwareConcurrency ?? 1;
};
