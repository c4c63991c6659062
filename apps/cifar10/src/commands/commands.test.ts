// What works on the folder of a run, and what needs none.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { syntheticDataset } from "@striate/data";
import { encode } from "fast-png";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Event } from "../reporter.js";
import { runCommand } from "../testing/command.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-commands-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const generated = ["--backend", "cpu", "--batch-size", "8", "--synthetic"];
const quick = [...generated, "--epochs", `${2 / 256}`];

/** Two runs of two steps. */
const runs = [join(scratch, "first"), join(scratch, "second")] as const;
let ends: readonly Event[] = [];

beforeAll(async () => {
  const first = await runCommand([...quick, "--preset", "lenet5", "--validation", "64", "--out", runs[0]]);
  const second = await runCommand([...quick, "--preset", "lenet5", "--seed", "3", "--lr", "0.5", "--out", runs[1]]);
  ends = [first, second].map(({ events }) => events.at(-1) as Event);
}, 120_000);

describe("eval", () => {
  test("finds again what the run had found", async () => {
    const { events, texts, code } = await runCommand(["eval", runs[0], "--backend", "cpu"]);
    expect(code).toBe(0);
    expect(events).toEqual([
      {
        event: "eval",
        run: runs[0],
        split: "test",
        accuracy: ends[0]?.["testAccuracy"],
        loss: ends[0]?.["testLoss"],
        images: 512,
        views: 1,
        backend: "cpu",
        data: "synthetic/test",
      },
    ]);
    expect(texts[0]).toContain(runs[0]);
  });

  test("is on the backend of the run, unless another is named", async () => {
    const { events } = await runCommand(["eval", runs[0]]);
    expect(events[0]).toMatchObject({ backend: "cpu", accuracy: ends[0]?.["testAccuracy"] });
  });

  test("of the images held out, where there are some", async () => {
    const { events } = await runCommand(["eval", runs[0], "--split", "validation", "--backend", "cpu"]);
    expect(events[0]).toMatchObject({ split: "validation", images: 64 });
    const none = await runCommand(["eval", runs[1], "--split", "validation", "--backend", "cpu"]);
    expect(none).toMatchObject({ code: 2, message: "--split validation: the run held no images out" });
  });

  test("of a run without weights, or with damaged ones: exit code 8", async () => {
    const broken = join(scratch, "broken");
    mkdirSync(broken);
    writeFileSync(join(broken, "config.json"), readFileSync(join(runs[0], "config.json")));
    expect((await runCommand(["eval", broken, "--backend", "cpu"])).code).toBe(8);
    writeFileSync(join(broken, "weights.safetensors"), "nonsense");
    expect(await runCommand(["eval", broken, "--backend", "cpu"])).toMatchObject({
      code: 8,
      message: expect.stringContaining("the weights of the run cannot be read"),
    });
    writeFileSync(join(broken, "config.json"), "{}");
    const { code, message } = await runCommand(["eval", broken]);
    expect(code).toBe(8);
    expect(message).toMatch(/config\.json is no config of a run: \w+: .*, and \d+ more$/);
    expect(message).not.toContain("\n");
    writeFileSync(join(broken, "config.json"), "{");
    expect(await runCommand(["eval", broken])).toMatchObject({
      code: 8,
      message: expect.stringContaining("config.json cannot be read"),
    });
  });
});

