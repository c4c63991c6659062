import { describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { readArchive } from "./archive.js";
import type { TarEntry } from "./testing/fixtures.js";
import { noise, tar, tarGz } from "./testing/fixtures.js";

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const read = async (
  bytes: Uint8Array,
  wanted: Record<string, number>,
  chunk = 1000,
): Promise<Record<string, Uint8Array>> => {
  const files: Record<string, Uint8Array> = {};
  await readArchive(inChunks(bytes, chunk), new Map(Object.entries(wanted)), async (path, file) => {
    files[path] = new Uint8Array(file);
  });
  return files;
};

const a = noise(70_000, 1);
const b = noise(513, 2);
const two: readonly TarEntry[] = [
  { path: "x/a", bytes: a },
  { path: "x/b", bytes: b },
];

describe("readArchive", () => {
  test.each([1, 511, 512, 65_536, 1_000_000])("reads .tar.gz in chunks of %d bytes", async (chunk) => {
    expect(await read(tarGz([{ path: "x/b", bytes: b }]), { "x/b": 513 }, chunk)).toEqual({ "x/b": b });
  });

  test("reads .tar", async () => {
    expect(await read(tar(two), { "x/a": 70_000, "x/b": 513 })).toEqual({ "x/a": a, "x/b": b });
  });

  test("skips what is not wanted, whatever its path, type or size", async () => {
    const bytes = tarGz([
      { path: "../../etc/passwd", bytes: noise(10, 3) },
      { path: "/absolute", bytes: noise(10, 4) },
      { path: "link", type: "2", link: "/etc/passwd" },
      { path: "x", type: "5" },
      { path: "x/huge", bytes: noise(300_000, 5) },
      ...two,
    ]);
    expect(await read(bytes, { "x/b": 513 })).toEqual({ "x/b": b });
  });

  test("leaves out what the archive does not have", async () => {
    expect(await read(tarGz(two), { "x/c": 10 })).toEqual({});
  });

  test("hands over one file at a time", async () => {
    const steps: string[] = [];
    await readArchive(
      inChunks(tarGz(two), 100),
      new Map([
        ["x/a", 70_000],
        ["x/b", 513],
      ]),
      async (path) => {
        steps.push(`begin ${path}`);
        await new Promise((resolve) => setImmediate(resolve));
        steps.push(`end ${path}`);
      },
    );
    expect(steps).toEqual(["begin x/a", "end x/a", "begin x/b", "end x/b"]);
  });

  test.each<[string, readonly TarEntry[], string]>([
    ["a symbolic link", [{ path: "x/a", type: "2", link: "/etc/passwd" }], "is a SymbolicLink"],
    ["a hard link", [{ path: "x/a", type: "1", link: "x/b" }], "is a Link"],
    ["a folder", [{ path: "x/a", type: "5" }], "is a Directory"],
    [
      "a file larger than allowed",
      [{ path: "x/a", bytes: noise(70_001, 1) }],
      "has 70001 bytes, expected at most 70000",
    ],
    ["a file twice", [two[0] as TarEntry, two[0] as TarEntry], "is there twice"],
  ])("refuses %s under a wanted name", async (_, entries, message) => {
    const act = read(tarGz(entries), { "x/a": 70_000 });
    await expect(act).rejects.toThrow(DataError);
    await expect(act).rejects.toThrow(message);
  });

  test("refuses a truncated archive wherever it ends", async () => {
    const whole = tarGz(two);
    for (const length of [1, 10, 100, 40_000, whole.length - 1000]) {
      await expect(read(whole.subarray(0, length), { "x/a": 70_000, "x/b": 513 })).rejects.toMatchObject({
        code: "data-corrupt",
      });
    }
    await expect(read(tar(two).subarray(0, 5000), { "x/a": 70_000 })).rejects.toMatchObject({ code: "data-corrupt" });
  });

  test("refuses flipped bits in the compressed data", async () => {
    const bytes = tarGz(two);
    bytes.fill(0xff, 30_000, 30_100);
    await expect(read(bytes, { "x/a": 70_000, "x/b": 513 })).rejects.toMatchObject({ code: "data-corrupt" });
  });

  test("refuses what is no archive", async () => {
    await expect(read(noise(5000, 9), { "x/a": 1 })).rejects.toMatchObject({ code: "data-corrupt" });
  });

  test("refuses a decompression bomb", async () => {
    const bytes = tarGz([{ path: "zeros", bytes: new Uint8Array(50_000_000) }]);
    await expect(read(bytes, { "x/a": 1 })).rejects.toMatchObject({ code: "data-corrupt" });
  });

  test("passes on what the consumer throws, and what the input throws", async () => {
    const mine = new Error("mine");
    await expect(
      readArchive(inChunks(tarGz(two), 100), new Map([["x/a", 70_000]]), () => Promise.reject(mine)),
    ).rejects.toBe(mine);
    const broken = (async function* () {
      yield tarGz(two).subarray(0, 100);
      throw mine;
    })();
    await expect(readArchive(broken, new Map([["x/a", 70_000]]), async () => undefined)).rejects.toBe(mine);
  });
});
