import { type Stats, statSync } from "node:fs";
import { join } from "node:path";

/** The files of the binary layout. */
const names = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`).concat("test_batch.bin");

export interface FoundFile {
  readonly name: string;
  /** null where it is missing. */
  readonly bytes: number | null;
}

/** Undefined where nothing is, or nothing that can be looked at: behind a file, say. */
export const statOf = (path: string): Stats | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
};

/** What is in a folder of the binary layout; nothing is read. */
export const filesIn = (folder: string): FoundFile[] =>
  names.map((name) => ({ name, bytes: statOf(join(folder, name))?.size ?? null }));
