import fs from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "@striate/checkpoint";
import { removeTemporaries, replaceFile } from "@striate/checkpoint/node";
import { DataError } from "../errors.js";
import { errorCode, readError, writeError } from "./system-errors.js";

/** Names of unfinished downloads: `x.tar.gz.part`, `npm.part-<random>`. */
const unfinished = /\.part(-\w+)?$/;

/** A failure of `replaceFile` and its kin as one of data; `cause` is the system's error. */
const asDataError = (path: string, error: unknown): DataError =>
  writeError(path, error instanceof CheckpointError ? error.cause : error);

/**
 * Writes a whole file or nothing, as `replaceFile` of @striate/checkpoint. Readers never see a part, whenever the process
 * or the machine stops.
 * @throws DataError (data-write); nothing is left then
 */
export const writeFileAtomic = async (path: string, bytes: Uint8Array): Promise<void> => {
  try {
    await replaceFile(path, [bytes]);
  } catch (error) {
    throw asDataError(path, error);
  }
};

/** Removes what a crash left. The caller holds the folder's lock, so nobody is writing. @throws DataError (data-write) */
export const sweepUnfinished = async (folder: string): Promise<void> => {
  try {
    await removeTemporaries(folder);
    for (const name of await fs.readdir(folder))
      if (unfinished.test(name)) await fs.rm(join(folder, name), { recursive: true, force: true });
  } catch (error) {
    throw asDataError(folder, error);
  }
};

/**
 * The bytes of a file, or undefined where there is none.
 * @throws DataError `data-corrupt` for a larger file, `data-read` where it cannot be read
 */
export const readFileIfPresent = async (path: string, maxSize: number): Promise<Uint8Array | undefined> => {
  try {
    const handle = await fs.open(path, "r");
    try {
      const status = await handle.stat();
      if (!status.isFile()) throw new DataError("data-corrupt", `${path} is not a regular file`);
      if (status.size > maxSize)
        throw new DataError("data-corrupt", `${path} has ${status.size} bytes, expected at most ${maxSize}`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw readError(path, error);
  }
};
