/**
 * - `checkpoint-missing`: there is no file where one should be read;
 * - `checkpoint-corrupt`: the bytes break the rules of their format;
 * - `checkpoint-unsupported`: an element type that Striate does not know, or no Web Crypto to hash with;
 * - `checkpoint-read`, `checkpoint-write`: the file system refused (permissions, disk full, read-only, no such folder);
 *   `cause` is the system's error, with its `code`: EACCES, ENOSPC, EROFS, ENOENT.
 */
export type CheckpointErrorCode =
  | "checkpoint-missing"
  | "checkpoint-corrupt"
  | "checkpoint-unsupported"
  | "checkpoint-read"
  | "checkpoint-write";

/** What can go wrong with files of weights. Wrong arguments are `ArgumentError`s and their kin of core. */
export class CheckpointError extends Error {
  readonly code: CheckpointErrorCode;
  constructor(code: CheckpointErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CheckpointError";
    this.code = code;
  }
}

/** A name from a file for a message: quoted, control characters escaped, shortened. */
export const quote = (name: string): string => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
