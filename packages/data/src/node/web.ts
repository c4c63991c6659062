import { readArchive } from "./archive.js";
import { download } from "./download.js";
import type { DataFile, DataSource } from "./manifest.js";

export interface WebArchiveOptions {
  /** Folder within the archive that has the files. */
  readonly folder: string;
  readonly files: readonly DataFile[];
  /** A longer download is refused. */
  readonly maxBytes: number;
  /** Milliseconds without a byte after which the server is given up. Default: 30 s. */
  readonly stallTimeout?: number;
}

/** A .tar.gz on the web that has the files as they are. */
export const webArchive = (
  url: string,
  { folder, files, maxBytes, stallTimeout = 30_000 }: WebArchiveOptions,
): DataSource => ({
  name: url,
  fetch: async (wanted, deliver, { signal, onProgress }) => {
    const body = download(url, {
      maxBytes,
      stallTimeout,
      signal,
      onProgress: (received, total) => onProgress({ phase: "download", source: url, received, total }),
    });
    const entries = new Map(
      files.filter(({ name }) => wanted.has(name)).map(({ name, size }) => [`${folder}/${name}`, size]),
    );
    await readArchive(body, entries, (path, bytes) => deliver(path.slice(folder.length + 1), bytes));
  },
});
