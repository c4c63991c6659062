import { DataError } from "../errors.js";

/** `ENOSPC` and its like, from the error or the error that caused it. */
export const errorCode = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === "string" ? code : errorCode(error.cause);
};

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const unreachable: ReadonlySet<string> = new Set([
  "EAI_AGAIN",
  "EAI_FAIL",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** True for the codes that mean: no network, or nobody there. */
export const isUnreachable = (code: string | undefined): boolean => code !== undefined && unreachable.has(code);

/** Any failure of the file system while writing, typed. */
export const writeError = (path: string, error: unknown): DataError =>
  error instanceof DataError
    ? error
    : new DataError("data-write", `cannot write ${path}: ${messageOf(error)}`, { cause: error });

/** Any failure of the file system while reading, typed. */
export const readError = (path: string, error: unknown): DataError =>
  error instanceof DataError
    ? error
    : new DataError("data-read", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
