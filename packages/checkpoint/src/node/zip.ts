import { crc32 } from "node:zlib";
import yauzl from "yauzl";
import { CheckpointError, quote } from "../errors.js";
import { bytesIn } from "../tensor-reader.js";
import type { OpenFile } from "./file.js";
import { messageOf } from "./system-errors.js";

/** The files in an archive. */
export interface Zip {
  /** Bytes that each claims to have, by its path in the archive. */
  readonly sizes: ReadonlyMap<string, number>;
  /**
   * @throws CheckpointError `checkpoint-unsupported` for one that is not stored as it is, `checkpoint-corrupt`, also for
   * a wrong checksum, `checkpoint-read`
   */
  read(name: string, buffer?: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>>;
}

const corrupt = (message: string, cause?: unknown): CheckpointError =>
  new CheckpointError("checkpoint-corrupt", `zip: ${message}`, { cause });

const windowBytes = 65_536;

/**
 * What yauzl reads through: never outside the file, whatever an offset claims, and in large pieces, as the directory
 * comes in small ones. Its streams are not used.
 */
class WindowReader extends yauzl.RandomAccessReader {
  /** Rejects if yauzl throws in a callback, where nobody could catch it. */
  readonly crashed: Promise<never>;
  private crash: (error: unknown) => void = () => undefined;
  private window = new Uint8Array(0);
  private start = 0;

  constructor(private readonly file: OpenFile) {
    super();
    this.crashed = new Promise((_, reject) => {
      this.crash = reject;
    });
    this.crashed.catch(() => undefined);
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead: number) => void,
  ): void {
    this.copy(buffer.subarray(offset, offset + length), position)
      .then(
        () => callback(null, length),
        (error) => callback(error, 0),
      )
      .catch(this.crash);
  }

  private async copy(into: Uint8Array, position: number): Promise<void> {
    const { size } = this.file;
    if (!Number.isSafeInteger(position) || position < 0 || position + into.length > size)
      throw corrupt(`refers to byte ${position}, the file has ${size}`);
    if (position < this.start || position + into.length > this.start + this.window.length) {
      const length = Math.min(Math.max(windowBytes, into.length), size - position);
      this.window = new Uint8Array(length);
      this.start = position;
      await this.file.read(position, this.window);
    }
    into.set(this.window.subarray(position - this.start, position - this.start + into.length));
  }

  override close(callback: (error: Error | null) => void): void {
    callback(null);
  }
}

const expectStored = (entry: yauzl.Entry): void => {
  const what = `zip: entry ${quote(entry.fileName)}`;
  if (entry.isEncrypted()) throw new CheckpointError("checkpoint-unsupported", `${what} is encrypted`);
  if (entry.compressionMethod !== 0)
    throw new CheckpointError(
      "checkpoint-unsupported",
      `${what} is compressed, expected it stored, as torch.save does`,
    );
};

/** A file of `torch.save` has one entry a tensor and a few more. */
const maxEntries = 2 ** 16;

/** @throws unless no byte of the file belongs to two entries: then they are no larger than the file. */
const expectDisjoint = (entries: Iterable<yauzl.Entry>, size: number): void => {
  let covered = 0;
  for (const entry of [...entries].sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader)) {
    const { relativeOffsetOfLocalHeader: start, fileNameLength, compressedSize, fileName } = entry;
    if (start < covered) throw corrupt(`entry ${quote(fileName)} lies over another one`);
    covered = start + 30 + fileNameLength + compressedSize;
    if (covered > size) throw corrupt(`entry ${quote(fileName)} reaches to byte ${covered}, the file has ${size}`);
  }
};

const readCrc = (bytes: Uint8Array): number => {
  let crc = 0;
  for (let at = 0; at < bytes.length; at += 2 ** 30) crc = crc32(bytes.subarray(at, at + 2 ** 30), crc);
  return crc;
};

/**
 * The directory of an archive. Entries that lie over each other or outside the file, have the same name or one that
 * leads out of the archive are refused, and compressed ones are not read; so nothing takes more memory than the file.
 * @throws CheckpointError `checkpoint-corrupt`, `checkpoint-read`
 */
export const openZip = async (file: OpenFile): Promise<Zip> => {
  const entries = new Map<string, yauzl.Entry>();
  const reader = new WindowReader(file);
  /** What yauzl throws has no type of its own. */
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await Promise.race([work(), reader.crashed]);
    } catch (error) {
      throw error instanceof CheckpointError ? error : corrupt(messageOf(error), error);
    }
  };
  const zip = await guarded(async () => {
    const directory = await yauzl.fromRandomAccessReaderPromise(reader, file.size, { autoClose: false });
    for await (const entry of directory.eachEntry()) {
      if (entry.fileName.endsWith("/") && entry.compressedSize === 0) continue;
      if (entries.has(entry.fileName)) throw corrupt(`entry ${quote(entry.fileName)} is there twice`);
      if (entries.size >= maxEntries) throw corrupt(`more than ${maxEntries} entries`);
      entries.set(entry.fileName, entry);
    }
    return directory;
  });
  expectDisjoint(entries.values(), file.size);

  return {
    sizes: new Map([...entries].map(([name, { uncompressedSize }]) => [name, uncompressedSize])),
    read: async (name, buffer) => {
      const entry = entries.get(name);
      if (entry === undefined) throw corrupt(`there is no entry ${quote(name)}`);
      expectStored(entry);
      const { fileDataStart } = await guarded(() => zip.readLocalFileHeaderPromise(entry, { minimal: true }));
      const bytes = bytesIn(buffer, entry.compressedSize);
      await file.read(fileDataStart, bytes);
      if (readCrc(bytes) !== entry.crc32) throw corrupt(`entry ${quote(name)} is damaged: its checksum is wrong`);
      return bytes;
    },
  };
};
