import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InputError, loadInputs } from "./inputs.js";
import type { Options } from "./options.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-inputs-"));
  await writeFile(
    join(folder, "schedules.json"),
    JSON.stringify([{ schedule: "step", base_lr: 1, options: { step_size: 2 }, lr: [1] }]),
  );
});
afterEach(() => rm(folder, { recursive: true }));

const options = (given: Partial<Options>): Options =>
  ({ backend: "cpu", in: "node", isolation: true, precision: "ieee", timeout: 60, ...given }) as Options;

describe("loadInputs", () => {
  test("vectors of one's own are run in full, the bundled trainings in part", async () => {
    const own = await loadInputs(options({ vectors: folder }));
    expect(own.vectors?.schedules).toHaveLength(1);
    expect(own).not.toHaveProperty("trainingSteps");
    expect((await loadInputs(options({ vectors: folder, trainingSteps: 3 }))).trainingSteps).toBe(3);
  });

  test.each([
    [{ vectors: "/does/not/exist" }, /no vectors there/],
    [{ knownFailures: "/does/not/exist.json" }, /ENOENT/],
  ])("refuses %j", async (given, message) => {
    await expect(loadInputs(options({ vectors: folder, ...given }))).rejects.toThrow(InputError);
    await expect(loadInputs(options({ vectors: folder, ...given }))).rejects.toThrow(message);
  });

  test("refuses known failures that are no list", async () => {
    const file = join(folder, "known.txt");
    await writeFile(file, "{}");
    await expect(loadInputs(options({ vectors: folder, knownFailures: file }))).rejects.toThrow(/expected a list/);
  });
});
