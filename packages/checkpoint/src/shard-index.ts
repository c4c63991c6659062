/** The index of safetensors that lie in several files: `{"metadata": {"total_size": …}, "weight_map": {name: file}}`. */
import { ArgumentError } from "@striate/core";
import { CheckpointError, quote } from "./errors.js";
import { byteLengthOf } from "./host-tensor.js";
import { jsonReader } from "./json-reader.js";
import type { TensorInfo } from "./tensor-reader.js";

const corrupt = (message: string): CheckpointError =>
  new CheckpointError("checkpoint-corrupt", `safetensors index: ${message}`);

/** What leads elsewhere on some system, or ends a name for it. */
const foreign = ["/", "\\", ":", "\0"];

/** A file beside the index. */
const isFileName = (name: string): boolean =>
  name !== "" && name !== "." && name !== ".." && !foreign.some((character) => name.includes(character));

/**
 * The file of each tensor, in the index's order. What else stands in the index is passed over: its total size is not
 * always right in files that are about.
 * @throws CheckpointError (checkpoint-corrupt), also for a key twice and for a file that is not beside the index
 */
export const parseShardIndex = (bytes: Uint8Array): Map<string, string> => {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError("checkpoint-corrupt", "safetensors index: it is not UTF-8", { cause });
  }
  const { string, members, skip, end } = jsonReader(text, corrupt);
  let files: Map<string, string> | undefined;
  members("the index", (key) => {
    if (key !== "weight_map") {
      skip();
      return;
    }
    const map = new Map<string, string>();
    members("weight_map", (name) => {
      const file = string();
      if (!isFileName(file)) throw corrupt(`${quote(name)} is in ${quote(file)}, expected the name of a file`);
      map.set(name, file);
    });
    files = map;
  });
  end();
  if (files === undefined) throw corrupt("it has no weight_map");
  return files;
};

/** The names for each file, in order; a tensor larger than `maxShardBytes` has one of its own. */
export const planShards = (
  tensors: Iterable<readonly [string, TensorInfo]>,
  maxShardBytes: number,
): { readonly shards: readonly (readonly string[])[]; readonly totalSize: number } => {
  if (!(maxShardBytes > 0))
    throw new ArgumentError(`saveShardedSafetensors: maxShardBytes is ${maxShardBytes}, expected a positive number`);
  const shards: string[][] = [[]];
  let filled = 0;
  let totalSize = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const bytes = byteLengthOf(dtype, shape) ?? 0;
    if (filled > 0 && filled + bytes > maxShardBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)?.push(name);
    filled += bytes;
    totalSize += bytes;
  }
  return { shards, totalSize };
};

export const formatShardIndex = (files: Iterable<readonly [string, string]>, totalSize: number): string => {
  // Put together by hand: an object would reorder names like "0" and swallow "__proto__".
  const lines = [...files].map(([name, file]) => `    ${JSON.stringify(name)}: ${JSON.stringify(file)}`);
  return `{\n  "metadata": {\n    "total_size": ${totalSize}\n  },\n  "weight_map": {\n${lines.join(",\n")}\n  }\n}\n`;
};
