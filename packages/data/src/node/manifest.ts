import type { DataProgress } from "./options.js";

/** A file in its one true form: whatever it came from, these are the bytes it must have. */
export interface DataFile {
  readonly name: string;
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** One way in which the files may lie in a folder. */
export interface Layout {
  /** Folders to look in, relative to the one the user named; "" is that folder itself. */
  readonly subfolders: readonly string[];
  readonly fileName: (name: string) => string;
  /** Larger files are refused unread. */
  readonly maxSize: (file: DataFile) => number;
  /** The file's one true form. @throws DataError (data-corrupt) */
  readonly decode: (bytes: Uint8Array, file: DataFile) => Uint8Array;
}

/** Takes over one file: verifies it, and writes it to the cache. */
export type Deliver = (name: string, bytes: Uint8Array) => Promise<void>;

export interface SourceContext {
  /** For temporary files. Exists, is writable, and is swept of `.part` names after a crash. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (event: DataProgress) => void;
}

/** A place on the network. */
export interface DataSource {
  /** For messages. */
  readonly name: string;
  /**
   * Delivers the wanted files one by one, in any order. What arrives is verified by whoever asked.
   * @throws DataError `data-offline` where the network cannot be reached, `data-download` or `data-corrupt` otherwise
   */
  readonly fetch: (wanted: ReadonlySet<string>, deliver: Deliver, context: SourceContext) => Promise<void>;
}

/** Everything that the store needs to know about a dataset. */
export interface Manifest {
  /** For messages: `CIFAR-10`. */
  readonly title: string;
  /** Its folder within the cache. */
  readonly folder: string;
  readonly files: readonly DataFile[];
  readonly layouts: readonly Layout[];
  /** Folders of the operating system where a package may have put the files. */
  readonly systemFolders: readonly string[];
  readonly sources: readonly DataSource[];
  /** Where people find the files. */
  readonly homepage: string;
}

/** The files as they are. */
export const plainLayout = (...subfolders: string[]): Layout => ({
  subfolders,
  fileName: (name) => name,
  maxSize: (file) => file.size,
  decode: (bytes) => bytes,
});
