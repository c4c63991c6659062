import fs from "node:fs/promises";
import { CheckpointError } from "../errors.js";
import { messageOf, systemCode } from "./system-errors.js";

/** A regular file, open for reading. */
export interface OpenFile {
  readonly path: string;
  readonly size: number;
  /** Fills `into` from byte `position`. @throws CheckpointError (checkpoint-read), also where the file ends before */
  read(position: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Node reads less than 2 GiB at once. */
const mostAtOnce = 2 ** 30;

/** Any failure of the file system while reading, typed; other errors as they are. */
const readError = (path: string, error: unknown): unknown => {
  const code = systemCode(error);
  if (code === undefined) return error;
  return new CheckpointError(
    code === "ENOENT" || code === "ENOTDIR" ? "checkpoint-missing" : "checkpoint-read",
    `cannot read ${path}: ${messageOf(error)}`,
    { cause: error },
  );
};

const typed = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw readError(path, error);
  }
};

/** @throws CheckpointError (checkpoint-missing, checkpoint-read) */
export const openFile = (path: string): Promise<OpenFile> =>
  typed(path, async () => {
    const handle = await fs.open(path, "r");
    try {
      const status = await handle.stat();
      if (!status.isFile()) throw new CheckpointError("checkpoint-read", `cannot read ${path}: it is no regular file`);
      const { size } = status;
      return {
        path,
        size,
        read: (position, into) =>
          typed(path, async () => {
            for (let at = 0; at < into.length; ) {
              const length = Math.min(mostAtOnce, into.length - at);
              const { bytesRead } = await handle.read(into, at, length, position + at);
              if (bytesRead === 0)
                throw new CheckpointError(
                  "checkpoint-read",
                  `cannot read ${path}: it ended at byte ${position + at} of ${size}`,
                );
              at += bytesRead;
            }
          }),
        close: () => handle.close(),
      };
    } catch (error) {
      await handle.close();
      throw error;
    }
  });

/** Runs `work`; a `CheckpointError` without the path gets it in front. */
export const withPath = async <T>(path: string, work: () => T | Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.message.includes(path)) throw error;
    throw new CheckpointError(error.code, `${path}: ${error.message}`, { cause: error });
  }
};

/** Opens a file for `work` and closes it unless that gives it on. Errors have the path. */
export const withFile = async <T>(
  path: string,
  work: (file: OpenFile) => Promise<T>,
  close: "always" | "on-error",
): Promise<T> => {
  const file = await openFile(path);
  let failed = true;
  try {
    const result = await withPath(path, () => work(file));
    failed = false;
    return result;
  } finally {
    if (failed || close === "always") await file.close();
  }
};
