import lines from "node:fs";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCpuBackend } from "@striate/backend-cpu";
import { tensorsToHost, weightsSha256 } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import { ArgumentError, type Backend, BackendLostError } from "@striate/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Control, StepReport } from "../callback.js";
import type { RunEvent } from "../metrics.js";
import { systemError, watchedDisk } from "../testing/disk.js";
import { openSmallRun, totalSteps } from "../testing/small-run.js";
import { listCheckpoints, newestCheckpoint } from "./checkpoint-files.js";
import { createRunFolder, openRunFolder, type RunOptions, readMetrics } from "./run-folder.js";
import { type RunResult, type RunTest, type TrainRunOptions, trainRun } from "./train-run.js";

let scratch: string;
beforeEach(async () => {
  scratch = await fs.mkdtemp(join(tmpdir(), "striate-train-run-"));
});
afterEach(() => fs.rm(scratch, { recursive: true }));

const full = process.env["STRIATE_FULL"] === "1";
const times = {
  checkpoint: { everySteps: 3 },
  validation: { everyEpochs: 1, everySteps: 5 },
  select: "best",
} as const;

/** Trains in a folder, which need not be there. */
const train = async (
  name: string,
  { backend, signal, ...options }: Partial<TrainRunOptions> & { backend?: Backend; signal?: AbortSignal } = {},
  runOptions: RunOptions = {},
): Promise<RunResult> => {
  const path = join(scratch, name);
  const there = await fs.readdir(path).catch((): string[] => []);
  const run = there.includes("config.json")
    ? await openRunFolder(path, runOptions)
    : await createRunFolder(path, { config: { net: "small" }, ...runOptions });
  try {
    const on = backend ?? (await createCpuBackend());
    return await trainRun(run, { open: () => openSmallRun(on, { signal }), ...times, ...options });
  } finally {
    await run.close();
  }
};

const comparable = (events: readonly RunEvent[]): object[] =>
  events.map(({ time: _, seconds: __, imagesPerSecond: ___, ...rest }) => rest);
const metrics = async (name: string): Promise<object[]> => comparable(await readMetrics(join(scratch, name)));

