import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointError, type HostTensor } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import { ArgumentError, randomWords } from "@striate/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { noProgress } from "../callback.js";
import type { Checkpoint } from "../checkpoint.js";
import { diskSteps, systemError, watchedDisk } from "../testing/disk.js";
import { listCheckpoints, newestCheckpoint } from "./checkpoint-files.js";
import {
  createRunFolder,
  type NewRun,
  openOrCreateRunFolder,
  openRunFolder,
  type RunFolder,
  readMetrics,
} from "./run-folder.js";

let scratch: string;
let path: string;
const open: RunFolder[] = [];
beforeEach(async () => {
  scratch = await fs.mkdtemp(join(tmpdir(), "striate-run-"));
  path = join(scratch, "runs", "one");
});
afterEach(async () => {
  for (const run of open.splice(0)) await run.close().catch(() => undefined);
  await fs.rm(scratch, { recursive: true });
});

const config = { preset: "small", lr: 0.1 };
const create = async (options: Partial<NewRun> = {}): Promise<RunFolder> => {
  const run = await createRunFolder(path, { config, ...options });
  open.push(run);
  return run;
};
const reopen = async (run: RunFolder, options: Parameters<typeof openRunFolder>[1] = {}): Promise<RunFolder> => {
  await run.close();
  const again = await openRunFolder(path, options);
  open.push(again);
  return again;
};

const weight = (value: number): HostTensor => ({ dtype: "F32", shape: [2], data: Float32Array.of(value, 1) });
const at = (step: number): Checkpoint => ({
  progress: { ...noProgress, step },
  states: new Map([["net", { tensors: new Map([["w", weight(step)]]), counters: new Map(), json: {} }]]),
});
const steps = async (): Promise<number[]> => (await listCheckpoints(path)).map(({ step }) => step);
const damage = async (step: number): Promise<void> => {
  const file = join(path, `checkpoints/step-${`${step}`.padStart(8, "0")}.safetensors`);
  const bytes = await fs.readFile(file);
  (bytes[bytes.length >> 1] as number) ^= 1;
  await fs.writeFile(file, bytes);
};
const names = async (): Promise<string[]> =>
  (await readMetrics(path)).map(({ event, step }) => `${event} ${step ?? ""}`.trim());

describe("createRunFolder and openRunFolder", () => {
  test("what fails on the way leaves the folder as it was, for another try", async () => {
    await fs.mkdir(path, { recursive: true });
    await fs.writeFile(join(path, "notes.txt"), "mine");
    const files = watchedDisk((step) => {
      if (step === "sync") throw systemError("ENOSPC");
    });
    await expect(create({ files, environment: { node: "20" } })).rejects.toMatchObject({ cause: { code: "ENOSPC" } });
    expect(await fs.readdir(path)).toEqual(["notes.txt"]);
    await create();
  });

  test("a run has its configuration, environment, metrics and lock", async () => {
    const run = await create({ environment: { node: "v20" } });
    expect((await fs.readdir(path)).sort()).toEqual([
      "checkpoints",
      "config.json",
      "environment.json",
      "lock",
      "metrics.jsonl",
    ]);
    expect(JSON.parse(await fs.readFile(join(path, "environment.json"), "utf8"))).toEqual({ node: "v20" });
    const again = await reopen(run);
    expect(again.config).toEqual(config);
    expect(again.configHash).toBe(run.configHash);
    await again.close();
    expect(await fs.readdir(path)).not.toContain("lock");
  });

  test("the order of keys is no part of the configuration's hash; what identity leaves out is none either", async () => {
    const hashes: string[] = [];
    for (const [i, options] of (
      [
        { config: { a: { x: 1, y: [2, { p: 1, q: 2 }] }, b: 2 } },
        { config: { b: 2, a: { y: [2, { q: 2, p: 1 }], x: 1 } } },
        { config: { b: 2, a: { y: [2, { q: 2, p: 1 }], x: 2 } } },
        { config: { a: 1, ui: true }, identity: ({ a }) => ({ a }) },
        { config: { a: 1 } },
      ] satisfies NewRun[]
    ).entries()) {
      path = join(scratch, `${i}`);
      hashes.push((await create(options)).configHash);
    }
    const [one, same, other, part, whole] = hashes;
    expect([same, part]).toEqual([one, whole]);
    expect(other).not.toBe(one);
  });

  test("two trainers in one folder: the second is refused", async () => {
    const run = await create();
    const refused = { name: "TrainingError", code: "run-locked" };
    await expect(openRunFolder(path)).rejects.toMatchObject(refused);
    await expect(createRunFolder(path, { config })).rejects.toMatchObject(refused);
    run.event({ event: "still", step: 1 });
    expect(await names()).toEqual(["still 1"]);
  });

  test("a run is not written over", async () => {
    const run = await create();
    await run.close();
    await expect(createRunFolder(path, { config: {} })).rejects.toMatchObject({ code: "run-exists" });
    expect(JSON.parse(await fs.readFile(join(path, "config.json"), "utf8"))).toEqual(config);
    expect(await fs.readdir(path)).not.toContain("lock");
  });

  test("what was not finished is swept away", async () => {
    const run = await create();
    const left = [join(path, `.${"0".repeat(36)}.unsaved`), join(path, "checkpoints", `.${"a".repeat(36)}.unsaved`)];
    for (const file of left) await fs.writeFile(file, "half");
    await fs.appendFile(join(path, "metrics.jsonl"), '{"event":"st');
    await reopen(run);
    for (const file of left) await expect(fs.access(file)).rejects.toThrow();
    expect(await fs.readFile(join(path, "metrics.jsonl"), "utf8")).toBe("");
  });

  test("no run folder", async () => {
    for (const missing of [path, join(scratch, "none", "of", "these")])
      await expect(openRunFolder(missing)).rejects.toMatchObject({ code: "run-missing" });
    expect(await fs.readdir(scratch)).toEqual([]);
  });

  test.each(["", "{", "[]", "3"])("a configuration that is none (%j)", async (text) => {
    const run = await create();
    await fs.writeFile(join(path, "config.json"), text);
    await run.close();
    await expect(openRunFolder(path)).rejects.toMatchObject({ code: "run-corrupt" });
    expect(await fs.readdir(path)).not.toContain("lock");
  });

  test("a folder that cannot be made", async () => {
    await fs.writeFile(join(scratch, "runs"), "a file");
    await expect(create()).rejects.toMatchObject({ code: "run-write", cause: { code: "ENOTDIR" } });
  });

  test.each([1, 0, 2.5, Number.NaN])("to keep %d checkpoints is refused", async (keep) => {
    await expect(create({ keep })).rejects.toThrow(ArgumentError);
    expect(await fs.readdir(scratch)).toEqual([]);
  });
});

