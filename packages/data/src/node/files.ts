import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { DataError } from "../errors.js";
import { errorCode, readError, writeError } from "./system-errors.js";

/** Names of unfinished files and folders: `x.bin.<random>.part`, `npm.part-<random>`. */
const unfinished = /\.part(-\w+)?$/;

/** Windows can neither open nor fsync a folder; its file system journals the rename. */
const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === "win32") return;
  const handle = await fs.open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/**
 * Writes a whole file or nothing: temp file beside it, fsync, rename, fsync of the folder. Readers never see a part,
 * whenever the process or the machine stops.
 * @throws DataError (data-write); the temp file is gone then
 */
export const writeFileAtomic = async (path: string, bytes: Uint8Array): Promise<void> => {
  const part = `${path}.${randomUUID()}.part`;
  try {
    const handle = await fs.open(part, "wx");
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(part, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await fs.rm(part, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  }
};

/** Removes what a crash left. The caller holds the folder's lock, so nobody is writing. @throws DataError (data-write) */
export const sweepUnfinished = async (folder: string): Promise<void> => {
  try {
    for (const name of await fs.readdir(folder))
      if (unfinished.test(name)) await fs.rm(join(folder, name), { recursive: true, force: true });
  } catch (error) {
    throw writeError(folder, error);
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
