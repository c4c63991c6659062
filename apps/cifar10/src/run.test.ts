import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BackendChoiceError } from "@striate/backends";
import { weightsSha256 } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import { DataError } from "@striate/data";
import { afterAll, describe, expect, test } from "vitest";
import { type Options, UsageError } from "./options.js";
import { OutputError } from "./output.js";
import type { Event, Progress, Reporter } from "./reporter.js";
import { run } from "./run.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-run-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Keeps what it is told; `onEvent` and `onProgress` may act on it. */
const recorder = ({
  onEvent = () => {},
  onProgress = () => {},
}: {
  onEvent?: (event: Event) => void;
  onProgress?: (progress: Progress) => void;
} = {}) => {
  const events: Event[] = [];
  const texts: string[] = [];
  const notices: string[] = [];
  const plain = String;
  const reporter: Reporter = {
    event: (event, text) => {
      events.push(event);
      texts.push(text({ bold: plain, dim: plain }));
      onEvent(event);
    },
    notice: (text) => void notices.push(text),
    progress: onProgress,
  };
  return { events, texts, notices, reporter };
};

/** Four steps, on generated images. */
const quick: Options = {
  preset: "lenet5",
  backend: "cpu",
  epochs: 4 / 256,
  batchSize: 8,
  views: undefined,
  seed: 0,
  data: undefined,
  offline: true,
  synthetic: true,
  out: scratch,
  json: true,
};

const never = new AbortController().signal;

let folders = 0;
const newFolder = (): string => join(scratch, `run${folders++}`);

const train = async (options: Partial<Options> = {}) => {
  const out = newFolder();
  const { events, texts, notices, reporter } = recorder();
  const ended = await run({ ...quick, out, ...options }, reporter, never);
  return { ended, events, texts, notices, out, last: events.at(-1) as Event };
};

describe("a run", () => {
  test("tells its start, every epoch and its end", async () => {
    const { ended, events, texts } = await train({ seed: 7 });
    expect(ended).toBe("finished");
    expect(events.map(({ event }) => event)).toEqual(["start", "epoch", "end"]);
    const [start, epoch, end] = events as [Event, Event, Event];
    const common = { preset: "lenet5", backend: "cpu", seed: 7, batchSize: 8, data: "synthetic/train" };
    expect(start).toMatchObject({ ...common, epochs: 4 / 256 });
    expect(epoch).toMatchObject({ epoch: 1, steps: 4 });
    expect(end).toMatchObject({
      ...common,
      epochs: 4 / 256,
      steps: 4,
      views: 1,
      testImages: 512,
      trainLoss: epoch["trainLoss"],
      testLoss: expect.any(Number),
      weightsSha256: expect.stringMatching(/^[\da-f]{64}$/),
    });
    expect(end["testAccuracy"]).toBeGreaterThanOrEqual(0);
    expect(end["testAccuracy"]).toBeLessThanOrEqual(1);
    expect(end["imagesPerSecond"]).toBeCloseTo(32 / (end["trainSeconds"] as number), 6);
    expect(texts.at(-1)).toMatch(
      /^test accuracy \d+\.\d % on 512 images; trained in 0:\d\d \(\d+ images\/s\)\nweights: /,
    );
  });

  test("saves the weights that it names, and nothing else", async () => {
    const { last, out } = await train();
    const file = join(out, "lenet5-cpu-seed0.safetensors");
    expect(last["weights"]).toBe(file);
    expect(readdirSync(out)).toEqual(["lenet5-cpu-seed0.safetensors"]);
    const { tensors, metadata } = await loadSafetensors(file);
    expect(await weightsSha256(tensors)).toBe(last["weightsSha256"]);
    expect(Object.fromEntries(metadata)).toMatchObject({ preset: "lenet5", seed: "0", steps: "4" });
  });

  test("is the same for the same seed, and another for another", async () => {
    const hash = async (seed: number): Promise<unknown> => (await train({ seed })).last["weightsSha256"];
    expect(await hash(1)).toBe(await hash(1));
    expect(await hash(1)).not.toBe(await hash(2));
  });

  test.each(["ann", "fast70"] as const)("trains %s", async (preset) => {
    const { last } = await train({ preset, epochs: 2 / 256 });
    expect(last).toMatchObject({ event: "end", preset, steps: 2 });
  });

  test("shows every phase on the progress line, up to its end", async () => {
    const phases = new Map<string, Progress[]>();
    const { reporter } = recorder({
      onProgress: (progress) => phases.set(progress.phase, [...(phases.get(progress.phase) ?? []), progress]),
    });
    await run({ ...quick, out: newFolder() }, reporter, never);
    expect([...phases.keys()]).toEqual(["training", "testing"]);
    expect(phases.get("training")?.map(({ done, total }) => `${done}/${total}`)).toEqual([
      "0/4",
      "1/4",
      "2/4",
      "3/4",
      "4/4",
    ]);
    expect(phases.get("testing")?.at(-1)).toMatchObject({ done: 512, total: 512 });
  });

  test("says which backend auto is, unless a program listens", async () => {
    expect((await train({ backend: "auto", json: false })).notices.join()).toMatch(
      /backend wasm: \d+ threads?; wasm is the fastest/,
    );
    expect((await train({ backend: "auto" })).notices).toEqual([]);
  });
});

