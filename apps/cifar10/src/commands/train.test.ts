import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { weightsSha256 } from "@striate/checkpoint";
import { loadSafetensors } from "@striate/checkpoint/node";
import { afterAll, describe, expect, test } from "vitest";
import type { Event, Progress } from "../reporter.js";
import { readEnvironment } from "../runs.js";
import { type RunOptions, runCommand } from "../testing/command.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-train-"));
afterAll(() => rmSync(scratch, { recursive: true }));

let folders = 0;
const newFolder = (): string => join(scratch, `run${folders++}`);

/** Four steps of LeNet-5, on generated images. */
const quick = ["--preset", "lenet5", "--backend", "cpu", "--epochs", `${4 / 256}`, "--batch-size", "8", "--synthetic"];

/** One step an epoch. */
const selecting = ["--backend", "wasm", "--validation", "1536", "--batch-size", "512"];

const train = async (args: readonly string[] = [], options: RunOptions = {}) => {
  const out = newFolder();
  const told = await runCommand(["train", ...quick, "--out", out, ...args], options);
  return { ...told, out, last: told.events.at(-1) as Event };
};

interface Metric extends Record<string, unknown> {
  readonly event: string;
}

const metricsOf = (run: string): Metric[] =>
  readFileSync(join(run, "metrics.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Metric);

/** As a kill would leave a run in the middle of the first line of that kind, with its first checkpoint. */
const killAt = (run: string, name: string): void => {
  const text = readFileSync(join(run, "metrics.jsonl"), "utf8");
  const line = `{"event":"${name}"`;
  writeFileSync(join(run, "metrics.jsonl"), text.slice(0, text.indexOf(line) + line.length));
  for (const file of readdirSync(join(run, "checkpoints")))
    if (!/0{8}/.test(file)) rmSync(join(run, "checkpoints", file));
};

const countOf = (run: string, name: string): number => metricsOf(run).filter(({ event }) => event === name).length;

describe("a run", () => {
  test("tells its start, every epoch and its end", async () => {
    const { code, events, texts, out } = await train(["--seed", "7"]);
    expect(code).toBe(0);
    expect(events.map(({ event }) => event)).toEqual(["start", "epoch", "end"]);
    const [start, epoch, end] = events as [Event, Event, Event];
    const common = { preset: "lenet5", backend: "cpu", seed: 7, batchSize: 8, data: "synthetic/train" };
    expect(start).toMatchObject({ ...common, epochs: 4 / 256, run: out });
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

  test("leaves a folder with everything that it said", async () => {
    const { last, out } = await train(["--csv", "--tensorboard"]);
    expect(readdirSync(out).sort()).toEqual([
      "checkpoints",
      "config.json",
      "environment.json",
      "metrics.csv",
      "metrics.jsonl",
      "predictions.json",
      "report.html",
      "summary.json",
      "tensorboard",
      "weights.safetensors",
    ]);
    expect(last["weights"]).toBe(join(out, "weights.safetensors"));
    const { tensors, metadata } = await loadSafetensors(join(out, "weights.safetensors"));
    expect(await weightsSha256(tensors)).toBe(last["weightsSha256"]);
    expect(Object.fromEntries(metadata)).toMatchObject({ preset: "lenet5", seed: "0", steps: "4" });
    expect(JSON.parse(readFileSync(join(out, "environment.json"), "utf8"))).toMatchObject({
      backend: "cpu",
      node: process.versions.node,
      seed: 0,
      data: { training: { name: "synthetic/train", images: 2048, sha256: expect.stringMatching(/^[\da-f]{64}$/) } },
    });
    expect(JSON.parse(readFileSync(join(out, "summary.json"), "utf8"))).toMatchObject({
      testAccuracy: last["testAccuracy"],
      weightsSha256: last["weightsSha256"],
    });
    const metrics = metricsOf(out);
    expect(metrics.map(({ event }) => event)).toEqual([
      "start",
      "checkpoint",
      "step",
      "step",
      "step",
      "step",
      "epoch",
      "checkpoint",
      "test",
      "end",
    ]);
    expect(metrics.at(-2)).toMatchObject({ which: "last", accuracy: last["testAccuracy"], images: 512 });
  });

  test("is the same for the same seed, and another for another", async () => {
    const hash = async (seed: string): Promise<unknown> => (await train(["--seed", seed])).last["weightsSha256"];
    expect(await hash("1")).toBe(await hash("1"));
    expect(await hash("1")).not.toBe(await hash("2"));
  });

  test("can be made again from its config", async () => {
    const first = await train(["--lr", "0.002", "--label-smoothing", "0.1", "--ema", "0.9", "--clip-norm", "1"]);
    const out = newFolder();
    const again = await runCommand(["train", "--config", join(first.out, "config.json"), "--out", out]);
    expect(again.events.at(-1)?.["weightsSha256"]).toBe(first.last["weightsSha256"]);
    expect(readFileSync(join(out, "config.json"), "utf8")).toBe(readFileSync(join(first.out, "config.json"), "utf8"));
  });

  test.each(["ann", "fast70"])("trains %s", async (preset) => {
    const args = ["--preset", preset, "--epochs", `${2 / 256}`];
    const { last } = await train(args);
    expect(last).toMatchObject({ event: "end", preset, steps: 2 });
  });

  test("shows every phase on the progress line, up to its end", async () => {
    const { progress } = await train(["--validation", "128"]);
    const phases = new Map<string, Progress[]>();
    for (const one of progress) phases.set(one.phase, [...(phases.get(one.phase) ?? []), one]);
    expect([...phases.keys()]).toEqual(["training", "validating", "testing"]);
    expect(phases.get("training")?.map(({ done, total }) => `${done}/${total}`)).toEqual(
      [0, 1, 2, 3].map((done) => `${done}/3`),
    );
    expect(phases.get("testing")?.at(-1)).toMatchObject({ done: 512, total: 512 });
  });

  test("says which backend auto is, unless a program listens", async () => {
    const args = ["--backend", "auto"];
    expect((await train(args)).notices.join()).toMatch(/backend wasm: \d+ threads?; wasm is the fastest/);
    expect((await train([...args, "--json"])).notices).toEqual([]);
  });

  test("of a few batches goes through every stage", async () => {
    const { last, events, out } = await train(["--fast-dev-run"]);
    expect(events.map(({ event }) => event)).toEqual(["start", "epoch", "validation", "end"]);
    expect(last).toMatchObject({ steps: 3, testImages: 200 });
    expect(existsSync(join(out, "report.html"))).toBe(true);
  });
});

describe("what is selected on validation", () => {
  test("is tested beside the weights of the last step", async () => {
    // Behind the first step the rate is far too high.
    const { last, out } = await train([
      ...selecting,
      ...["--epochs", "3", "--select", "best", "--set", "monitor=loss"],
      ...["--set", 'schedule={"name":"piecewiseLinear","points":[[0.1,1],[0.3,1000]]}'],
    ]);
    const tests = metricsOf(out).filter(({ event }) => event === "test");
    expect(tests.map(({ which }) => which)).toEqual(["last", "best"]);
    expect(last).toMatchObject({
      testAccuracy: tests[1]?.["accuracy"],
      last: { testAccuracy: tests[0]?.["accuracy"] },
      best: { testAccuracy: tests[1]?.["accuracy"], step: expect.any(Number) },
    });
    const validations = metricsOf(out).filter(({ event }) => event === "validation");
    const losses = validations.map(({ loss }) => Number(loss));
    expect(losses.indexOf(Math.min(...losses))).toBe(0);
    expect(last["best"]).toMatchObject({ step: 1 });
    const { tensors } = await loadSafetensors(join(out, "weights.safetensors"));
    expect(await weightsSha256(tensors)).toBe(last["weightsSha256"]);
  });

  test("holds a tenth of the images out by itself", async () => {
    const { events } = await train(["--select", "best"]);
    expect(events.find(({ event }) => event === "validation")).toMatchObject({ images: 204 });
    expect(events[0]).toMatchObject({ data: "synthetic/train-fit" });
  });

  test("ends a run early, and says why", async () => {
    const { last, code } = await train([
      ...selecting,
      ...["--epochs", "50", "--lr", "1e-12", "--weight-decay", "0", "--early-stopping", "0"],
    ]);
    expect(code).toBe(0);
    expect(last).toMatchObject({
      event: "end",
      ended: "stopped",
      reason: expect.stringContaining("no better validation"),
    });
  });
});

describe("stopped", () => {
  /** Ends the run as soon as `when` is true of an event or of progress. */
  const stopWhen = async (when: (told: Event | Progress) => boolean, args: readonly string[]) => {
    const abort = new AbortController();
    const look = (told: Event | Progress): void => {
      if (when(told)) abort.abort(new Error("stop"));
    };
    return train(args, { signal: abort.signal, onEvent: look, onProgress: look });
  };
  const within =
    (phase: string, least = 2) =>
    (told: Event | Progress): boolean =>
      told["phase" as keyof typeof told] === phase && Number(told["done" as keyof typeof told]) > least;
  const long = ["--epochs", "0.05"];

  test("while training, it saves, and goes on to the weights of a run that was not stopped", async () => {
    const whole = await train(long);
    const { last, texts, out } = await stopWhen(within("training"), long);
    // Reports come a step late.
    expect(last).toMatchObject({ event: "interrupted", steps: 4, weights: join(out, "weights.safetensors") });
    expect(last).not.toHaveProperty("testAccuracy");
    expect(texts.at(-1)).toContain("stopped after 4 of 12 steps");
    expect(texts.at(-1)).toContain(`--resume ${out}`);
    const { events } = await runCommand(["train", "--resume", out]);
    expect(events[0]).toMatchObject({ event: "start", resumed: 4 });
    expect(events.at(-1)).toMatchObject({
      event: "end",
      steps: 12,
      weightsSha256: whole.last["weightsSha256"],
      testAccuracy: whole.last["testAccuracy"],
      trainLoss: whole.last["trainLoss"],
    });
    expect(countOf(out, "step")).toBe(12);
  });

  test("before the first step, it has nothing to save, and can go on", async () => {
    const { last, texts, out } = await stopWhen((told) => "event" in told && told.event === "start", long);
    expect(last).toMatchObject({ event: "interrupted", steps: 0, resume: `npm run cifar10 -- train --resume ${out}` });
    expect(last).not.toHaveProperty("weights");
    expect(texts.at(-1)).toContain(`--resume ${out}`);
    expect((await runCommand(["--resume", out])).events.at(-1)).toMatchObject({ event: "end", steps: 12 });
  });

  test("a test of every stage gives no command to go on", async () => {
    const { last, texts } = await stopWhen((told) => "event" in told && told.event === "start", ["--fast-dev-run"]);
    expect(last).toMatchObject({ event: "interrupted" });
    expect(last["resume"]).toBeUndefined();
    expect(texts.at(-1)).not.toContain("to go on");
  });

  test("while testing, all of training is saved, and only the test is made again", async () => {
    const { last, out } = await stopWhen(within("testing"), long);
    expect(last).toMatchObject({ event: "interrupted", steps: 12 });
    expect(existsSync(last["weights"] as string)).toBe(true);
    const again = await runCommand(["--resume", out]);
    expect(again.events.at(-1)).toMatchObject({ event: "end", weightsSha256: last["weightsSha256"] });
  });

  test("by the time, it validates and tests what it has", async () => {
    const { last, code, out } = await train([
      ...["--epochs", "1000", "--max-time", "0.5s", "--validation", "64", "--select", "best"],
    ]);
    expect(code).toBe(0);
    expect(countOf(out, "validation")).toBeGreaterThan(0);
    expect(last).toHaveProperty("best");
    expect(last).toMatchObject({ event: "end", ended: "stopped", reason: expect.stringContaining("time") });
  });

  test("before there is data, it says so", async () => {
    const signal = AbortSignal.abort(new Error("stop"));
    const { events, code } = await runCommand(["--preset", "lenet5", "--backend", "cpu", "--out", newFolder()], {
      signal,
    });
    expect(events).toEqual([{ event: "interrupted" }]);
    expect(code).toBe(0);
  });
});

describe("resuming", () => {
  test("refuses what would make it another run", async () => {
    const { out } = await train();
    for (const args of [
      ["--lr", "1"],
      ["--seed", "3"],
      ["--epochs", "7"],
      ["--network", "ann"],
    ]) {
      const { code, err } = await runCommand(["--resume", out, ...args]);
      expect(code).toBe(2);
      expect(err).toMatch(/--resume goes on with the run as it is; \w+ cannot be changed/);
    }
    expect((await runCommand(["--resume", out, "--preset", "ann"])).code).toBe(2);
  });

  /** Everything in a folder, by name. */
  const contentsOf = (folder: string): Record<string, string> =>
    Object.fromEntries(
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), "base64")]),
    );

  test("what has come to its end says so, with its exit code, and changes nothing", async () => {
    const { out, last } = await train(["--validation", "64"]);
    const before = contentsOf(out);
    const again = await runCommand(["--resume", out]);
    expect(again.code).toBe(0);
    expect(again.events).toEqual([last]);
    expect(again.texts[0]).toMatch(/has come to its end: test accuracy \d+\.\d % on 512 images after 3 steps/);
    expect(again.texts[0]).toContain("a longer run is a new one");
    expect(contentsOf(out)).toEqual(before);
    await runCommand(["--resume", out, "--csv"]);
    const { [join(out, "metrics.csv")]: csv, ...others } = contentsOf(out);
    expect(csv).toBeDefined();
    expect(others).toEqual(before);
    // Killed before its report was written.
    rmSync(join(out, "report.html"));
    await runCommand(["--resume", out]);
    expect(contentsOf(out)).toMatchObject(before);
  });

  test("killed in the middle of a line of its metrics, it ends as if nothing had been", async () => {
    const { out, last } = await train(["--validation", "64"]);
    const figures = metricsOf(out).map(({ time: _, seconds: __, imagesPerSecond: ___, ...rest }) => rest);
    killAt(out, "validation");
    const { events } = await runCommand(["--resume", out]);
    expect(events.at(-1)).toMatchObject({ event: "end", weightsSha256: last["weightsSha256"], report: last["report"] });
    const after = metricsOf(out).map(({ time: _, seconds: __, imagesPerSecond: ___, ...rest }) => rest);
    expect(after.filter(({ event }) => event !== "resume")).toEqual(figures);
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("It was resumed once.");
    // What is otherwise than at the start, here only the time.
    const { startedAt, resumed } = readEnvironment(out);
    expect(resumed).toEqual([{ step: 0, startedAt: expect.any(String) }]);
    expect(Date.parse(`${startedAt}`)).toBeLessThan(Date.parse((resumed as [{ startedAt: string }])[0].startedAt));
  });

  test("with more epochs, a run whose rates do not depend on their number ends as one that was so long from the start", async () => {
    const constant = ["--set", 'schedule={"name":"constant"}', ...selecting, "--select", "best"];
    const whole = await train([...constant, "--epochs", "2"]);
    const { out } = await train([...constant, "--epochs", "1"]);
    expect((await runCommand(["--resume", out])).texts[0]).toContain("--resume with more --epochs than 1");
    const { events, notices } = await runCommand(["--resume", out, "--epochs", "2"]);
    expect(notices.join()).toContain("the test images are used again");
    expect(events[0]).toMatchObject({ event: "start", resumed: 1, epochs: 2 });
    expect(events.at(-1)).toMatchObject({
      event: "end",
      weightsSha256: whole.last["weightsSha256"],
      testAccuracy: whole.last["testAccuracy"],
      best: whole.last["best"],
    });
    expect(readFileSync(join(out, "config.json"), "utf8")).toBe(readFileSync(join(whole.out, "config.json"), "utf8"));
    expect(metricsOf(out).findLast(({ event }) => event === "start")).toMatchObject({ epochs: 2, steps: 2 });
    const shorter = await runCommand(["--resume", out, "--epochs", "1"]);
    expect(shorter).toMatchObject({ code: 2, err: expect.stringContaining("epochs is 1, but the run is one of 2") });
  });

  test("with more time, a run that the time ended goes on", async () => {
    const { out, last } = await train(["--epochs", "0.02", "--max-time", "0.001s"]);
    expect(last).toMatchObject({ ended: "stopped", steps: 1 });
    expect((await runCommand(["--resume", out])).texts[0]).toContain("a longer --max-time");
    const { events } = await runCommand(["--resume", out, "--max-time", "10m"]);
    expect(events.at(-1)).toMatchObject({ event: "end", ended: "finished", steps: 5 });
  });

  test("a test of every stage is nothing to go on with: exit code 8", async () => {
    const { out } = await train(["--fast-dev-run"]);
    expect(await runCommand(["--resume", out])).toMatchObject({
      code: 8,
      message: expect.stringContaining("was a --fast-dev-run"),
    });
  });

  test("passes over a damaged checkpoint, and says so", async () => {
    const whole = await train(["--save-every", "2"]);
    const out = newFolder();
    const abort = new AbortController();
    await runCommand(["train", ...quick, "--save-every", "1", "--out", out], {
      signal: abort.signal,
      onProgress: ({ phase, done }) => (phase === "training" && done > 2 ? abort.abort(new Error("stop")) : undefined),
    });
    const newest = readdirSync(join(out, "checkpoints")).sort().at(-1) as string;
    const file = join(out, "checkpoints", newest);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(file, bytes);
    const { events, notices } = await runCommand(["--resume", out]);
    expect(notices.join()).toContain(newest);
    expect(events.at(-1)).toMatchObject({ event: "end", weightsSha256: whole.last["weightsSha256"] });
  });

  test("without a run: exit code 8", async () => {
    const { code, message } = await runCommand(["--resume", join(scratch, "none")]);
    expect(code).toBe(8);
    expect(message).toContain("is not the folder of a run");
  });

  test("while somebody trains there: exit code 8", async () => {
    let second: Awaited<ReturnType<typeof runCommand>> | undefined;
    const other = newFolder();
    let starting: Promise<void> | undefined;
    await runCommand(["train", ...quick, "--out", other], {
      onEvent: ({ event }) => {
        if (event === "start")
          starting = runCommand(["--resume", other]).then((told) => {
            second = told;
          });
      },
    });
    await starting;
    expect(second).toMatchObject({ code: 8, message: expect.stringContaining("lock") });
  });
});

