import fs from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ArgumentError } from "@striate/core";
import { CheckpointError, quote } from "../errors.js";
import { safetensorsStream } from "../safetensors.js";
import { formatShardIndex, parseShardIndex, planShards } from "../shard-index.js";
import { type NamedTensors, snapshot } from "../state-dict.js";
import { expectTensor, type OpenTensors, type TensorInfo } from "../tensor-reader.js";
import { withFile } from "./file.js";
import { replaceFile, syncFolder } from "./replace-file.js";
import { type OpenSafetensors, openSafetensors, type SaveOptions } from "./safetensors-file.js";
import { messageOf } from "./system-errors.js";

const suffix = ".safetensors.index.json";

/** Larger than the index of any network, and no burden. */
const maxIndexBytes = 2 ** 24;

const readIndex = (path: string): Promise<Map<string, string>> =>
  withFile(
    path,
    async (file) => {
      if (file.size > maxIndexBytes)
        throw new CheckpointError("checkpoint-corrupt", `safetensors index: it has ${file.size} bytes`);
      const bytes = new Uint8Array(file.size);
      await file.read(0, bytes);
      return parseShardIndex(bytes);
    },
    "always",
  );

/**
 * Opens the files that an index (`model.safetensors.index.json`) names, all of them beside it; they are open until
 * `close`. The headers of all are checked, and that they hold exactly the tensors of the index, each once.
 * @throws CheckpointError as `openSafetensors`, for the index and for each file
 */
export const openShardedSafetensors = async (path: string): Promise<OpenTensors> => {
  const files = await readIndex(path);
  const shards = new Map<string, OpenSafetensors>();
  const close = async (): Promise<void> => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  const corrupt = (message: string): CheckpointError =>
    new CheckpointError("checkpoint-corrupt", `${path}: safetensors index: ${message}`);
  try {
    for (const file of new Set(files.values())) {
      const shard = await openSafetensors(join(dirname(path), file));
      shards.set(file, shard);
      for (const name of shard.tensors.keys())
        if (files.get(name) !== file)
          throw corrupt(
            files.has(name)
              ? `${quote(name)} is in ${quote(file)} too, expected only in ${quote(files.get(name) as string)}`
              : `${quote(file)} has ${quote(name)}, which the index has not`,
          );
    }
    const tensors = new Map<string, TensorInfo>();
    for (const [name, file] of files) {
      const info = shards.get(file)?.tensors.get(name);
      if (info === undefined) throw corrupt(`${quote(name)} is not in ${quote(file)}`);
      tensors.set(name, info);
    }
    return {
      tensors,
      read: async (name, buffer) => {
        expectTensor("read", tensors, name);
        return (shards.get(files.get(name) as string) as OpenSafetensors).read(name, buffer);
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
};

export interface SaveShardedOptions extends SaveOptions {
  /** Bytes of elements in a file at most; a larger tensor has a file of its own. Default 5e9. */
  readonly maxShardBytes?: number | undefined;
}

/**
 * Saves tensors as `model-00001-of-00003.safetensors` and so on, with the index `path`
 * (`model.safetensors.index.json`), as `saveSafetensors` saves one file. An index that is there is removed first and the
 * new one written last: a crash in between leaves no index, but never one with the files of another save. Files of an
 * older save that had more of them stay.
 * @throws ArgumentError for a path without that ending; as `saveSafetensors`
 */
export const saveShardedSafetensors = async (
  path: string,
  tensors: NamedTensors,
  { metadata, maxShardBytes = 5e9 }: SaveShardedOptions = {},
): Promise<void> => {
  const base = basename(path);
  const stem = base.slice(0, -suffix.length);
  if (!base.endsWith(suffix) || stem === "")
    throw new ArgumentError(`saveShardedSafetensors: the path ends with ${quote(base)}, expected a name and ${suffix}`);
  const held = snapshot(tensors);
  try {
    const { shards, totalSize } = planShards(held.tensors, maxShardBytes);
    const streams = shards.map((names) =>
      safetensorsStream(
        { ...held, tensors: new Map(names.map((name) => [name, held.tensors.get(name) as TensorInfo])) },
        metadata,
      ),
    );
    const number = (n: number): string => String(n).padStart(5, "0");
    const files = new Map<string, string>();
    try {
      await fs.rm(path, { force: true });
      await syncFolder(dirname(path));
    } catch (error) {
      throw new CheckpointError("checkpoint-write", `cannot replace ${path}: ${messageOf(error)}`, { cause: error });
    }
    for (const [i, names] of shards.entries()) {
      const file = `${stem}-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
      await replaceFile(join(dirname(path), file), streams[i] as AsyncIterable<Uint8Array>);
      for (const name of names) files.set(name, file);
    }
    await replaceFile(path, [new TextEncoder().encode(formatShardIndex(files, totalSize))]);
  } finally {
    held.close();
  }
};
