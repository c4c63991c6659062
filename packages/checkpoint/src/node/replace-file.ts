import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { CheckpointError } from "../errors.js";
import { messageOf, systemCode } from "./system-errors.js";

/** What `replaceFile` does to the file system; a parameter so that tests can make any step of it fail. */
export interface FileSystem {
  open(
    path: string,
    flags: "wx" | "r",
  ): Promise<{ writeFile(bytes: Uint8Array): Promise<void>; sync(): Promise<void>; close(): Promise<void> }>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string): Promise<void>;
}

/** Of a fixed length, whatever the name of the file, which may be as long as the system allows. */
const temporaryName = (): string => `.${randomUUID()}.unsaved`;
const isTemporary = (name: string): boolean => /^\.[\da-f-]{36}\.unsaved$/.test(name);

/** Not every file system can, and Windows cannot even open a folder; a rename is in their journal anyway. */
const cannotSyncFolders: ReadonlySet<string | undefined> = new Set(["EINVAL", "ENOTSUP", "ENOSYS"]);

/** A failure of the file system, typed; any other error as it is. */
const writeError = (what: string, error: unknown): unknown =>
  systemCode(error) === undefined
    ? error
    : new CheckpointError("checkpoint-write", `${what}: ${messageOf(error)}`, { cause: error });

export const syncFolder = async (folder: string, files: FileSystem = fs): Promise<void> => {
  if (process.platform === "win32") return;
  const handle = await files.open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (!cannotSyncFolders.has(systemCode(error))) throw error;
  } finally {
    await handle.close();
  }
};

/**
 * Writes a whole file or nothing. The chunks go to a temporary file in the same folder, which is flushed to the disk and
 * then renamed: at every moment, a crash and a power cut included, `path` is the old file or the new one, whole. When
 * the promise resolves it is the new one, for good. A link at `path` is replaced, not followed. Chunks are asked for one
 * at a time, so memory is the caller's affair.
 *
 * @throws CheckpointError (checkpoint-write) where the file system refuses (`cause.code` says why: ENOSPC, EACCES, EROFS,
 * EISDIR, ENOENT for a missing folder …), or what the chunks throw. The old file is intact then and the temporary file
 * gone; only if the very last step fails, flushing the folder, is the new file there, not yet safe from a power cut.
 */
export const replaceFile = async (
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  files: FileSystem = fs,
): Promise<void> => {
  const folder = dirname(path);
  const temporary = join(folder, temporaryName());
  try {
    const handle = await files.open(temporary, "wx");
    try {
      try {
        for await (const chunk of chunks) await handle.writeFile(chunk);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await files.rename(temporary, path);
    } catch (error) {
      // The first error is the one to report.
      await files.rm(temporary).catch(() => undefined);
      throw error;
    }
    await syncFolder(folder, files);
  } catch (error) {
    throw writeError(`cannot write ${path}`, error);
  }
};

/**
 * Removes the temporary files that a killed `replaceFile` left in a folder. Only for a folder in which nobody else is
 * writing: an unfinished file looks the same.
 * @throws CheckpointError (checkpoint-write)
 */
export const removeTemporaries = async (folder: string): Promise<void> => {
  try {
    for (const name of await fs.readdir(folder))
      if (isTemporary(name)) await fs.rm(join(folder, name), { force: true });
  } catch (error) {
    throw writeError(`cannot clear ${folder}`, error);
  }
};