describe("stopped", () => {
  /** Ends the run as soon as `when` is true of an event or of progress. */
  const stopWhen = async (when: (told: Event | Progress) => boolean, epochs: number, out = newFolder()) => {
    const abort = new AbortController();
    const look = (told: Event | Progress): void => {
      if (when(told)) abort.abort(new Error("stop"));
    };
    const { events, texts, reporter } = recorder({ onEvent: look, onProgress: look });
    const ended = await run({ ...quick, epochs, out }, reporter, abort.signal);
    return { ended, last: events.at(-1) as Event, text: texts.at(-1), out };
  };
  const within = (phase: string) => (told: Event | Progress) =>
    told["phase" as keyof typeof told] === phase && Number(told["done" as keyof typeof told]) > 2;

  test("while training, it saves beside the weights of a finished run", async () => {
    const { out } = await train();
    const finished = readFileSync(join(out, "lenet5-cpu-seed0.safetensors"));
    const { ended, last, text } = await stopWhen(within("training"), 1, out);
    expect(ended).toBe("interrupted");
    const file = join(out, "lenet5-cpu-seed0-interrupted.safetensors");
    // Reports come a step late.
    expect(last).toMatchObject({ event: "interrupted", steps: 4, weights: file });
    expect(last).not.toHaveProperty("testAccuracy");
    expect(text).toContain("stopped after 4 of 256 steps");
    expect(await weightsSha256((await loadSafetensors(file)).tensors)).toBe(last["weightsSha256"]);
    expect(readFileSync(join(out, "lenet5-cpu-seed0.safetensors"))).toEqual(finished);
  });

  test("before the first step, it saves nothing", async () => {
    const { ended, last, out } = await stopWhen((told) => "event" in told && told.event === "start", 1);
    expect(ended).toBe("interrupted");
    expect(last).toMatchObject({ event: "interrupted", steps: 0 });
    expect(last).not.toHaveProperty("weights");
    expect(readdirSync(out)).toEqual([]);
  });

  test("while testing, all of training is saved", async () => {
    const { ended, last, out } = await stopWhen(within("testing"), 3 / 256);
    expect(ended).toBe("interrupted");
    expect(last).toMatchObject({
      event: "interrupted",
      steps: 3,
      weights: join(out, "lenet5-cpu-seed0.safetensors"),
    });
    expect(last).not.toHaveProperty("testAccuracy");
    expect(existsSync(last["weights"] as string)).toBe(true);
  });

  test("before there is data, it says so", async () => {
    const { events, reporter } = recorder();
    const options = { ...quick, synthetic: false, out: newFolder() };
    expect(await run(options, reporter, AbortSignal.abort(new Error("stop")))).toBe("interrupted");
    expect(events).toEqual([{ event: "interrupted" }]);
  });
});

describe("refuses, before any training,", () => {
  test.each([
    ["a batch larger than the data", { batchSize: 4096 }, UsageError, "--batch-size 4096 is more than the 2048"],
    ["less than a step", { epochs: 0.001 }, UsageError, "--epochs 0.001 is less than one step of 8 images"],
    ["a backend that is not there", { backend: "cuda" }, BackendChoiceError, "cuda"],
    ["a folder without data", { synthetic: false, data: scratch }, DataError, "data_batch_1.bin"],
  ] as const)("%s", async (_, options, type, message) => {
    await expect(train(options)).rejects.toThrow(type);
    await expect(train(options)).rejects.toThrow(message);
  });

  test("truncated data", async () => {
    const data = newFolder();
    mkdirSync(data);
    writeFileSync(join(data, "data_batch_1.bin"), new Uint8Array(3073));
    const out = newFolder();
    const training = train({ synthetic: false, data, out });
    await expect(training).rejects.toThrow(/data_batch_1\.bin has 3073 bytes, expected 30730000/);
    expect(readdirSync(out)).toEqual([]);
  });

  test("an output folder that is a file, and weights that are a folder", async () => {
    const file = newFolder();
    writeFileSync(file, "");
    await expect(train({ out: file })).rejects.toThrow(OutputError);
    const out = newFolder();
    mkdirSync(join(out, "lenet5-cpu-seed0.safetensors"), { recursive: true });
    await expect(train({ out })).rejects.toThrow(OutputError);
  });
});