describe("predict", () => {
  const picture = join(scratch, "picture.png");
  beforeAll(() => {
    const { images } = syntheticDataset({ count: 1, seed: 5 });
    const data = new Uint8Array(images.length);
    for (let i = 0; i < images.length; i++) data[(i % 1024) * 3 + Math.floor(i / 1024)] = images[i] as number;
    writeFileSync(picture, encode({ width: 32, height: 32, data, channels: 3 }));
  });

  test("names the likeliest classes, the likeliest first", async () => {
    const { events, texts, code } = await runCommand(["predict", picture, "--run", runs[0], "--backend", "cpu"]);
    expect(code).toBe(0);
    const { predictions, image } = events[0] as unknown as {
      image: string;
      predictions: { class: string; probability: number }[];
    };
    expect(image).toBe(picture);
    expect(predictions).toHaveLength(3);
    const probabilities = predictions.map(({ probability }) => probability);
    expect(probabilities).toEqual([...probabilities].sort((a, b) => b - a));
    expect(probabilities.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(1 + 1e-6);
    expect(texts[0]).toContain(predictions[0]?.class);
  });

  test("all classes together have probability 1", async () => {
    const { events } = await runCommand(["predict", picture, "--run", runs[0], "--backend", "cpu", "--top", "10"]);
    const { predictions } = events[0] as unknown as { predictions: { probability: number }[] };
    expect(predictions.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 5);
  });

  test.each([
    ["missing.png", undefined, "missing.png"],
    ["text.png", "no picture", "text.png"],
    ["cut.png", "cut", "cut.png"],
  ])("%s: exit code 3, before any answer", async (name, content, says) => {
    const file = join(scratch, name);
    if (content !== undefined) writeFileSync(file, content === "cut" ? readFileSync(picture) : content);
    if (content === "cut") truncateSync(file, 40);
    const told = await runCommand(["predict", picture, file, "--run", runs[0], "--backend", "cpu"]);
    expect(told.code).toBe(3);
    expect(told.message).toContain(says);
    expect(told.events).toEqual([]);
  });
});

describe("compare", () => {
  test("has a row for each run, and the settings that differ", async () => {
    const html = join(scratch, "comparison.html");
    const { events, texts } = await runCommand(["compare", ...runs, "--html", html]);
    const [comparison] = events as unknown as [
      { runs: Record<string, unknown>[]; differences: Record<string, unknown[]> },
    ];
    expect(comparison.runs).toMatchObject([
      { run: "first", backend: "cpu", steps: 1, lastAccuracy: ends[0]?.["testAccuracy"], ended: "finished" },
      { run: "second", backend: "cpu", steps: 2, lastAccuracy: ends[1]?.["testAccuracy"], validationAccuracy: null },
    ]);
    expect(comparison.differences).toEqual({
      seed: [0, 3],
      "data.validation": [64, null],
      "optimizer.lr": [0.003, 0.5],
    });
    expect(texts[0]).toContain("optimizer.lr");
    expect(readFileSync(html, "utf8")).toContain("second");
  });

  test("takes two runs or more", async () => {
    const { code, message } = await runCommand(["compare", runs[0]]);
    expect({ code, message }).toEqual({ code: 2, message: expect.stringContaining("two runs or more, not 1") });
  });

  test("of a run without metrics: exit code 8", async () => {
    const empty = join(scratch, "empty");
    mkdirSync(empty);
    writeFileSync(join(empty, "config.json"), readFileSync(join(runs[0], "config.json")));
    expect((await runCommand(["compare", runs[0], empty])).code).toBe(8);
  });
});

test("models lists every network, or the layers of one", async () => {
  const all = await runCommand(["models"]);
  expect(all.events.find(({ name }) => name === "resnet20")).toMatchObject({ parameters: 269_722, input: [3, 32, 32] });
  expect(all.events.find(({ name }) => name === "lenet5")).toMatchObject({ parameters: 62_006 });
  const { events, texts } = await runCommand(["models", "lenet5"]);
  expect(events).toHaveLength(1);
  expect(texts[0]).toContain("62,006");
});

describe("data", () => {
  test("where says what is there, and needs nothing", async () => {
    const { events, code } = await runCommand(["data", "where", "--data", scratch]);
    expect(code).toBe(0);
    expect(events[0]).toMatchObject({ folder: scratch });
    expect((events[0] as unknown as { files: { bytes: unknown }[] }).files.map(({ bytes }) => bytes)).toEqual(
      new Array(6).fill(null),
    );
  });

  test("verify names a damaged file: exit code 3", async () => {
    const folder = join(scratch, "data");
    mkdirSync(folder);
    writeFileSync(join(folder, "data_batch_1.bin"), new Uint8Array(3073));
    const { code, message, events } = await runCommand(["data", "verify", "--data", folder]);
    expect(code).toBe(3);
    expect(message).toContain("data_batch_1.bin has 3073 bytes, expected 30730000");
    expect(events).toEqual([]);
  });
});

test("doctor has a finding for everything, and advice for what is missing", async () => {
  const { events } = await runCommand(["doctor"]);
  const findings = events.filter(({ event }) => event === "check");
  for (const subject of ["Node", "machine", "threads", "backend cpu", "backend wasm", "CIFAR-10", "Chromium"])
    expect(findings.map((finding) => finding["subject"])).toContain(subject);
  for (const { state, advice } of findings) expect(advice === undefined).toBe(state === "ok");
  const wrong = findings.filter(({ state }) => state === "wrong").length;
  expect(events.at(-1)).toEqual({ event: "end", wrong });
});

describe("gradcheck", () => {
  test("has a row for each parameter, and all agree", async () => {
    const { events, code } = await runCommand(["gradcheck", "--preset", "lenet5", "--elements", "3"]);
    expect(code).toBe(0);
    const rows = events.filter(({ event }) => event === "gradcheck");
    expect(rows).toHaveLength(10);
    for (const { worst, checked } of rows) {
      expect(worst).toBeLessThanOrEqual(1);
      expect(checked).toBeGreaterThanOrEqual(3);
    }
    expect(events.at(-1)).toMatchObject({ event: "end", failed: 0, parameters: 10 });
  });

  test("Ctrl-C is heard before the next parameter", async () => {
    const abort = new AbortController();
    const onEvent = () => void setImmediate(() => abort.abort());
    const { events } = await runCommand(["gradcheck", "--preset", "lenet5"], { signal: abort.signal, onEvent });
    expect(events.map(({ event }) => event)).toEqual(["gradcheck", "interrupted"]);
  });
});

describe("lr-find", () => {
  test("draws a curve and writes a page", async () => {
    const html = join(scratch, "lr.html");
    const args = ["--preset", "lenet5", ...generated, "--steps", "30", "--from", "1e-6", "--to", "10", "--html", html];
    const { events, texts, code, progress } = await runCommand(["lr-find", ...args]);
    expect(code).toBe(0);
    expect(progress.at(-1)).toMatchObject({ phase: "trying rates", total: 30 });
    expect(progress.at(-1)?.done).toBeGreaterThan(5);
    const [found] = events as unknown as [{ points: { lr: number; loss: number }[]; suggestion: number | null }];
    expect(found.points[0]?.lr).toBeCloseTo(1e-6, 12);
    expect(found.points.length).toBeLessThanOrEqual(30);
    expect(texts[0]).toContain("●");
    expect(readFileSync(html, "utf8")).toContain("<svg");
  });

  test("Ctrl-C ends it without a suggestion, and writes nothing", async () => {
    const html = join(scratch, "stopped.html");
    const args = ["lr-find", "--preset", "lenet5", ...generated, "--html", html];
    const { events, code } = await runCommand(args, { signal: AbortSignal.abort(new Error("stop")) });
    expect({ events, code }).toEqual({ events: [{ event: "interrupted" }], code: 0 });
    expect(existsSync(html)).toBe(false);
  });

  test("goes by the recipe: what bounds gradients bounds them here", async () => {
    const losses = async (...more: string[]): Promise<unknown> => {
      const args = ["--preset", "ann", ...generated, "--steps", "10", ...more];
      const { events } = await runCommand(["lr-find", ...args]);
      return (events[0] as unknown as { points: { loss: number }[] }).points.map(({ loss }) => loss);
    };
    const plain = await losses();
    expect(await losses()).toEqual(plain);
    expect(await losses("--clip-norm", "1e-3")).not.toEqual(plain);
    expect(await losses("--mixup", "1")).not.toEqual(plain);
  });

  test("rates of the speed nets are in the paper's units", async () => {
    const args = ["--preset", "fast70", ...generated, "--steps", "10", "--from", "0.1", "--to", "20"];
    const { events } = await runCommand(["lr-find", ...args]);
    const [found] = events as unknown as [{ points: { lr: number }[] }];
    expect(found.points[0]?.lr).toBeCloseTo(0.1, 9);
    expect(found.points.at(-1)?.lr).toBeLessThanOrEqual(20.001);
  });
});
