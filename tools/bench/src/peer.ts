import type { Inputs, Problem } from "./problem.js";

/** Results by name: `y` of an op; `loss`, parameters and running statistics after a training step. NCHW and OIHW. */
export type Outputs = ReadonlyMap<string, Float32Array>;

/** A problem with its inputs in place. */
export interface Task {
  /** Once more; the work is done when it returns, or when its promise resolves. A training step goes on from the last. */
  run(): void | Promise<void>;
  /** Of the last run. */
  outputs(): Promise<Outputs>;
  dispose(): void;
}

/** Thrown by `prepare` for what the library has no way to do: no fault of anything here. The message says what is missing. */
export class CannotError extends Error {
  override readonly name = "CannotError";
}

/** Both in seconds: of time that passes, and of processor time of all threads. */
export interface Clocks {
  readonly wall: () => number;
  readonly cpu: () => number;
}

/** A library that is loaded and ready. */
export interface Session {
  readonly version: string;
  /** That compute, as far as the library tells; null where that is no number of processor threads. */
  readonly threads: number | null;
  /** Whether the arithmetic is WebAssembly's, so that its peak bounds what can be had. */
  readonly wasm: boolean;
  /** What a reader of the times should know. */
  readonly note?: string;
  /** Of the process that does the work, running during runs only, where that is another one. */
  readonly clocks?: Clocks;
  /** @throws CannotError */
  prepare(problem: Problem, inputs: Inputs): Task | Promise<Task>;
  close(): void;
}

/** A library with the backend it runs on. */
export interface Peer {
  /** As in `--peers`: `striate:cpu` */
  readonly name: string;
  open(): Promise<Session>;
}
