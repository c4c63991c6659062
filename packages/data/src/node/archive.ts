import { once } from "node:events";
import type { ReadEntry } from "tar";
import { Parser } from "tar";
import { DataError } from "../errors.js";
import { messageOf } from "./system-errors.js";

/**
 * Reads the `wanted` regular files (path in the archive → most bytes) of a .tar or .tar.gz into memory, one at a time:
 * the next is not read before `onFile` is done. Nothing is unpacked to disk and every other entry is skipped, so paths
 * and links in the archive have no power.
 * @throws DataError (data-corrupt) for a damaged archive, a wanted entry that is no regular file, too large or twice there
 */
export const readArchive = async (
  chunks: AsyncIterable<Uint8Array>,
  wanted: ReadonlyMap<string, number>,
  onFile: (path: string, bytes: Uint8Array) => Promise<void>,
): Promise<void> => {
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);

  const seen = new Set<string>();
  const readEntry = async (entry: ReadEntry): Promise<void> => {
    const most = wanted.get(entry.path) as number;
    const corrupt = (message: string): DataError => new DataError("data-corrupt", `archive: ${entry.path} ${message}`);
    if (entry.type !== "File" && entry.type !== "OldFile") throw corrupt(`is a ${entry.type}, expected a file`);
    if (entry.size > most) throw corrupt(`has ${entry.size} bytes, expected at most ${most}`);
    if (seen.has(entry.path)) throw corrupt("is there twice");
    seen.add(entry.path);
    await onFile(entry.path, await entry.concat());
  };

  // An entry that nobody reads holds the parser back, which holds the input back.
  let work = Promise.resolve();
  const parser = new Parser({
    strict: true,
    maxDecompressionRatio: 100,
    filter: (path) => wanted.has(path),
    onReadEntry: (entry) => {
      work = work.then(() => readEntry(entry));
      work.catch(fail);
    },
  });
  parser.on("error", (error) => fail(new DataError("data-corrupt", `archive: ${messageOf(error)}`, { cause: error })));
  for await (const chunk of chunks) if (!parser.write(chunk)) await Promise.race([once(parser, "drain"), failed]);
  const end = once(parser, "end");
  parser.end();
  await Promise.race([end, failed]);
  await Promise.race([work, failed]);
};
