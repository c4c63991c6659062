/**
 * - `data-missing`: a file is not where the caller said it would be, and may not be fetched;
 * - `data-offline`: a file is missing and there is no network, or it was forbidden;
 * - `data-download`: every source failed for a reason other than the network;
 * - `data-corrupt`: wrong size, hash, magic number or contents;
 * - `data-read`, `data-write`: the file system refused (permissions, disk full, read-only);
 * - `data-locked`: another process has been filling the cache for longer than the wait allowed.
 */
export type DataErrorCode =
  | "data-missing"
  | "data-offline"
  | "data-download"
  | "data-corrupt"
  | "data-read"
  | "data-write"
  | "data-locked";

/** What can go wrong with data files. Wrong arguments are `ArgumentError`s of core. */
export class DataError extends Error {
  readonly code: DataErrorCode;
  constructor(code: DataErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DataError";
    this.code = code;
  }
}
