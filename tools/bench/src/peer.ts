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

/** A library that is loaded and ready. */
export interface Session {
  readonly version: string;
  prepare(problem: Problem, inputs: Inputs): Task;
  close(): void;
}

/** A library with the backend it runs on. */
export interface Peer {
  /** As in `--peers`: `striate:cpu` */
  readonly name: string;
  open(): Promise<Session>;
}
