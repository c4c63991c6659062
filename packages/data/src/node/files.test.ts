import fs from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { readFileIfPresent, sweepUnfinished, writeFileAtomic } from "./files.js";
import { noise, temporaryFolder } from "./testing/fixtures.js";

afterEach(() => vi.restoreAllMocks());

const systemError = (code: string): Error => Object.assign(new Error(`${code}: from the test`), { code });
const bytes = noise(1000, 1);

/** The next file that is opened for writing fails in `method`; reading and folders are left alone. */
const failIn = (method: "writeFile" | "sync" | "close", code: string): void => {
  const open = fs.open;
  vi.spyOn(fs, "open").mockImplementation(async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    if (flags === "wx") {
      const close = handle.close.bind(handle);
      handle[method] = async () => {
        if (method === "close") await close();
        throw systemError(code);
      };
    }
    return handle;
  });
};

describe("writeFileAtomic", () => {
  test("writes, and replaces", async () => {
    const path = join(await temporaryFolder(), "a");
    await writeFileAtomic(path, noise(10, 2));
    await writeFileAtomic(path, bytes);
    expect(new Uint8Array(await fs.readFile(path))).toEqual(bytes);
  });

  test("syncs the file before the rename and the folder after it", async () => {
    const folder = await temporaryFolder();
    const steps: string[] = [];
    const { open, rename } = fs;
    vi.spyOn(fs, "open").mockImplementation(async (path, flags, mode) => {
      const handle = await open(path, flags, mode);
      const sync = handle.sync.bind(handle);
      handle.sync = () => {
        steps.push(path === folder ? "sync folder" : "sync file");
        return sync();
      };
      return handle;
    });
    vi.spyOn(fs, "rename").mockImplementation((from, to) => {
      steps.push("rename");
      return rename(from, to);
    });
    await writeFileAtomic(join(folder, "a"), bytes);
    expect(steps).toEqual(["sync file", "rename", ...(process.platform === "win32" ? [] : ["sync folder"])]);
  });

  test.each([
    ["writeFile", "ENOSPC"],
    ["writeFile", "EFBIG"],
    ["sync", "EIO"],
    ["close", "EDQUOT"],
  ] as const)("%s fails with %s: typed, nothing left, the old file intact", async (method, code) => {
    const folder = await temporaryFolder();
    const path = join(folder, "a");
    await writeFileAtomic(path, noise(10, 2));
    failIn(method, code);
    const act = writeFileAtomic(path, bytes);
    await expect(act).rejects.toMatchObject({ name: "DataError", code: "data-write", cause: { code } });
    await expect(act).rejects.toThrow(path);
    expect(await fs.readdir(folder)).toEqual(["a"]);
    expect(new Uint8Array(await fs.readFile(path))).toEqual(noise(10, 2));
  });

  test("a failed rename leaves nothing", async () => {
    const folder = await temporaryFolder();
    vi.spyOn(fs, "rename").mockRejectedValue(systemError("EXDEV"));
    await expect(writeFileAtomic(join(folder, "a"), bytes)).rejects.toMatchObject({ code: "data-write" });
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test("a folder that cannot be one", async () => {
    const folder = await temporaryFolder();
    await fs.writeFile(join(folder, "file"), "");
    await expect(writeFileAtomic(join(folder, "file", "a"), bytes)).rejects.toMatchObject({ code: "data-write" });
  });
});

describe("sweepUnfinished", () => {
  test("removes parts and nothing else", async () => {
    const folder = await temporaryFolder();
    for (const name of ["a.bin", "a.bin.1-2.part", "b.part", "part", "party.bin"])
      await fs.writeFile(join(folder, name), "");
    await fs.mkdir(join(folder, "npm.part-AbC123"));
    await fs.writeFile(join(folder, "npm.part-AbC123", "x.tgz"), "");
    await sweepUnfinished(folder);
    expect((await fs.readdir(folder)).sort()).toEqual(["a.bin", "part", "party.bin"]);
  });
});

describe("readFileIfPresent", () => {
  test("undefined for no file, no folder, or a file in the folder's place", async () => {
    const folder = await temporaryFolder();
    await fs.writeFile(join(folder, "a"), bytes);
    expect(await readFileIfPresent(join(folder, "b"), 1000)).toBeUndefined();
    expect(await readFileIfPresent(join(folder, "b", "c"), 1000)).toBeUndefined();
    expect(await readFileIfPresent(join(folder, "a", "c"), 1000)).toBeUndefined();
  });

  test("refuses a larger file and a folder", async () => {
    const folder = await temporaryFolder();
    await fs.writeFile(join(folder, "a"), bytes);
    expect((await readFileIfPresent(join(folder, "a"), 1000))?.length).toBe(1000);
    await expect(readFileIfPresent(join(folder, "a"), 999)).rejects.toThrow("has 1000 bytes, expected at most 999");
    if (process.platform !== "win32")
      await expect(readFileIfPresent(folder, 999)).rejects.toMatchObject({ code: "data-corrupt" });
  });

  test.each(["EACCES", "EIO", "EMFILE"])("%s is typed", async (code) => {
    vi.spyOn(fs, "open").mockRejectedValue(systemError(code));
    await expect(readFileIfPresent("a", 1)).rejects.toMatchObject({ code: "data-read", cause: { code } });
  });
});