describe("trainRun", () => {
  test("leaves a whole run", async () => {
    const result = await train("one", { about: { seed: 1 } });
    expect(result).toMatchObject({ ended: "finished", steps: totalSteps, epochs: 4, images: 3 * 30 + 16 });
    const path = join(scratch, "one");
    const { tensors, metadata } = await loadSafetensors(join(path, "weights.safetensors"));
    expect(await weightsSha256(tensors)).toBe(result.weightsSha256);
    expect(metadata.get("sha256")).toBe(result.weightsSha256);
    const events = await readMetrics(path);
    expect(events[0]).toMatchObject({ event: "start", seed: 1 });
    expect(events.at(-1)).toMatchObject({ event: "end", ended: "finished", steps: totalSteps });
    const count = (name: string): number => events.filter(({ event }) => event === name).length;
    const made = events.filter(({ event }) => event === "step").map(({ step }) => step);
    expect(made).toEqual(Array.from({ length: totalSteps }, (_, i) => i + 1));
    expect([count("step"), count("epoch"), count("resume"), count("test")]).toEqual([totalSteps, 4, 0, 2]);
    expect(events.filter(({ event }) => event === "validation").map(({ step }) => step)).toEqual([4, 5, 8, 10, 12, 14]);
    const saved = events.filter(({ event }) => event === "checkpoint");
    expect(saved.map(({ step }) => step)).toEqual(expect.arrayContaining([0, 3, 6, 9, 12, 14]));
    expect(result.checkpoint).toBe(saved.at(-1)?.["file"]);
    expect(saved.filter(({ best }) => best).at(-1)?.["step"]).toBe(result.best?.step);
    const summary = JSON.parse(await fs.readFile(join(path, "summary.json"), "utf8"));
    expect(summary).toMatchObject({ steps: totalSteps, best: result.best, weightsSha256: result.weightsSha256 });
    const tests = events.filter(({ event }) => event === "test");
    expect(tests).toMatchObject([summary.tests.last, summary.tests.best]);
    expect((await listCheckpoints(path)).map(({ step }) => step)).toEqual([14, 12, result.best?.step]);
    result.training.dispose?.();
  });

  test("interrupted anywhere and trained again, ends as if it had not been", async () => {
    const whole = await train("whole");
    const expected = (await metrics("whole")) as RunEvent[];
    const important = (events: readonly object[]): object[] =>
      (events as RunEvent[]).filter(({ event }) => event !== "checkpoint" && event !== "resume");
    const all = Array.from({ length: totalSteps }, (_, i) => i);
    // Within an epoch, at its end, with a validation, at the end of all.
    for (const last of full ? all : [1, 3, 4, 13]) {
      const name = `interrupted-${last}`;
      const controller = new AbortController();
      const backend = await createCpuBackend();
      const first = await train(name, {
        open: async () => {
          const training = await openSmallRun(backend, { signal: controller.signal });
          const stop = { afterStep: ({ step }: { step: number }) => void (step === last && controller.abort()) };
          return { ...training, callbacks: [...(training.callbacks ?? []), stop] };
        },
      });
      if (last + 1 < totalSteps) {
        expect(first).toMatchObject({ ended: "aborted", steps: last + 1, weightsSha256: undefined });
        expect((await newestCheckpoint(join(scratch, name)))?.step).toBe(last + 1);
        expect((await metrics(name)).at(-1)).toMatchObject({ event: "end", ended: "aborted" });
      }
      const second = await train(name);
      expect(second.weightsSha256, `after step ${last}`).toBe(whole.weightsSha256);
      expect(important(await metrics(name)), `after step ${last}`).toEqual(important(expected));
      for (const { training } of [first, second]) training.dispose?.();
    }
  });

  test("goes on from an earlier checkpoint if it is asked to", async () => {
    const whole = await train("one", {}, { keep: 20 });
    const again = await train("one", { from: 6 }, { keep: 20 });
    expect(again.weightsSha256).toBe(whole.weightsSha256);
    const events = await readMetrics(join(scratch, "one"));
    expect(events.filter(({ event }) => event === "resume").map(({ step }) => step)).toEqual([6]);
    expect(events.filter(({ event }) => event === "step")).toHaveLength(totalSteps);
  });

  test("trained again when it has ended, it is tested again, and nothing else", async () => {
    const whole = await train("one");
    const before = await metrics("one");
    const again = await train("one");
    expect(again).toMatchObject({ steps: totalSteps, loss: whole.loss, weightsSha256: whole.weightsSha256 });
    const after = (await metrics("one")) as RunEvent[];
    expect(after.filter(({ event }) => event !== "resume")).toEqual(before);
  });

  test("a lost backend is recovered from, from the checkpoint on the disk", async () => {
    const whole = await train("whole");
    let left = 150;
    const fragile = async (): Promise<Backend> => {
      const cpu = await createCpuBackend();
      let lose: (info: { reason: "unknown"; message: string }) => void = () => {};
      return {
        ...cpu,
        lost: new Promise((resolve) => {
          lose = resolve;
        }),
        read: async (source) => {
          if (left-- !== 0) return cpu.read(source);
          lose({ reason: "unknown", message: "gone" });
          throw new Error("a mapping failed");
        },
      };
    };
    const losses: number[] = [];
    const result = await train("lost", {
      open: async () => openSmallRun(await fragile()),
      onLoss: (error, step) => {
        expect(error).toBeInstanceOf(BackendLostError);
        losses.push(step);
      },
    });
    expect(losses).toHaveLength(1);
    expect(losses[0]).toBeGreaterThan(0);
    expect(result.weightsSha256).toBe(whole.weightsSha256);
    const withoutResume = ((await metrics("lost")) as RunEvent[]).filter(({ event }) => event !== "resume");
    expect(withoutResume).toEqual(await metrics("whole"));
  });

  test("a disk that runs full ends it with a typed error; with room again it goes on", async () => {
    const whole = await train("whole");
    let saves = 0;
    const full = watchedDisk((step) => {
      // Configuration, step 0, step 3; then no more.
      if (step === "open") saves++;
      if (step === "write" && saves > 3) throw systemError("ENOSPC");
    });
    await expect(train("full", {}, { files: full })).rejects.toMatchObject({
      code: "checkpoint-write",
      cause: { code: "ENOSPC" },
    });
    expect((await listCheckpoints(join(scratch, "full"))).map(({ step }) => step)).toEqual([3, 0]);
    expect((await train("full")).weightsSha256).toBe(whole.weightsSha256);
  });

  test.each([3, 7, 20])(
    "metrics that cannot be written (line %i) end it with a typed error, and it can go on",
    async (line) => {
      const whole = await train("whole");
      let written = 0;
      const lineFiles = {
        ...lines,
        writeSync: ((descriptor: number, bytes: Uint8Array, at: number) => {
          if (++written >= line) throw systemError("EIO");
          return lines.writeSync(descriptor, bytes, at);
        }) as typeof lines.writeSync,
      };
      await expect(train("broken", {}, { lineFiles })).rejects.toMatchObject({
        code: "run-write",
        cause: { code: "EIO" },
      });
      expect(await metrics("broken")).toHaveLength(line - 1);
      expect((await train("broken")).weightsSha256).toBe(whole.weightsSha256);
      const withoutResume = ((await metrics("broken")) as RunEvent[]).filter(({ event }) => event !== "resume");
      expect(withoutResume).toEqual(await metrics("whole"));
    },
  );

  test("by itself it comes to the weights of the last step, and tests no others", async () => {
    const asked: RunTest[] = [];
    const started: number[] = [];
    const { best, tests, training } = await train("last", {
      select: "last",
      about: ({ epochs }) => ({ epochs }),
      onStart: () => void started.push(1),
      open: async ({ step }) => {
        started.push(step ?? -1);
        const small = await openSmallRun(await createCpuBackend());
        const test = async (about: RunTest) => {
          asked.push(about);
          return { accuracy: 1 };
        };
        return { ...small, test };
      },
      summary: (result) => ({ found: result.tests, steps: result.steps }),
    });
    expect(best?.step).toBeLessThan(totalSteps);
    expect([asked, tests]).toEqual([[{ which: "last", step: totalSteps, selected: true }], { last: { accuracy: 1 } }]);
    expect(started).toEqual([-1, 1]);
    expect((await metrics("last"))[0]).toMatchObject({ event: "start", epochs: training.epochs });
    const summary = JSON.parse(await fs.readFile(join(scratch, "last", "summary.json"), "utf8"));
    expect(summary).toEqual({ found: tests, steps: totalSteps });
  });

  test("the best weights are saved and tested as they were judged", async () => {
    const { best, training, weightsSha256: sha256 } = await train("one");
    const judged = await training.validate?.({ epoch: 0, step: 0, epochEnd: false, interrupted: false });
    expect(best).toMatchObject({ loss: judged?.loss, accuracy: judged?.accuracy });
    const { tensors } = await loadSafetensors(join(scratch, "one", "weights.safetensors"));
    expect(await weightsSha256(await tensorsToHost(training.net.stateDict()))).toBe(sha256);
    expect(await weightsSha256(tensors)).toBe(sha256);
    const tests = ((await metrics("one")) as RunEvent[]).filter(({ event }) => event === "test");
    expect(tests.map(({ which }) => which)).toEqual(["last", "best"]);
    // The same images.
    expect(tests[1]).toMatchObject({ loss: best?.loss, accuracy: best?.accuracy });
  });

  test("stopped anywhere, it is validated behind its last step", async () => {
    const backend = await createCpuBackend();
    const stop = {
      onStep: ({ step }: StepReport, control: Control) => (step === 1 ? control.stop("enough") : undefined),
    };
    const { best, steps } = await train("stopped", {
      validation: {},
      open: async () => ({ ...(await openSmallRun(backend)), callbacks: [stop] }),
    });
    expect(steps % 4).not.toBe(0);
    expect(best?.step).toBe(steps);
  });

  test("interrupted while testing, it has all but the test, which is made when it is trained again", async () => {
    const whole = await train("whole");
    const controller = new AbortController();
    const interrupted = await train("testing", {
      open: async () => ({
        ...(await openSmallRun(await createCpuBackend(), { signal: controller.signal })),
        test: async () => {
          controller.abort();
          throw controller.signal.reason;
        },
      }),
    });
    expect(interrupted).toMatchObject({ ended: "aborted", interrupted: "testing", steps: totalSteps, tests: {} });
    expect((await metrics("testing")).at(-1)).toMatchObject({ event: "end", ended: "aborted" });
    expect(await fs.readdir(join(scratch, "testing"))).not.toContain("summary.json");
    const again = await train("testing");
    expect([again.tests, again.weightsSha256]).toEqual([whole.tests, whole.weightsSha256]);
  });

  test("a hook that throws ends it; the metrics say so, and the training is freed", async () => {
    let disposed = 0;
    const open = async () => ({
      ...(await openSmallRun(await createCpuBackend())),
      test: async () => {
        throw new RangeError("no test images");
      },
      dispose: () => void disposed++,
    });
    await expect(train("failed", { open })).rejects.toThrow(RangeError);
    const ended = async () => (await readMetrics(join(scratch, "failed"))).at(-1);
    const end = await ended();
    expect(end).toMatchObject({ event: "end", ended: "failed", reason: "no test images" });
    expect(end?.["seconds"]).toBeGreaterThan(0);
    // Of the training before, where none is made.
    await expect(train("failed", { open })).rejects.toThrow(RangeError);
    expect((await ended())?.["seconds"]).toBeGreaterThan(0);
    await expect(
      train("about", {
        open,
        about: () => {
          throw new RangeError("nothing is known");
        },
      }),
    ).rejects.toThrow("nothing is known");
    expect(disposed).toBe(3);
  });

  test("another selection is refused", async () => {
    await expect(train("one", { select: "first" as "last" })).rejects.toThrow(
      'trainRun: select is "first", expected "last" or "best"',
    );
  });

  test("an extra that has the name of its own is refused", async () => {
    const backend = await createCpuBackend();
    const open = async () => {
      const training = await openSmallRun(backend);
      return { ...training, extras: { run: training.extras?.["lookahead"] as never } };
    };
    await expect(train("one", { open })).rejects.toThrow(ArgumentError);
    await expect(train("one", { checkpoint: { everySteps: 0 } })).rejects.toThrow(
      "trainRun: checkpoint: everySteps is 0",
    );
  });

  test("without validation and test", async () => {
    const backend = await createCpuBackend();
    const { training, ...result } = await train("bare", {
      open: async () => {
        const {
          validate: _,
          test: __,
          finish: ___,
          callbacks: ____,
          extras: _____,
          ...bare
        } = await openSmallRun(backend);
        return bare;
      },
      checkpoint: {},
    });
    expect(result).toMatchObject({ ended: "finished", best: null });
    const names = new Set((await readMetrics(join(scratch, "bare"))).map(({ event }) => event));
    expect([...names]).toEqual(["start", "checkpoint", "step", "epoch", "end"]);
    expect((await listCheckpoints(join(scratch, "bare"))).map(({ step }) => step)).toEqual([14, 12]);
  });
});