test("several seeds come to a mean and an interval", async () => {
  const { events, out } = await train(["--seeds", "3", "--seed", "5"]);
  const seeds = events.at(-1) as Event;
  const accuracies = events.filter(({ event }) => event === "end").map((end) => end["testAccuracy"] as number);
  expect(seeds).toMatchObject({ event: "seeds", seeds: [5, 6, 7], testAccuracies: accuracies, confidence: 0.95 });
  expect(seeds["mean"]).toBeCloseTo(accuracies.reduce((a, b) => a + b, 0) / 3, 12);
  expect(readdirSync(out).sort()).toEqual(["seed5", "seed6", "seed7"]);
});

describe("several seeds that were stopped", () => {
  const seeds = ["--seeds", "3"];

  test("are gone on with by the same command, and come to the same", async () => {
    const whole = await train(seeds);
    const abort = new AbortController();
    const onEvent = ({ event, seed }: Event): void => {
      if (event === "start" && seed === 1) abort.abort();
    };
    const { code, out, last, notices } = await train(seeds, { signal: abort.signal, onEvent });
    expect(last).toMatchObject({ event: "interrupted", seed: 1 });
    expect(notices.at(-1)).toBe(`the same command with --out ${out} goes on with all of them`);
    expect(code).toBe(whole.code);
    const first = readFileSync(join(out, "seed0", "metrics.jsonl"), "utf8");
    const { events } = await runCommand(["train", ...quick, "--out", out, ...seeds]);
    expect(events.at(-1)).toEqual(whole.last);
    expect(readFileSync(join(out, "seed0", "metrics.jsonl"), "utf8")).toBe(first);
    const hashes = (all: readonly Event[]) =>
      all.filter(({ event }) => event === "end").map((end) => end["weightsSha256"]);
    expect(hashes(events)).toEqual(hashes(whole.events));
  });

  test("are not mixed with others, and left as they are", async () => {
    const { out } = await train(["--seeds", "2"]);
    for (const other of [
      ["--lr", "0.5"],
      ["--epochs", "1"],
    ]) {
      const { code, message } = await runCommand(["train", ...quick, "--out", out, "--seeds", "2", ...other]);
      expect({ code, message }).toEqual({
        code: 8,
        message: expect.stringMatching(/seed0 is a run with another (optimizer|epochs); other runs want a folder/),
      });
    }
    expect(readdirSync(out).sort()).toEqual(["seed0", "seed1"]);
  });
});

