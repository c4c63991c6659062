import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, memoryUsage, tensor } from "@striate/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostTensor } from "../host-tensor.js";
import { encodeSafetensors } from "../safetensors.js";
import { fileOf } from "../testing/file.js";
import { openFile } from "./file.js";
import { loadSafetensors, openSafetensors, saveSafetensors } from "./safetensors-file.js";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-checkpoint-"));
  path = join(folder, "net.safetensors");
});
afterEach(() => fs.rm(folder, { recursive: true }));

const host: readonly (readonly [string, HostTensor])[] = [
  ["n", { dtype: "I64", shape: [], data: BigInt64Array.of(3n) }],
  ["w", { dtype: "F32", shape: [2, 1], data: Float32Array.of(Number.NaN, -0) }],
];

describe("saveSafetensors", () => {
  test("writes the bytes of encodeSafetensors", async () => {
    await saveSafetensors(path, host, { metadata: { epoch: "3" } });
    expect(new Uint8Array(await fs.readFile(path))).toEqual(encodeSafetensors(host, { epoch: "3" }));
  });

  test("takes the tensors of a state dict, as of the call", async () => {
    const backend = await createCpuBackend();
    const w = tensor([1, 2], { backend });
    const saved = saveSafetensors(path, new Map([["w", w]]));
    w.assign(tensor([3, 4], { backend }));
    await saved;
    expect((await loadSafetensors(path)).tensors.get("w")).toEqual({
      dtype: "F32",
      shape: [2],
      data: Float32Array.of(1, 2),
    });
  });

  test("reads one tensor after the other, and leaves nothing on the backend", async () => {
    const backend = await createCpuBackend();
    let reading = 0;
    let most = 0;
    const { read } = backend;
    const watched = {
      ...backend,
      read: async (source: Parameters<typeof read>[0]) => {
        most = Math.max(most, ++reading);
        await null;
        reading--;
        return read(source);
      },
    };
    const own = new Map([1, 2, 3].map((n) => [`p${n}`, tensor([n], { backend: watched })]));
    await saveSafetensors(path, own);
    expect(most).toBe(1);
    expect(memoryUsage(watched)).toMatchObject({ tensors: 3, storages: 3 });
    own.get("p2")?.dispose();
    await expect(saveSafetensors(path, own)).rejects.toMatchObject({ code: "disposed" });
    expect(memoryUsage(watched)).toMatchObject({ tensors: 2, storages: 2 });
    expect((await loadSafetensors(path)).tensors.size).toBe(3);
  });

  test("what cannot be written is refused before the disk is touched", async () => {
    await fs.writeFile(path, "old");
    await expect(saveSafetensors(path, [...host, ...host])).rejects.toThrow(ArgumentError);
    const surrogate = saveSafetensors(path, host, { metadata: { k: "\ud800" } });
    await expect(surrogate).rejects.toThrow(ArgumentError);
    expect(await fs.readFile(path, "utf8")).toBe("old");
    expect(await fs.readdir(folder)).toEqual(["net.safetensors"]);
  });

  test("fails as replaceFile does", async () => {
    await expect(saveSafetensors(join(folder, "missing", "x"), host)).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "ENOENT" },
    });
  });
});

