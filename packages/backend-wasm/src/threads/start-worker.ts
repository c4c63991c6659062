import { platform } from "../platform.js";
import { type WorkerData, workerSource } from "./worker.js";

/** A worker of Node or of a browser. */
export interface WorkerHandle {
  /** Resolves when it runs. Rejects when it could not be started. */
  readonly ready: Promise<void>;
  /** Resolves when it is gone. In a browser that is assumed one second after `terminate`, which nothing confirms. */
  readonly ended: Promise<void>;
  /** Whether it is known to have ended, also where the event loop has had no turn to say so. A browser never knows. */
  isGone(): boolean;
  terminate(): void;
}

// As with `Platform`, the parts that are used.

interface NodeWorker {
  on(event: "message" | "error" | "exit", listener: (value: unknown) => void): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

interface NodePort {
  postMessage(value: unknown): unknown;
  close(): void;
}

interface WorkerThreads {
  readonly Worker: new (source: string, options: object) => NodeWorker;
  readonly MessageChannel: new () => { readonly port1: NodePort; readonly port2: NodePort };
}

const startNodeWorker = ({ Worker, MessageChannel }: WorkerThreads, data: WorkerData): WorkerHandle => {
  // A port dies with the thread that holds it, and Node's `postMessage` returns true for as long as the other side lives,
  // at once and without the event loop. That is not documented: where it does not hold, a worker is never known to be gone.
  const { port1: line, port2: lifeline } = new MessageChannel();
  const tells = line.postMessage(0) === true;
  const worker = new Worker(workerSource, {
    eval: true,
    workerData: { ...data, lifeline },
    transferList: [lifeline],
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
      line.close();
      markEnded();
    });
  });
  // A process that has nothing else to do ends, without waiting for workers that sleep; but it waits for their start.
  ready.catch(() => {}).finally(() => worker.unref());
  return {
    ready,
    ended,
    isGone: () => tells && line.postMessage(0) !== true,
    terminate: () => void worker.terminate(),
  };
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
    isGone: () => false,
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
