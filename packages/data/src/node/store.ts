import { createHash } from "node:crypto";
import fs from "node:fs/promises";
import { join } from "node:path";
import envPaths from "env-paths";
import type { DataErrorCode } from "../errors.js";
import { DataError } from "../errors.js";
import { readFileIfPresent, sweepUnfinished, writeFileAtomic } from "./files.js";
import { withLock } from "./lock.js";
import type { DataFile, Manifest } from "./manifest.js";
import { plainLayout } from "./manifest.js";
import type { DatasetOptions } from "./options.js";
import { messageOf, writeError } from "./system-errors.js";

/** `~/.cache/striate` on Linux (or under XDG_CACHE_HOME), `~/Library/Caches/striate`, `%LOCALAPPDATA%\striate\Cache`. */
export const defaultCacheFolder = (): string => envPaths("striate", { suffix: "" }).cache;

const describeFile = ({ name, size, sha256 }: DataFile): string => `  ${name}: ${size} bytes, sha256 ${sha256}`;

/** Why the bytes are not the file, or undefined if they are. */
const mismatch = (file: DataFile, bytes: Uint8Array): string | undefined => {
  if (bytes.length !== file.size) return `has ${bytes.length} bytes, expected ${file.size}`;
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return sha256 === file.sha256 ? undefined : `has sha256 ${sha256}, expected ${file.sha256}`;
};

/** Verified bytes from a folder, or undefined where it has no such file in any layout. @throws DataError */
const readFromFolder = async (
  { layouts }: Pick<Manifest, "layouts">,
  file: DataFile,
  folder: string,
): Promise<Uint8Array | undefined> => {
  for (const { subfolders, fileName, maxSize, decode } of layouts) {
    for (const subfolder of subfolders) {
      const path = join(folder, subfolder, fileName(file.name));
      const found = await readFileIfPresent(path, maxSize(file));
      if (found === undefined) continue;
      let bytes: Uint8Array;
      try {
        bytes = decode(found, file);
      } catch (error) {
        throw new DataError("data-corrupt", `${path}: ${messageOf(error)}`, { cause: error });
      }
      const wrong = mismatch(file, bytes);
      if (wrong !== undefined)
        throw new DataError("data-corrupt", `${path}${bytes === found ? "" : " (decoded)"} ${wrong}`);
      return bytes;
    }
  }
  return undefined;
};

const cacheLayout = { layouts: [plainLayout("")] };

/** As readFromFolder, but a damaged file is as good as none: `onDamage` is told which. */
const readUndamaged = async (
  layouts: Pick<Manifest, "layouts">,
  file: DataFile,
  folder: string,
  onDamage: (message: string) => void = () => undefined,
): Promise<Uint8Array | undefined> => {
  try {
    return await readFromFolder(layouts, file, folder);
  } catch (error) {
    if (!(error instanceof DataError) || error.code !== "data-corrupt") throw error;
    onDamage(error.message);
    return undefined;
  }
};

const missingFrom = async (
  layouts: Pick<Manifest, "layouts">,
  files: readonly DataFile[],
  folder: string,
): Promise<DataFile[]> => {
  const missing: DataFile[] = [];
  for (const file of files) if ((await readUndamaged(layouts, file, folder)) === undefined) missing.push(file);
  return missing;
};

const missingError = (
  { title, homepage }: Manifest,
  code: DataErrorCode,
  missing: readonly DataFile[],
  why: string,
  remedy: string,
  options?: ErrorOptions,
): DataError =>
  new DataError(
    code,
    `${title}: ${why}\nMissing or damaged:\n${missing.map(describeFile).join("\n")}\n${remedy} They come from ${homepage}`,
    options,
  );