describe("openOrCreateRunFolder", () => {
  test("makes a run, and opens it the next time", async () => {
    // As a process leaves it that was killed while it made the folder.
    await fs.mkdir(join(path, "checkpoints"), { recursive: true });
    const run = await openOrCreateRunFolder(path, { config });
    await run.save(at(1));
    await run.close();
    const again = await openOrCreateRunFolder(path, { config: { lr: 0.1, preset: "small" } });
    open.push(again);
    expect((await again.rewind())?.progress.step).toBe(1);
  });

  test("refuses another configuration, but for what is no part of its identity", async () => {
    const identity = ({ preset }: Readonly<Record<string, unknown>>) => ({ preset });
    await (await openOrCreateRunFolder(path, { config, identity })).close();
    const other = { config: { ...config, preset: "large" }, identity };
    await expect(openOrCreateRunFolder(path, other)).rejects.toMatchObject({ code: "run-config" });
    await (await openOrCreateRunFolder(path, { config: { ...config, lr: 3 }, identity })).close();
    expect(await fs.readdir(path)).not.toContain("lock");
  });
});

describe("metrics", () => {
  test("have times that go on over resumes", async () => {
    let clock = 5000;
    const now = () => clock;
    const heard: unknown[] = [];
    const run = await create({ now, onEvent: (event) => heard.push(event) });
    clock += 1500;
    run.event({ event: "step", loss: Number.NaN });
    clock = 9;
    const again = await reopen(run, { now });
    clock += 250;
    again.event({ event: "step", loss: 2 });
    expect(await readMetrics(path)).toEqual([
      { event: "step", time: 1.5, loss: null },
      { event: "step", time: 1.75, loss: 2 },
    ]);
    expect(again.events()).toEqual(await readMetrics(path));
    expect(heard).toEqual([{ event: "step", time: 1.5, loss: Number.NaN }]);
  });

  test("of a run that is none", async () => {
    expect(await readMetrics(path)).toEqual([]);
    await fs.mkdir(join(path, "metrics.jsonl"), { recursive: true });
    await expect(readMetrics(path)).rejects.toMatchObject({ code: "run-missing" });
  });
});

