import { BackendChoiceError } from "@striate/backends";
import { CheckpointError } from "@striate/checkpoint";
import { BackendLostError, KernelError, OutOfMemoryError } from "@striate/core";
import { DataError } from "@striate/data";
import { TrainingError } from "@striate/train";
import { ConfigError } from "./config/resolve.js";
import type { Exit } from "./exit-codes.js";
import { OutputError } from "./output.js";
import { RunError } from "./runs.js";

/** What a failed run comes to. */
export interface Failure {
  readonly exit: Exit;
  readonly message: string;
  /** For people: the message, and where it happened if nobody was meant to see it. */
  readonly detail: string;
}

const exits: readonly (readonly [new (...args: never[]) => Error, Exit])[] = [
  [ConfigError, "usage"],
  [DataError, "data"],
  [BackendChoiceError, "backend"],
  [BackendLostError, "backend"],
  [OutOfMemoryError, "backend"],
  [KernelError, "backend"],
  [OutputError, "output"],
  [RunError, "run"],
  [CheckpointError, "output"],
  [TrainingError, "training"],
];

/** Codes that say more than the type of the error. */
const exitsByCode: Readonly<Record<string, Exit>> = {
  ERR_WORKER_OUT_OF_MEMORY: "backend",
  "run-locked": "run",
  "run-missing": "run",
  "run-exists": "run",
  "run-config": "run",
  "run-corrupt": "run",
  "run-write": "output",
  "checkpoint-missing": "run",
  "checkpoint-corrupt": "run",
  "checkpoint-read": "run",
};

const exitOf = (error: unknown): Exit => {
  if (!(error instanceof Error)) return "internal";
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return exitsByCode[code] ?? exits.find(([type]) => error instanceof type)?.[1] ?? "internal";
};

export const failureOf = (error: unknown): Failure => {
  const exit = exitOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const detail = exit === "internal" && error instanceof Error ? (error.stack ?? message) : message;
  return { exit, message, detail };
};
