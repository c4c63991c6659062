import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "@striate/backend-cpu";
import { tensor } from "@striate/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HostTensor } from "../host-tensor.js";
import { bitsOf, expectedBits, fixture } from "../testing/fixtures.js";
import { saveSafetensors } from "./safetensors-file.js";
import { saveShardedSafetensors } from "./sharded-file.js";
import { loadWeightsFile, openWeights } from "./weights-file.js";

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-weights-"));
});
afterEach(() => fs.rm(folder, { recursive: true }));

const w: HostTensor = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };

describe("openWeights", () => {
  test("knows each kind by its contents", async () => {
    await saveSafetensors(join(folder, "a"), [["w", w]]);
    await saveShardedSafetensors(join(folder, "b.safetensors.index.json"), [["w", w]]);
    for (const name of ["a", "b.safetensors.index.json"]) {
      await using file = await openWeights(join(folder, name));
      expect(await file.read("w")).toEqual(w);
    }
    await using file = await openWeights(fixture("state-dict.pt"));
    const read: [string, HostTensor][] = [];
    for (const name of file.tensors.keys()) read.push([name, await file.read(name)]);
    expect(bitsOf(read)).toEqual(await expectedBits("state-dict"));
  });

  test.each([
    ["text", "weights", "checkpoint-corrupt"],
    ["nothing", "", "checkpoint-corrupt"],
    ["a bare pickle", "\x80\x02}.", "checkpoint-unsupported"],
    ["other JSON", '{"a": 1}', "checkpoint-corrupt"],
  ])("refuses %s", async (_, contents, code) => {
    const path = join(folder, "x");
    await fs.writeFile(path, contents, "latin1");
    await expect(openWeights(path)).rejects.toMatchObject({ name: "CheckpointError", code });
  });

  test("no file", async () => {
    await expect(openWeights(join(folder, "x"))).rejects.toMatchObject({ code: "checkpoint-missing" });
  });
});

describe("loadWeightsFile", () => {
  test("loads, with the options of both; the file is closed, whatever happens", async () => {
    const backend = await createCpuBackend();
    const bias = tensor([0, 0], { backend });
    const module = { stateDict: () => [["bias", bias] as const] };
    const options = { key: "state_dict", prefix: "4." } as const;
    const open = async (): Promise<number> => (await fs.readdir("/proc/self/fd").catch(() => [])).length;
    const before = await open();
    await loadWeightsFile(module, fixture("checkpoint.pt"), { ...options, skip: (name) => name === "weight" });
    const expected = (await expectedBits("checkpoint"))["4.bias"] as { hex: string };
    expect(Buffer.from(bias.dataSync().buffer).toString("hex")).toBe(expected.hex);
    await expect(loadWeightsFile(module, fixture("checkpoint.pt"), options)).rejects.toThrow('1 unexpected: "weight"');
    expect(await open()).toBe(before);
  });
});
