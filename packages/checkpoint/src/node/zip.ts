import { crc32 } from "node:zlib";
import yauzl from "yauzl";
import { CheckpointError, quote } from "../errors.js";
import { memoryAccount, memoryFor } from "../memory.js";
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

/** What is kept of an entry of yauzl's, which takes ten times as much. */
type ZipEntry = Pick<
  yauzl.Entry,
  | "relativeOffsetOfLocalHeader"
  | "fileNameLength"
  | "compressedSize"
  | "uncompressedSize"
  | "crc32"
  | "compressionMethod"
> & { readonly encrypted: boolean };

/** What that takes, about, besides the name. */
const entryMemory = 300;

/** Of an entry's name, extra fields and comment in the directory; torch.save writes less than a hundred. */
const maxEntryBytes = 1024;

const expectStored = (name: string, { encrypted, compressionMethod }: ZipEntry): void => {
  const what = `zip: entry ${quote(name)}`;
  if (encrypted) throw new CheckpointError("checkpoint-unsupported", `${what} is encrypted`);
  if (compressionMethod !== 0)
    throw new CheckpointError(
      "checkpoint-unsupported",
      `${what} is compressed, expected it stored, as torch.save does`,
    );
};

/** @throws unless no byte of the file belongs to two entries: then they are no larger than the file. */
const expectDisjoint = (entries: ReadonlyMap<string, ZipEntry>, size: number): void => {
  let covered = 0;
  const inOrder = [...entries].sort(([, a], [, b]) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  for (const [name, { relativeOffsetOfLocalHeader: start, fileNameLength, compressedSize }] of inOrder) {
    if (start < covered) throw corrupt(`entry ${quote(name)} lies over another one`);
    covered = start + 30 + fileNameLength + compressedSize;
    if (covered > size) throw corrupt(`entry ${quote(name)} reaches to byte ${covered}, the file has ${size}`);
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
  const entries = new Map<string, ZipEntry>();
  const charge = memoryAccount(
    memoryFor(file.size),
    () => new CheckpointError("checkpoint-unsupported", `zip: ${entries.size} entries are too many for its size`),
  );
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
      const { fileName } = entry;
      if (fileName.endsWith("/") && entry.compressedSize === 0) continue;
      const described = entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (described > maxEntryBytes) throw corrupt(`entry ${quote(fileName)} is described by ${described} bytes`);
      if (entries.has(fileName)) throw corrupt(`entry ${quote(fileName)} is there twice`);
      charge(entryMemory + 2 * fileName.length);
      const { relativeOffsetOfLocalHeader, fileNameLength, compressedSize, uncompressedSize } = entry;
      const { crc32, compressionMethod } = entry;
      entries.set(fileName, {
        relativeOffsetOfLocalHeader,
        fileNameLength,
        compressedSize,
        uncompressedSize,
        crc32,
        compressionMethod,
        encrypted: entry.isEncrypted(),
      });
    }
    return directory;
  });
  expectDisjoint(entries, file.size);

  return {
    sizes: new Map([...entries].map(([name, { uncompressedSize }]) => [name, uncompressedSize])),
    read: async (name, buffer) => {
      const entry = entries.get(name);
      if (entry === undefined) throw corrupt(`there is no entry ${quote(name)}`);
      expectStored(name, entry);
      const { fileDataStart } = await guarded(() =>
        zip.readLocalFileHeaderPromise(Object.assign(new yauzl.Entry(), entry), { minimal: true }),
      );
      const bytes = bytesIn(buffer, entry.compressedSize);
      await file.read(fileDataStart, bytes);
      if (readCrc(bytes) !== entry.crc32) throw corrupt(`entry ${quote(name)} is damaged: its checksum is wrong`);
      return bytes;
    },
  };
};