describe("checkpoints", () => {
  test("the last ones are kept, by step, and the best", async () => {
    const run = await create({ keep: 3 });
    for (const step of [9, 10, 11, 99, 100, 1000]) await run.save(at(step), { best: step === 10 });
    expect(await steps()).toEqual([1000, 100, 99, 10]);
    expect((await run.best())?.progress.step).toBe(10);
    await run.save(at(1001), { best: true });
    expect(await steps()).toEqual([1001, 1000, 100]);
  });

  test("never fewer than two, without being asked", async () => {
    const run = await create();
    for (const step of [1, 2, 3]) await run.save(at(step));
    expect(await steps()).toEqual([3, 2]);
    expect(await run.best()).toBeUndefined();
  });

  test("which is the best is known after a restart", async () => {
    const run = await create();
    for (const step of [1, 2, 3, 4]) await run.save(at(step), { best: step === 2 });
    const again = await reopen(run);
    await again.rewind();
    expect((await again.best())?.progress.step).toBe(2);
    await again.save(at(5));
    expect(await steps()).toEqual([5, 4, 2]);
  });

  test("to go back drops what lies behind, and says so in the metrics", async () => {
    const run = await create({ keep: 9 });
    for (const step of [1, 2, 3]) {
      run.event({ event: "step", step });
      await run.save(at(step));
    }
    run.event({ event: "step", step: 4 });
    expect((await run.rewind({ step: 2 }))?.progress.step).toBe(2);
    expect(await steps()).toEqual([2, 1]);
    expect(await names()).toEqual(["step 1", "checkpoint 1", "step 2", "checkpoint 2", "resume 2"]);
    // The same again: the line of the first resume is behind the checkpoint.
    await run.rewind();
    expect(await names()).toEqual(["step 1", "checkpoint 1", "step 2", "checkpoint 2", "resume 2"]);
  });

  test("without any, everything is dropped", async () => {
    const run = await create();
    run.event({ event: "step", step: 0 });
    expect(await run.rewind()).toBeUndefined();
    expect(await names()).toEqual([]);
  });

  test("damaged ones are passed over, and said so", async () => {
    const run = await create({ keep: 9 });
    for (const step of [1, 2, 3, 4]) await run.save(at(step));
    await damage(3);
    await fs.writeFile(join(path, "checkpoints/step-00000004.safetensors"), "");
    const skipped: string[] = [];
    const again = await reopen(run, { onSkipped: (file, error) => skipped.push(`${file}: ${error.code}`) });
    expect((await again.rewind())?.progress.step).toBe(2);
    expect(skipped).toEqual([
      "checkpoints/step-00000004.safetensors: checkpoint-corrupt",
      "checkpoints/step-00000003.safetensors: checkpoint-corrupt",
    ]);
    expect(await steps()).toEqual([2, 1]);
  });

  const damages = process.env["STRIATE_FULL"] === "1" ? 1000 : 200;
  test(`${damages} times the newest is damaged or cut: the one before it is used, and it is said`, async () => {
    const run = await create();
    for (const step of [1, 2]) await run.save(at(step));
    const file = join(path, "checkpoints/step-00000002.safetensors");
    const whole = await fs.readFile(file);
    const words = randomWords(1, 1, 1, damages);
    const skipped: string[] = [];
    for (const [i, word] of words.entries()) {
      const bytes = Buffer.from(whole);
      (bytes[word % whole.length] as number) ^= 1 << (i & 7);
      await fs.writeFile(file, i % 2 === 0 ? bytes : whole.subarray(0, word % whole.length));
      const found = await newestCheckpoint(path, { onSkipped: (name) => skipped.push(name) });
      expect(found?.step, `${i}: ${word % whole.length}`).toBe(1);
    }
    expect(skipped).toHaveLength(damages);
    await fs.writeFile(file, whole);
    expect((await newestCheckpoint(path))?.step).toBe(2);
  });

  test("the best one that is gone or damaged is none, and it is said", async () => {
    const skipped: string[] = [];
    const run = await create({ onSkipped: (file, error) => skipped.push(`${file} ${error.code}`) });
    for (const step of [1, 2, 3]) await run.save(at(step), { best: step === 1 });
    await damage(1);
    expect(await run.best()).toBeUndefined();
    await fs.rm(join(path, "checkpoints/step-00000001.safetensors"));
    expect(await run.best()).toBeUndefined();
    expect(skipped).toEqual([
      "checkpoints/step-00000001.safetensors checkpoint-corrupt",
      "checkpoints/step-00000001.safetensors checkpoint-missing",
    ]);
  });

  test("one whose metrics are gone is passed over", async () => {
    const run = await create();
    await run.save(at(1));
    const { size } = await fs.stat(join(path, "metrics.jsonl"));
    await run.save(at(2));
    await fs.truncate(join(path, "metrics.jsonl"), size);
    const skipped: string[] = [];
    const again = await reopen(run, { onSkipped: (file) => skipped.push(file) });
    expect((await again.rewind())?.progress.step).toBe(1);
    expect(skipped).toEqual(["checkpoints/step-00000002.safetensors"]);
  });

  test("when none can be read, nothing is removed", async () => {
    const run = await create();
    for (const step of [1, 2]) await run.save(at(step));
    for (const step of [1, 2]) await damage(step);
    await expect(run.rewind()).rejects.toMatchObject({ code: "checkpoint-corrupt" });
    expect(await steps()).toEqual([2, 1]);
    expect(await names()).toEqual(["checkpoint 1", "checkpoint 2"]);
  });

  test("one of a step that is not there", async () => {
    const run = await create();
    await run.save(at(1));
    await expect(run.rewind({ step: 7 })).rejects.toMatchObject({
      code: "run-missing",
      message: expect.stringContaining("no checkpoint of step 7; it has 1"),
    });
  });

  test("one of another configuration is refused, unless it is asked for", async () => {
    const run = await create();
    await run.save(at(1));
    await run.writeJson("config.json", { ...config, lr: 0.2 });
    const again = await reopen(run);
    await expect(again.rewind()).rejects.toMatchObject({ code: "run-config" });
    expect(await steps()).toEqual([1]);
    expect((await again.rewind({ force: true }))?.progress.step).toBe(1);
  });

  test("other files among them are left alone", async () => {
    const run = await create();
    const other = join(path, "checkpoints", "step-1.safetensors");
    await fs.writeFile(other, "mine");
    for (const step of [1, 2, 3]) await run.save(at(step));
    expect(await steps()).toEqual([3, 2]);
    expect(await fs.readFile(other, "utf8")).toBe("mine");
  });

  test("can be read without the lock", async () => {
    const run = await create();
    expect(await newestCheckpoint(path)).toBeUndefined();
    await run.save(at(1));
    expect((await newestCheckpoint(path))?.checkpoint.states).toEqual(at(1).states);
  });
});

