import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cifar10Binary } from "@striate/data";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bundledVectors, loadTrainingImages, loadVectors, VectorsNotFoundError } from "./node.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-vectors-"));
});
afterEach(() => rm(folder, { recursive: true }));

const schedules = JSON.stringify([{ schedule: "step", base_lr: 1, options: { step_size: 2 }, lr: [1, 1] }]);

describe("loadVectors", () => {
  test("reads the bundled vectors", async () => {
    const { operators, optimizers, trainings, models, unreadable } = await loadVectors(bundledVectors);
    expect(operators).toHaveLength(1536);
    expect(new Set(operators.map(({ op }) => op)).size).toBe(64);
    expect([optimizers.length, trainings.length, models.length]).toEqual([16, 10, 5]);
    expect(unreadable).toEqual([]);
  });

  test("takes a folder with parts, or a part alone", async () => {
    await mkdir(join(folder, "training"));
    await writeFile(join(folder, "training", "schedules.json"), schedules);
    await writeFile(join(folder, "README.md"), "# Vectors");
    for (const path of [folder, join(folder, "training")]) expect((await loadVectors(path)).schedules).toHaveLength(1);
  });

  test("a broken file becomes a failed case", async () => {
    await writeFile(join(folder, "schedules.json"), schedules);
    await writeFile(join(folder, "exp.safetensors"), "stub");
    const { unreadable } = await loadVectors(folder);
    expect(unreadable).toEqual([{ file: "exp.safetensors", reason: expect.stringContaining("too few") }]);
  });

  test("a folder without vectors, or none, is refused", async () => {
    await expect(loadVectors(folder)).rejects.toThrow(VectorsNotFoundError);
    await expect(loadVectors(join(folder, "missing"))).rejects.toThrow(/missing: no vectors there/);
  });
});

describe("loadTrainingImages", () => {
  test("reads a single batch file", async () => {
    const path = join(folder, "data_batch_1.bin");
    await writeFile(path, cifar10Binary(new Uint8Array(2 * 3072).fill(9), [3, 4]));
    const images = await loadTrainingImages(path);
    expect([...(images?.labels ?? [])]).toEqual([3, 4]);
    expect(images?.images.length).toBe(2 * 3072);
  });

  test("a path that has nothing is an error", async () => {
    await expect(loadTrainingImages(join(folder, "none.bin"))).rejects.toThrow(/ENOENT/);
    await expect(loadTrainingImages(folder)).rejects.toThrow(/data_batch_1/);
  });
});