/** Fills the cache with every file of the dataset that it lacks. @throws DataError */
const fetchMissing = async (manifest: Manifest, folder: string, options: DatasetOptions): Promise<void> => {
  const { onProgress = () => undefined, signal, sources = manifest.sources } = options;
  const notice = (message: string): void => onProgress({ phase: "notice", message });
  // Looked at again under the lock: whoever had it may have fetched them.
  const missing = new Map((await missingFrom(cacheLayout, manifest.files, folder)).map((file) => [file.name, file]));
  if (missing.size === 0) return;
  await sweepUnfinished(folder);

  const failures: unknown[] = [];
  for (const source of sources) {
    signal?.throwIfAborted();
    const deliver = async (name: string, bytes: Uint8Array): Promise<void> => {
      const file = missing.get(name);
      if (file === undefined) return;
      const wrong = mismatch(file, bytes);
      if (wrong !== undefined) throw new DataError("data-corrupt", `${source.name}: ${name} ${wrong}`);
      await writeFileAtomic(join(folder, name), bytes);
      missing.delete(name);
    };
    try {
      await source.fetch(new Set(missing.keys()), deliver, { folder, signal, onProgress });
      if (missing.size === 0) return;
      throw new DataError("data-corrupt", `${source.name} does not have ${[...missing.keys()].join(", ")}`);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof DataError)) throw error;
      // Another source would meet the same disk.
      if (error.code === "data-write" || error.code === "data-read") throw error;
      failures.push(error);
      notice(`${manifest.title}: ${messageOf(error)}`);
    }
  }
  const offline = failures.length > 0 && failures.every((e) => e instanceof DataError && e.code === "data-offline");
  throw missingError(
    manifest,
    sources.length === 0 ? "data-missing" : offline ? "data-offline" : "data-download",
    [...missing.values()],
    sources.length === 0
      ? "there is no source to fetch it from"
      : [offline ? "no network" : "every source failed", ...failures.map((e) => `  - ${messageOf(e)}`)].join("\n"),
    `Put the files into ${folder}, or name the folder that has them (dir).`,
    { cause: failures.length === 1 ? failures[0] : new AggregateError(failures) },
  );
};

/**
 * The named files of a dataset, verified, one by one in the given order: from `options.dir`; or else from the cache,
 * the folders of the operating system, and the sources, through the cache.
 * @throws DataError
 */
export async function* dataFiles(
  manifest: Manifest,
  names: readonly string[],
  options: DatasetOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { dir, cacheDir = defaultCacheFolder(), offline = false, onProgress = () => undefined, signal } = options;
  const files = names.map((name) => manifest.files.find((file) => file.name === name) as DataFile);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const folder = join(cacheDir, manifest.folder);
  const notice = (message: string): void => onProgress({ phase: "notice", message });
  let fetched = false;

  const fromUserFolder = async (file: DataFile, userFolder: string): Promise<Uint8Array> => {
    const bytes = await readFromFolder(manifest, file, userFolder);
    if (bytes !== undefined) return bytes;
    throw missingError(
      manifest,
      "data-missing",
      await missingFrom(manifest, files, userFolder),
      `${userFolder} does not have every file`,
      "Without dir, the cache and the network are searched.",
    );
  };

  const find = async (file: DataFile): Promise<Uint8Array> => {
    if (dir !== undefined) return fromUserFolder(file, dir);
    const cached = await readUndamaged(cacheLayout, file, folder, (damage) =>
      notice(`${damage}${offline ? "" : "; fetching it again"}`),
    );
    if (cached !== undefined) return cached;
    for (const systemFolder of manifest.systemFolders) {
      const bytes = await readFromFolder(manifest, file, systemFolder);
      if (bytes !== undefined) return bytes;
    }
    if (offline)
      throw missingError(
        manifest,
        "data-offline",
        await missingFrom(cacheLayout, files, folder),
        "not every file is in the cache, and the network is not to be used (offline)",
        `Put them into ${folder}, or name the folder that has them (dir).`,
      );
    if (!fetched) {
      await fs.mkdir(folder, { recursive: true }).catch((error) => {
        throw writeError(folder, error);
      });
      await withLock(`${folder}.lock`, () => fetchMissing(manifest, folder, options), {
        signal,
        onWait: () => notice(`${manifest.title}: waiting for another process that is fetching it`),
      });
      fetched = true;
    }
    const bytes = await readFromFolder(cacheLayout, file, folder);
    if (bytes === undefined) throw new DataError("data-missing", `${join(folder, file.name)} has been removed`);
    return bytes;
  };

  let received = 0;
  for (const file of files) {
    signal?.throwIfAborted();
    const bytes = await find(file);
    received += file.size;
    onProgress({ phase: "verify", source: dir ?? folder, received, total });
    yield bytes;
  }
}
