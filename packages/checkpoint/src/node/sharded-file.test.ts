import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, memoryUsage, tensor } from "@striate/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostTensor } from "../host-tensor.js";
import { loadSafetensors, saveSafetensors } from "./safetensors-file.js";
import { openShardedSafetensors, saveShardedSafetensors } from "./sharded-file.js";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-shards-"));
  path = join(folder, "net.safetensors.index.json");
});
afterEach(() => fs.rm(folder, { recursive: true }));

const f32 = (...values: number[]): HostTensor => ({
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const state: readonly (readonly [string, HostTensor])[] = [
  ["10", f32(1, 2)],
  ["2", f32(3)],
  ["__proto__", f32(4, 5, 6, 7, 8)],
  ["n", { dtype: "I64", shape: [], data: BigInt64Array.of(9n) }],
  ["empty", { dtype: "F16", shape: [0, 3], data: new Uint16Array(0) }],
];
const readAll = async (): Promise<(readonly [string, HostTensor])[]> => {
  await using file = await openShardedSafetensors(path);
  const read: (readonly [string, HostTensor])[] = [];
  for (const name of file.tensors.keys()) read.push([name, await file.read(name)]);
  return read;
};

describe("saveShardedSafetensors", () => {
  test("names and contents of the files, the index of the format", async () => {
    await saveShardedSafetensors(path, state, { maxShardBytes: 12, metadata: { format: "pt" } });
    const files = [1, 2, 3].map((n) => `net-0000${n}-of-00003.safetensors`);
    expect((await fs.readdir(folder)).sort()).toEqual([...files, "net.safetensors.index.json"]);
    // As text, for an object would change the order.
    expect(await fs.readFile(path, "utf8")).toBe(
      `{\n  "metadata": {\n    "total_size": 40\n  },\n  "weight_map": {\n${[
        `    "10": "${files[0]}"`,
        `    "2": "${files[0]}"`,
        `    "__proto__": "${files[1]}"`,
        `    "n": "${files[2]}"`,
        `    "empty": "${files[2]}"`,
      ].join(",\n")}\n  }\n}\n`,
    );
    const shard = await loadSafetensors(join(folder, files[2] as string));
    expect([...shard.tensors.keys()]).toEqual(["n", "empty"]);
    expect([...shard.metadata]).toEqual([["format", "pt"]]);
  });

  test.each([1, 12, 20, 5e9])(
    "what was saved in files of at most %s bytes is read again, in order",
    async (maxShardBytes) => {
      await saveShardedSafetensors(path, state, { maxShardBytes });
      expect(await readAll()).toEqual(state);
    },
  );

  test("nothing to save", async () => {
    await saveShardedSafetensors(path, []);
    expect(await readAll()).toEqual([]);
  });

  test("tensors of a backend, as of the call; nothing stays on it", async () => {
    const backend = await createCpuBackend();
    const w = tensor([1, 2], { backend });
    const saved = saveShardedSafetensors(path, [["w", w]]);
    w.assign(tensor([3, 4], { backend }));
    await saved;
    expect(await readAll()).toEqual([["w", f32(1, 2)]]);
    // w, and the value that was assigned.
    expect(memoryUsage(backend)).toMatchObject({ tensors: 2, storages: 1 });
  });

  test("an older index is gone before a file of the new one is there", async () => {
    await saveShardedSafetensors(path, state, { maxShardBytes: 12 });
    // The second file cannot be written.
    await fs.rm(join(folder, "net-00002-of-00003.safetensors"));
    await fs.mkdir(join(folder, "net-00002-of-00003.safetensors"));
    await expect(saveShardedSafetensors(path, state, { maxShardBytes: 12 })).rejects.toMatchObject({
      code: "checkpoint-write",
    });
    await expect(readAll()).rejects.toMatchObject({ code: "checkpoint-missing" });
  });

  test.each<[string, string, object]>([
    ["another ending", "net.safetensors", {}],
    ["no name", ".safetensors.index.json", {}],
    ["no size", "net.safetensors.index.json", { maxShardBytes: 0 }],
    ["NaN", "net.safetensors.index.json", { maxShardBytes: Number.NaN }],
  ])("refuses %s", async (_, name, options) => {
    await expect(saveShardedSafetensors(join(folder, name), state, options)).rejects.toThrow(ArgumentError);
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test("a folder that does not exist", async () => {
    const missing = join(folder, "missing", "net.safetensors.index.json");
    await expect(saveShardedSafetensors(missing, state)).rejects.toMatchObject({ code: "checkpoint-write" });
  });
});

describe("openShardedSafetensors", () => {
  const index = (map: string, more = ""): Promise<void> => fs.writeFile(path, `{${more}"weight_map": {${map}}}`);
  beforeEach(async () => {
    await saveSafetensors(join(folder, "a.safetensors"), [
      ["x", f32(1)],
      ["y", f32(2)],
    ]);
    await saveSafetensors(join(folder, "b.safetensors"), [["z", f32(3)]]);
  });
  const good = '"z": "b.safetensors", "x": "a.safetensors", "y": "a.safetensors"';

  test("reads what others wrote: any metadata, any order", async () => {
    await index(good, '"metadata": {"total_size": 12.0, "deep": [{"a": "]}\\""}, -1e3, null, true], "n": {}}, ');
    expect((await readAll()).map(([name]) => name)).toEqual(["z", "x", "y"]);
  });

  test.each<[string, string, string, RegExp]>([
    ["a path", good.replace("b.safe", "../b.safe"), "corrupt", /"z" is in "\.\.\/b\.safetensors", expected the name/],
    ["an absolute path", good.replace("b.safe", "/b.safe"), "corrupt", /expected the name of a file/],
    ["a path of Windows", good.replace("b.safe", "c:\\\\b.safe"), "corrupt", /expected the name of a file/],
    ["the folder", good.replace("b.safetensors", ".."), "corrupt", /expected the name of a file/],
    ["NUL", good.replace("b.safe", "b\\u0000.safe"), "corrupt", /expected the name of a file/],
    ["no file", good.replace("b.safe", "c.safe"), "missing", /c\.safetensors/],
    ["a name not in its file", `${good}, "w": "b.safetensors"`, "corrupt", /"w" is not in "b\.safetensors"/],
    ["a name in another file", good.replace('"x": "a', '"x": "b'), "corrupt", /"x"/],
    [
      "a name that the index has not",
      good.replace(', "y": "a.safetensors"', ""),
      "corrupt",
      /has "y", which the index has not/,
    ],
    ["a name twice", `${good}, "z": "b.safetensors"`, "corrupt", /has the key "z" twice/],
    ["a file that is no text", good.replace('"b.safetensors"', "3"), "corrupt", /expected a string/],
    ["half an index", '"x": ', "corrupt", /expected a string/],
  ])("refuses %s", async (_, map, code, message) => {
    await index(map);
    const act = openShardedSafetensors(path);
    await expect(act).rejects.toMatchObject({ name: "CheckpointError", code: `checkpoint-${code}` });
    await expect(act).rejects.toThrow(message);
    await expect(act).rejects.toThrow(folder);
  });

  test("a tensor that two files have", async () => {
    await saveSafetensors(join(folder, "b.safetensors"), [
      ["z", f32(3)],
      ["x", f32(4)],
    ]);
    await index(good);
    await expect(openShardedSafetensors(path)).rejects.toThrow(
      '"x" is in "b.safetensors" too, expected only in "a.saf',
    );
  });

  test("what else stands in it is passed over", async () => {
    const else_ = ' [ ] , {} , { "a" : [ 1 , -0.5e-3 , true , false , null , "]" ] }';
    await fs.writeFile(
      path,
      `{"metadata": [${else_}, ${"[".repeat(60)}${"]".repeat(60)}], "weight_map": {}, "more": 1.5 } `,
    );
    await using file = await openShardedSafetensors(path);
    expect(file.tensors.size).toBe(0);
  });

  test.each([
    ...[
      "[1",
      "[1,]",
      "[,]",
      "{1:2}",
      '{"a"}',
      '{"a":1,}',
      "01",
      "1.",
      "+1",
      "truely",
      "nul",
      "]",
      "",
      "'a'",
      "NaN",
      '"\n"',
    ],
    "[".repeat(1e6),
    '{"a":'.repeat(1e6),
  ])("refuses the rest of an index where it is no JSON: %.20j", async (value) => {
    await fs.writeFile(path, `{"metadata": ${value}, "weight_map": {}}`);
    await expect(openShardedSafetensors(path)).rejects.toMatchObject({ code: "checkpoint-corrupt" });
  });

  test.each(["[]", "3", "{}", '{"weight_map": []}', '{"weight_map": {}}x', "", "\xff"])(
    "refuses %j",
    async (contents) => {
      await fs.writeFile(path, contents, "latin1");
      await expect(openShardedSafetensors(path)).rejects.toMatchObject({ code: "checkpoint-corrupt" });
    },
  );

  test("a damaged file among them", async () => {
    await fs.truncate(join(folder, "b.safetensors"), 40);
    await index(good);
    await expect(openShardedSafetensors(path)).rejects.toMatchObject({
      code: "checkpoint-corrupt",
      message: expect.stringContaining("b.safetensors: "),
    });
  });

  test("a name that is not there", async () => {
    await index(good);
    await using file = await openShardedSafetensors(path);
    await expect(file.read("w")).rejects.toThrow(ArgumentError);
  });
});
