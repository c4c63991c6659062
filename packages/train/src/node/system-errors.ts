import { TrainingError } from "../errors.js";

/** The `code` of an error of the system, such as `ENOSPC`; undefined for any other error. */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && "syscall" in error ? (error as NodeJS.ErrnoException).code : undefined;

/** A failure of the file system, typed; any other error as it is. */
export const writeError = (path: string, error: unknown): unknown =>
  systemCode(error) === undefined
    ? error
    : new TrainingError("run-write", `cannot write ${path}: ${(error as Error).message}`, { cause: error });
