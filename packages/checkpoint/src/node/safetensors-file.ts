import fs from "node:fs/promises";
import { CheckpointError } from "../errors.js";
import { decodeSafetensors, type Metadata, type Safetensors, safetensorsChunks } from "../safetensors.js";
import { type NamedTensors, tensorsToHost } from "../state-dict.js";
import { replaceFile } from "./replace-file.js";
import { messageOf, systemCode } from "./system-errors.js";

export interface SaveOptions {
  readonly metadata?: Metadata | undefined;
}

/**
 * Saves tensors of a backend or of the host: `saveSafetensors("net.safetensors", net.stateDict())`. The file holds their
 * values at the moment of the call, and comes into being whole or not at all: see `replaceFile`. Arrays of the host must
 * not change until the promise resolves.
 * @throws CheckpointError (checkpoint-write), as `replaceFile`; as `tensorsToHost` and `safetensorsChunks`, before
 * anything is written
 */
export const saveSafetensors = async (
  path: string,
  tensors: NamedTensors,
  { metadata }: SaveOptions = {},
): Promise<void> => replaceFile(path, safetensorsChunks(await tensorsToHost(tensors), metadata));

/** Node reads less than 2 GiB at once. */
const mostAtOnce = 2 ** 30;

/** @throws CheckpointError (checkpoint-missing, checkpoint-read) */
const readWhole = async (path: string): Promise<Uint8Array> => {
  try {
    const handle = await fs.open(path, "r");
    try {
      const status = await handle.stat();
      if (!status.isFile()) throw new CheckpointError("checkpoint-read", `cannot read ${path}: it is no regular file`);
      const bytes = new Uint8Array(status.size);
      let at = 0;
      while (at < bytes.length) {
        const { bytesRead } = await handle.read(bytes, at, Math.min(mostAtOnce, bytes.length - at));
        if (bytesRead === 0)
          throw new CheckpointError(
            "checkpoint-read",
            `cannot read ${path}: it ended at byte ${at} of ${bytes.length}`,
          );
        at += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof CheckpointError) throw error;
    const code = systemCode(error);
    throw new CheckpointError(
      code === "ENOENT" || code === "ENOTDIR" ? "checkpoint-missing" : "checkpoint-read",
      `cannot read ${path}: ${messageOf(error)}`,
      { cause: error },
    );
  }
};

/**
 * Reads a file as `decodeSafetensors` does. Memory is the file's size: the tensors are views of one buffer, which lives
 * as long as one of them.
 * @throws CheckpointError `checkpoint-missing`, `checkpoint-read`, or as `decodeSafetensors` with the path in front
 */
export const loadSafetensors = async (path: string): Promise<Safetensors> => {
  const bytes = await readWhole(path);
  try {
    return decodeSafetensors(bytes);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(error.code, `${path}: ${error.message}`, { cause: error });
  }
};
