import { BackendChoiceError } from "@striate/backends";
import { CheckpointError } from "@striate/checkpoint";
import { BackendLostError, KernelError, OutOfMemoryError } from "@striate/core";
import { DataError } from "@striate/data";
import { TrainingError } from "@striate/train";
import type { Exit } from "./exit-codes.js";
import { UsageError } from "./options.js";
import { OutputError } from "./output.js";

/** What a failed run comes to. */
export interface Failure {
  readonly exit: Exit;
  readonly message: string;
  /** For people: the message, and where it happened if nobody was meant to see it. */
  readonly detail: string;
}

const exits: readonly (readonly [new (...args: never[]) => Error, Exit])[] = [
  [UsageError, "usage"],
  [DataError, "data"],
  [BackendChoiceError, "backend"],
  [BackendLostError, "backend"],
  [OutOfMemoryError, "backend"],
  [KernelError, "backend"],
  [OutputError, "output"],
  [CheckpointError, "output"],
  [TrainingError, "training"],
];

const isOutOfHeap = (error: unknown): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY";

export const failureOf = (error: unknown): Failure => {
  const exit = isOutOfHeap(error) ? "backend" : (exits.find(([type]) => error instanceof type)?.[1] ?? "internal");
  const message = error instanceof Error ? error.message : String(error);
  const detail = exit === "internal" && error instanceof Error ? (error.stack ?? message) : message;
  return { exit, message, detail };
};
