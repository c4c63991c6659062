import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckpointError } from "../errors.js";
import { type HostileFile, hostilePt, hostileSafetensors } from "../testing/hostile.js";
import { loadPt, openPt } from "./pt-file.js";
import { loadSafetensors, openSafetensors } from "./safetensors-file.js";
import { openWeights } from "./weights-file.js";

let folder: string;
beforeAll(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-hostile-"));
});
afterAll(() => fs.rm(folder, { recursive: true }));

type Load = (path: string) => Promise<unknown>;
const closing =
  (open: (path: string) => Promise<{ close(): Promise<void> }>): Load =>
  async (path) =>
    (await open(path)).close();

/** What each file came to: an error's code, or "read". Anything else than a `CheckpointError` fails the test. */
const outcomes = async (files: readonly HostileFile[], load: Load): Promise<Map<string, string>> => {
  const path = join(folder, "hostile");
  const found = new Map<string, string>();
  for (const { what, bytes } of files) {
    await fs.writeFile(path, bytes);
    try {
      await load(path);
      found.set(what, "read");
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw new Error(`${what}: ${String(error)}`, { cause: error });
      found.set(what, error.code);
    }
  }
  return found;
};

describe.each<[string, readonly HostileFile[], Load, Load]>([
  ["safetensors", hostileSafetensors(), loadSafetensors, closing(openSafetensors)],
  ["torch.save", hostilePt(), loadPt, closing(openPt)],
])("damaged and hostile files of %s", { timeout: 120_000 }, (_, files, load, open) => {
  test("those made by hand are refused, the mutated ones refused or read; at least 100 refused", async () => {
    const found = await outcomes(files, load);
    const read = [...found].filter(([, outcome]) => outcome === "read").map(([what]) => what);
    expect(read.filter((what) => !what.startsWith("mutat"))).toEqual([]);
    expect(found.size - read.length).toBeGreaterThan(100);
    expect(new Set(found.values())).toEqual(new Set(["read", "checkpoint-corrupt", "checkpoint-unsupported"]));
  });

  test("opening them is as safe, whatever they are taken for", async () => {
    for (const act of [open, closing(openWeights)]) {
      const found = await outcomes(files, async (path) =>
        act(path).catch((error: { code?: string }) => {
          // openPt: what was read has no state dict.
          if (error.code !== "argument") throw error;
        }),
      );
      expect(found.size).toBe(files.length);
    }
  });
});