describe("learning batches by heart", () => {
  /** It saves nothing, and so takes no --out. */
  const overfit = (...args: string[]) => runCommand(["train", ...quick, "--overfit-batches", ...args]);

  test("works", async () => {
    const { code, events } = await overfit("2", "--batch-size", "16", "--lr", "0.003");
    const last = events.at(-1) as Event;
    expect(last).toMatchObject({ event: "overfit", passed: true, accuracy: 1, images: 32 });
    expect(last["loss"]).toBeLessThan(0.05);
    expect(code).toBe(0);
  });

  test("and not learning them is exit code 7", async () => {
    const { code, events } = await overfit("1", "--batch-size", "2", "--lr", "1e-9");
    expect(events.at(-1)).toMatchObject({ event: "overfit", passed: false });
    expect(code).toBe(7);
  });
});

test("changes by hand of another run are made again", async () => {
  const { out, last } = await train();
  const changed = newFolder();
  mkdirSync(changed);
  copyFileSync(join(out, "config.json"), join(changed, "config.json"));
  const change = { event: "change", time: 1, step: 2, lr: 1, lrScale: 0 };
  writeFileSync(join(changed, "metrics.jsonl"), `${JSON.stringify(change)}\n`);
  const replayed = await train(["--replay", changed, "--weight-decay", "0"]);
  const plain = await train(["--weight-decay", "0"]);
  expect(replayed.last["weightsSha256"]).not.toBe(plain.last["weightsSha256"]);
  // They are changes of the run that repeats them: it can be gone on with, and repeated, by itself.
  const { event: _, time: __, ...values } = change;
  const changesOf = (run: string) => metricsOf(run).filter(({ event }) => event === "change");
  const before = changesOf(replayed.out);
  expect(before).toMatchObject([values]);
  killAt(replayed.out, "step");
  const resumed = await runCommand(["--resume", replayed.out]);
  expect(resumed.events.at(-1)?.["weightsSha256"]).toBe(replayed.last["weightsSha256"]);
  expect(changesOf(replayed.out)).toEqual(before);
  expect(plain.last["weightsSha256"]).not.toBe(last["weightsSha256"]);
});