describe("loadSafetensors", () => {
  test("gives back what was saved, in one buffer of their size", async () => {
    await saveSafetensors(path, host, { metadata: { epoch: "3" } });
    const { tensors, metadata } = await loadSafetensors(path);
    expect([...tensors]).toEqual(host);
    expect([...metadata]).toEqual([["epoch", "3"]]);
    const buffers = new Set([...tensors.values()].map(({ data }) => data.buffer));
    const size = host.reduce((sum, [, { data }]) => sum + data.byteLength, 0);
    expect([...buffers].map(({ byteLength }) => byteLength)).toEqual([size]);
  });

  test("no file, no folder, a file for a folder", async () => {
    const missing = { name: "CheckpointError", code: "checkpoint-missing", message: expect.stringContaining(folder) };
    await expect(loadSafetensors(path)).rejects.toMatchObject(missing);
    await expect(loadSafetensors(join(folder, "missing", "x"))).rejects.toMatchObject(missing);
    await fs.writeFile(path, "");
    await expect(loadSafetensors(join(path, "x"))).rejects.toMatchObject(missing);
  });

  test("what is no regular file", async () => {
    await expect(loadSafetensors(folder)).rejects.toMatchObject({
      code: "checkpoint-read",
      message: `cannot read ${folder}: it is no regular file`,
    });
  });

  test("a path that the system cannot follow", async () => {
    await fs.symlink(path, path);
    await expect(loadSafetensors(path)).rejects.toMatchObject({ code: "checkpoint-read", cause: { code: "ELOOP" } });
  });

  // Linux announces a page for it, and gives a line.
  const short = "/sys/kernel/mm/transparent_hugepage/enabled";
  test.skipIf(!existsSync(short))("a file that ends before its size: nothing is made up", async () => {
    const file = await openFile(short);
    await expect(file.read(0, new Uint8Array(file.size))).rejects.toMatchObject({
      code: "checkpoint-read",
      message: expect.stringMatching(/it ended at byte \d+ of \d+/),
    });
    await file.close();
  });

  test("a damaged file: the error names it", async () => {
    const bytes = encodeSafetensors(host);
    await fs.writeFile(path, bytes.subarray(0, -1));
    await expect(loadSafetensors(path)).rejects.toMatchObject({
      name: "CheckpointError",
      code: "checkpoint-corrupt",
      message: expect.stringContaining(`${path}: safetensors: `),
    });
    await fs.writeFile(path, "");
    await expect(loadSafetensors(path)).rejects.toMatchObject({ code: "checkpoint-corrupt" });
  });
});

describe("openSafetensors", () => {
  test("tells what is there, and reads one tensor at a time, each of its own", async () => {
    await saveSafetensors(path, host, { metadata: { epoch: "3" } });
    await using file = await openSafetensors(path);
    expect([...file.tensors].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ["n", "I64", []],
      ["w", "F32", [2, 1]],
    ]);
    expect([...file.metadata]).toEqual([["epoch", "3"]]);
    for (const [name, tensor] of host) {
      const read = await file.read(name);
      expect(read).toEqual(tensor);
      expect(read.data.buffer.byteLength).toBe(tensor.data.byteLength);
    }
  });

  test("into a buffer where it is large enough", async () => {
    await saveSafetensors(path, host);
    await using file = await openSafetensors(path);
    const buffer = new ArrayBuffer(8);
    const { data } = await file.read("w", buffer);
    expect(data.buffer).toBe(buffer);
    expect(data).toEqual(host[1]?.[1].data);
    expect((await file.read("w", new ArrayBuffer(7))).data).toEqual(data);
  });

  test("a name that is not there; a file that is closed", async () => {
    await saveSafetensors(path, host);
    const file = await openSafetensors(path);
    await expect(file.read("v")).rejects.toThrow(ArgumentError);
    await file.close();
    await expect(file.read("w")).rejects.toMatchObject({ name: "CheckpointError", code: "checkpoint-read" });
  });

  test("the rules are those of loadSafetensors, before an element is read", async () => {
    const bytes = encodeSafetensors(host);
    for (const damaged of [
      bytes.subarray(0, -1),
      new Uint8Array([...bytes, 0]),
      bytes.subarray(0, 7),
      new Uint8Array(0),
    ]) {
      await fs.writeFile(path, damaged);
      const expected = await loadSafetensors(path).catch((error: unknown) => error);
      expect(expected).toMatchObject({ code: "checkpoint-corrupt" });
      await expect(openSafetensors(path)).rejects.toThrow((expected as Error).message);
    }
    await fs.rm(path);
    await expect(openSafetensors(path)).rejects.toMatchObject({ code: "checkpoint-missing" });
  });

  test("a BOOL other than 0 or 1 is found when it is read", async () => {
    await fs.writeFile(path, fileOf('{"b":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}', [1, 2]));
    await using file = await openSafetensors(path);
    await expect(file.read("b")).rejects.toMatchObject({
      code: "checkpoint-corrupt",
      message: expect.stringContaining(path),
    });
  });
});