describe("a save that fails", () => {
  test.each(diskSteps.flatMap((step) => ["ENOSPC", "EIO", "EFBIG", "EACCES"].map((code) => [step, code] as const)))(
    "%s fails with %s: a typed error, the checkpoints before intact, metrics that agree",
    async (step, code) => {
      let armed = false;
      const run = await create({
        files: watchedDisk((now) => {
          if (armed && now === step) throw systemError(code);
        }),
      });
      for (const made of [1, 2]) await run.save(at(made), { best: made === 1 });
      const contents = async (file: string) => [file, await fs.readFile(join(path, file))] as const;
      const before = await Promise.all((await listCheckpoints(path)).map(({ file }) => contents(file)));
      armed = true;
      await expect(run.save(at(3), { best: true })).rejects.toMatchObject({
        name: "CheckpointError",
        code: "checkpoint-write",
        cause: { code },
      });
      // Once it is renamed the new one is there, whole, and its line with it.
      const there = step.endsWith("folder") ? [3] : [];
      expect(await steps()).toEqual([...there, 2, 1]);
      expect(await fs.readdir(join(path, "checkpoints"))).toHaveLength(2 + there.length);
      const after = await Promise.all(before.map(([file]) => contents(file)));
      expect(after).toEqual(before);
      expect(await names()).toEqual(["checkpoint 1", "checkpoint 2", ...there.map((made) => `checkpoint ${made}`)]);
      armed = false;
      expect((await run.best())?.progress.step).toBe(there[0] ?? 1);
      await run.save(at(4));
      expect(await steps()).toEqual(there.length > 0 ? [4, 3] : [4, 2, 1]);
      expect((await run.rewind())?.progress.step).toBe(4);
    },
  );

  test("to save a step again and fail leaves the one that was there", async () => {
    let armed = false;
    const run = await create({
      files: watchedDisk((step) => {
        if (armed && step === "write") throw systemError("ENOSPC");
      }),
    });
    for (const made of [1, 2]) await run.save(at(made));
    armed = true;
    await expect(run.save(at(2))).rejects.toMatchObject({ cause: { code: "ENOSPC" } });
    expect((await run.rewind())?.progress.step).toBe(2);
  });

  test("what cannot be encoded is refused before the disk is touched", async () => {
    const run = await create();
    await expect(run.save({ ...at(1), about: { x: Number.NaN } })).rejects.toThrow(ArgumentError);
    expect([await steps(), await names()]).toEqual([[], []]);
  });
});

describe("other files", () => {
  test("weights and texts are replaced whole", async () => {
    let failing = false;
    const run = await create({
      files: watchedDisk((step) => {
        if (failing && step === "sync") throw systemError("ENOSPC");
      }),
    });
    await run.saveWeights([["w", weight(3)]], { steps: "3" });
    await run.writeText("report.html", "<p>");
    failing = true;
    await expect(run.saveWeights([["w", weight(4)]])).rejects.toThrow(CheckpointError);
    await expect(run.writeText("report.html", "<q>")).rejects.toThrow(CheckpointError);
    const { tensors, metadata } = await loadSafetensors(join(path, "weights.safetensors"));
    expect([tensors.get("w"), metadata.get("steps")]).toEqual([weight(3), "3"]);
    expect(await fs.readFile(join(path, "report.html"), "utf8")).toBe("<p>");
  });
});
