import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type BackendOptions, type ChosenBackend, createBackend, type TileCache } from "@striate/backends";
import { defaultCacheFolder } from "@striate/data/node";

/** In a JSON file. Throws what the file system throws, which is a cache's right. */
export const tileFile = (path: string): TileCache => {
  const read = (): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));
  return {
    getItem: (key) => {
      const value = read()[key];
      return typeof value === "string" ? value : null;
    },
    setItem: (key, value) => {
      let others = {};
      try {
        others = read();
      } catch {
        // No file, or a damaged one: this makes it whole.
      }
      mkdirSync(dirname(path), { recursive: true });
      const part = `${path}.${process.pid}.part`;
      try {
        writeFileSync(part, `${JSON.stringify({ ...others, [key]: value }, null, 2)}\n`);
        renameSync(part, path);
      } finally {
        rmSync(part, { force: true });
      }
    },
  };
};

/** `createBackend`; `wasm:measured` measures once for this machine and its Node, and keeps the tile beside the data sets. */
export const openBackend = (name: string, options: BackendOptions = {}): Promise<ChosenBackend> =>
  createBackend(name, { tileCache: tileFile(join(defaultCacheFolder(), "wasm-tiles.json")), ...options });
