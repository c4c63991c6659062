/** A file of one JSON object a line that survives a kill at any moment. */
import fs from "node:fs";
import { TrainingError } from "../errors.js";
import { writeError } from "./system-errors.js";

/** Of node:fs; a parameter so that tests can make disks run full. */
export type LineFileSystem = Pick<
  typeof fs,
  "openSync" | "writeSync" | "truncateSync" | "fsyncSync" | "closeSync" | "readFileSync"
>;

export interface JsonLines {
  /** Bytes in the file: always whole lines. */
  readonly length: number;
  /** Every object in the file, in order. */
  read(): Record<string, unknown>[];
  /** Appends a line, at once: a process that is killed afterwards has written it. @throws TrainingError (run-write) */
  write(object: object): void;
  /** Drops what lies behind `length` bytes. @throws TrainingError (run-write, run-corrupt) */
  truncate(length: number): void;
  /** Flushes to the disk. @throws TrainingError (run-write) */
  sync(): void;
  close(): void;
}

const newline = 0x0a;

/** The objects of a file, without a last line that was not finished. @throws TrainingError (run-corrupt) */
export const parseLines = (path: string, bytes: Uint8Array): Record<string, unknown>[] => {
  const text = new TextDecoder().decode(bytes.subarray(0, bytes.lastIndexOf(newline) + 1));
  return text
    .split("\n")
    .slice(0, -1)
    .map((line, i) => {
      try {
        return JSON.parse(line) as Record<string, unknown>;
      } catch (cause) {
        throw new TrainingError("run-corrupt", `${path}: line ${i + 1} is no JSON: ${line.slice(0, 80)}`, { cause });
      }
    });
};

/**
 * Opens the file, or makes it. A last line without its end, which a kill in the middle of a write leaves, is cut off.
 *
 * @throws TrainingError (run-write)
 */
export const openJsonLines = (path: string, files: LineFileSystem = fs): JsonLines => {
  const typed = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw writeError(path, error);
    }
  };
  const descriptor = typed(() => files.openSync(path, "a+"));
  const contents = (): Uint8Array => typed(() => files.readFileSync(path));
  let length = 0;

  // By the path: on Windows a file that was opened for appending cannot be cut.
  const cut = (to: number): void => {
    typed(() => files.truncateSync(path, to));
    length = to;
  };

  try {
    const bytes = contents();
    length = bytes.length;
    const whole = bytes.lastIndexOf(newline) + 1;
    if (whole < length) cut(whole);
  } catch (error) {
    files.closeSync(descriptor);
    throw error;
  }

  return {
    get length() {
      return length;
    },
    read: () => parseLines(path, contents()),
    write: (object) => {
      const bytes = Buffer.from(`${JSON.stringify(object)}\n`);
      try {
        for (let at = 0; at < bytes.length; ) at += files.writeSync(descriptor, bytes, at);
      } catch (error) {
        // A disk that runs full takes part of a line. The first error is the one to report; opening cuts again.
        try {
          files.truncateSync(path, length);
        } catch {}
        throw writeError(path, error);
      }
      length += bytes.length;
    },
    truncate: (to) => {
      const bytes = contents();
      if (to > bytes.length || (to > 0 && bytes[to - 1] !== newline))
        throw new TrainingError(
          "run-corrupt",
          `${path} has ${bytes.length} bytes and no end of a line at ${to}: it was changed since the checkpoint`,
        );
      cut(to);
    },
    sync: () => typed(() => files.fsyncSync(descriptor)),
    close: () => typed(() => files.closeSync(descriptor)),
  };
};
