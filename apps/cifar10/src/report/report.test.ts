import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointError } from "@striate/checkpoint";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeComparison } from "./comparison.js";
import { ReportError } from "./error.js";
import { writeReport } from "./report.js";
import { fabricateRun } from "./testing/fabricate.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-report-"));
});
afterAll(() => rm(folder, { recursive: true }));

let runs = 0;
const newRun = async (options: Parameters<typeof fabricateRun>[1] = {}): Promise<string> => {
  const path = join(folder, `run${runs++}`);
  await fabricateRun(path, options);
  return path;
};

const unescaped = (text: string): string =>
  text
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");

/** Figures with the place that they claim to be from: `<data value>`, and dots with `data-value`. */
const figuresOf = (html: string): { from: string; value: string }[] =>
  [...html.matchAll(/<data value="([^"]*)" data-from="([^"]*)">|data-from="([^"]*)" data-value="([^"]*)"/g)].map(
    ([, value, from, dotFrom, dotValue]) => ({
      from: unescaped(from ?? dotFrom ?? ""),
      value: value ?? dotValue ?? "",
    }),
  );

/** The number that a text shows, and half a unit of its last digit: 71.2 %, 12,346, 1:02:03, 1.5e-5, 7.3 s. */
const readOut = (text: string): { readonly number: number; readonly half: number } => {
  const [, digits = "", exponent = "0"] = /^(-?[\d.,:]+)(?:e([+-]\d+))?( s| %)?$/.exec(text) ?? [];
  const number = digits.split(":").reduce((sum, part) => 60 * sum + Number(part.replaceAll(",", "")), 0);
  const half = 0.5 * 10 ** -(digits.split(".")[1]?.length ?? 0);
  const scale = 10 ** Number(exponent) / (text.endsWith("%") ? 100 : 1);
  return { number: number * scale, half: half * scale };
};

/** What stands at `metrics.jsonl:12/a/0` or `config.json/a/b`. */
const lookUp = async (root: string, from: string): Promise<unknown> => {
  const [, file = "", line, path = ""] = /^([^:]*?\.jsonl?)(?::(\d+))?(\/.*)$/.exec(from) ?? [];
  const text = await readFile(join(root, file), "utf8");
  const start: unknown = JSON.parse(line === undefined ? text : (text.split("\n")[Number(line) - 1] as string));
  return path
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], start);
};

/** Base64 may spell anything. */
const withoutPictures = (html: string): string => html.replaceAll(/src="data:[^"]*"/g, "");

/** What people read, without what says where it is from, axes and pictures. */
const otherText = (html: string): string =>
  unescaped(
    html
      .replace(/<style>.*?<\/style>/s, "")
      .replace(/<(data|span) [^>]*data-from[^>]*>.*?<\/\1>/gs, " ")
      .replace(/<g class="axis">.*?<\/g>/gs, " ")
      .replace(/<title>.*?<\/title>/gs, " ")
      .replace(/<[^>]*>/g, " "),
  );

describe("a report", () => {
  let run: string;
  let html: string;
  beforeAll(async () => {
    run = await newRun();
    html = await readFile(await writeReport(run), "utf8");
  });

  test("has every figure exactly as it stands in the files of the run", async () => {
    const figures = figuresOf(html);
    expect(figures.length).toBeGreaterThan(200);
    for (const { from, value } of figures) expect(Number(value), from).toBe(await lookUp(run, from));
    for (const [, from, text] of html.matchAll(/<span data-from="([^"]*)">([^<]*)<\/span>/g)) {
      const found = await lookUp(run, unescaped(from as string));
      expect(unescaped(text as string), from).toBe(typeof found === "string" ? found : JSON.stringify(found));
    }
  });

  test("shows people the same figures, rounded", () => {
    const shown = [...html.matchAll(/<data value="([^"]+)" data-from="([^"]*)">([^<]*)<\/data>/g)];
    expect(shown.length).toBeGreaterThan(150);
    for (const [, value, from, text = ""] of shown) {
      const { number, half } = readOut(unescaped(text));
      // Four significant digits may end before the decimal point.
      const off = Math.abs(number - Number(value));
      expect(off, `${from}: ${value} as ${text}`).toBeLessThanOrEqual(Math.max(half, 5e-4 * Math.abs(number)) + 1e-12);
    }
    for (const [, y, said] of html.matchAll(/<circle [^>]*data-value="([^"]*)"><title>[^<]*: ([^<]*)<\/title>/g)) {
      const { number, half } = readOut(said as string);
      expect(Math.abs(number - Number(y))).toBeLessThanOrEqual(half + 1e-12);
    }
  });

  test("draws the curves that are in the metrics: every point of them is a step", async () => {
    const short = await newRun({ epochs: 2, stepsPerEpoch: 20 });
    const page = await readFile(await writeReport(short), "utf8");
    const metrics = (await readFile(join(short, "metrics.jsonl"), "utf8")).trimEnd().split("\n");
    const steps = metrics.map((line) => JSON.parse(line)).filter(({ event }) => event === "step");
    const validations = metrics.map((line) => JSON.parse(line)).filter(({ event }) => event === "validation");
    const pathsOf = (title: string, kind: "line" | "band"): number[][][] => {
      const [, svg = ""] = new RegExp(`aria-label="${title}">(.*?)</svg>`, "s").exec(page) ?? [];
      return [...svg.matchAll(new RegExp(`class="${kind}" d="M([^"Z]*)Z?"`, "g"))].map(([, d = ""]) =>
        d.split(/[ML]/).map((point) => point.split(",").map(Number)),
      );
    };
    /** Where the plot has a value: 240 pixels below 14, 664 beside 72. */
    const places = (rows: { step: number; [field: string]: number }[], field: string, low: number, high: number) =>
      rows.map((row) => [72 + (664 * row.step) / 40, 14 + 240 * (1 - ((row[field] as number) - low) / (high - low))]);
    const expectPath = (path: number[][] | undefined, expected: number[][]): void => {
      expect(path).toHaveLength(expected.length);
      for (const [i, point] of expected.entries())
        for (const axis of [0, 1]) expect(path?.[i]?.[axis]).toBeCloseTo(point[axis] as number, 0);
    };
    const rates = steps.map(({ lr }) => lr as number);
    expectPath(pathsOf("Learning rate", "line")[0], places(steps, "lr", 0, Math.max(...rates)));
    const losses = [...steps, ...validations].map(({ loss }) => loss as number);
    const [low, high] = [Math.min(...losses), Math.max(...losses)];
    // Of single steps the highest value is the lowest too: there and back.
    const there = places(steps, "loss", low, high);
    expectPath(pathsOf("Loss", "band")[0], [...there, ...there.toReversed()]);
    expectPath(pathsOf("Loss", "line")[1], places(validations, "loss", low, high));
  });

  test("has no other figure", async () => {
    const files = ["metrics.jsonl", "config.json", "environment.json", "summary.json", "predictions.json"];
    const known = (await Promise.all(files.map((file) => readFile(join(run, file), "utf8")))).join();
    const epochs = ["1", "2", "3", "4"];
    // The shape of the filters.
    const others = ["24", "3", "5"];
    for (const [number] of otherText(html).matchAll(/\d+(\.\d+)?/g))
      expect(epochs.includes(number) || others.includes(number) || known.includes(number), number).toBe(true);
  });

  test("covers what the issue of a run is: each section is there", () => {
    for (const id of [
      "results",
      "curves",
      "timing",
      "confusion",
      "classes",
      "mistakes",
      "filters",
      "changes",
      "summary",
      "config",
      "environment",
    ])
      expect(html).toContain(`<section id="${id}">`);
    for (const title of ["Loss", "Accuracy", "Learning rate"]) expect(html).toContain(`aria-label="${title}"`);
    expect(html.match(/<img [^>]*src="data:image\/png;base64,/g)?.length).toBe(31);
    expect(html.match(/<circle /g)?.length).toBe(8);
  });

  test("is one file that fetches nothing and runs nothing", () => {
    expect(withoutPictures(html)).not.toMatch(/<script|<link|<iframe|https?:|url\(|@import| on\w+=/i);
    for (const [, source] of html.matchAll(/ (?:src|href)="([^"]*)"/g))
      expect(source).toMatch(/^data:image\/png;base64,/);
    expect(html).toContain("Content-Security-Policy");
  });

  test("says how the run ended", async () => {
    expect(html).toContain("Training finished.");
    const stopped = await newRun();
    const file = join(stopped, "metrics.jsonl");
    const lines = (await readFile(file, "utf8")).trimEnd().split("\n").slice(0, -1);
    const end = { event: "end", time: 9, ended: "stopped", reason: "<b>enough</b>", seconds: 9 };
    await writeFile(
      file,
      [...lines.slice(0, 100), '{"event":"st', ...lines.slice(100), JSON.stringify(end)].join("\n"),
    );
    const said = await readFile(await writeReport(stopped), "utf8");
    expect(said).toContain("Training stopped: &lt;b&gt;enough&lt;/b&gt;. Lines of metrics.jsonl that were cut off: 1.");
    for (const { from, value } of figuresOf(said)) expect(Number(value), from).toBe(await lookUp(stopped, from));
  });

  test("of a run that was killed in its first step tells what there is", async () => {
    const young = join(folder, "young");
    await mkdir(young);
    const start = (await readFile(join(run, "metrics.jsonl"), "utf8")).split("\n")[0] as string;
    await writeFile(join(young, "metrics.jsonl"), `${start}\n{"event":"st`);
    const said = await readFile(await writeReport(young), "utf8");
    for (const text of ["The run has not ended.", "No step was made.", "The test set was not used."])
      expect(said).toContain(text);
    expect(withoutPictures(said)).not.toMatch(/NaN|undefined|Infinity/);
  });

  test("of a run that diverged has gaps, not broken curves", async () => {
    const diverged = await newRun({ epochs: 1, stepsPerEpoch: 10 });
    const file = join(diverged, "metrics.jsonl");
    await writeFile(file, (await readFile(file, "utf8")).replaceAll(/"loss":[\d.]+/g, '"loss":null'));
    const said = await readFile(await writeReport(diverged), "utf8");
    expect(withoutPictures(said)).not.toMatch(/NaN|undefined|Infinity/);
    for (const { from, value } of figuresOf(said).filter(({ from }) => from.endsWith("/loss"))) {
      expect(value).toBe("");
      expect(await lookUp(diverged, from)).toBeNull();
    }
  });

  test.each([
    ["metrics.jsonl", '{"event":"step"}', ReportError],
    ["config.json", "{", ReportError],
    ["predictions.json", '{"which":"last"}', ReportError],
    ["weights.safetensors", "nothing", CheckpointError],
  ])("of a run with a broken %s is an error that names it, and no report", async (name, content, type) => {
    const broken = await newRun({ epochs: 1, stepsPerEpoch: 2 });
    await writeFile(join(broken, name), content);
    const made = writeReport(broken);
    await expect(made).rejects.toThrow(type);
    await expect(made).rejects.toThrow(name.replace(".jsonl", ""));
    await expect(readFile(join(broken, "report.html"))).rejects.toThrow("ENOENT");
  });

  test("of no run is a ReportError", async () => {
    await expect(writeReport(join(folder, "none"))).rejects.toThrow(ReportError);
  });
});

describe("a comparison", () => {
  test("has the figures of all runs, as they stand in their files", async () => {
    const names = [await newRun(), await newRun({ seed: 2, better: 0.05, epochs: 3, preset: "fast80" })];
    const file = join(folder, "comparison.html");
    await writeComparison(names, file);
    const html = await readFile(file, "utf8");
    const figures = figuresOf(html);
    expect(figures.length).toBeGreaterThan(20);
    for (const { from, value } of figures) {
      const [, name = "", rest = ""] = /^([^/]*)\/(.*)$/.exec(from) ?? [];
      expect(Number(value), from).toBe(await lookUp(join(folder, name), rest));
    }
    for (const text of ["fast70", "fast80", "Validation accuracy", "Training loss, smoothed"])
      expect(html).toContain(text);
    // What is the same in both is no difference.
    expect(html).not.toContain("alternating");
  });

  test("draws by passes over the images: runs with batches of different sizes end at the same place", async () => {
    const runs = [
      await newRun({ stepsPerEpoch: 60 }),
      await newRun({ stepsPerEpoch: 15 }),
      await newRun({ epochs: 2 }),
    ];
    const file = join(folder, "passes.html");
    await writeComparison(runs, file);
    const [, svg = ""] = /aria-label="Training loss, smoothed">(.*?)<\/svg>/s.exec(await readFile(file, "utf8")) ?? [];
    const ends = [...svg.matchAll(/class="line" d="[^"]*L([\d.]+),[\d.]+"/g)].map(([, x]) => Number(x));
    expect(ends).toEqual([736, 736, 72 + 664 / 2]);
    // Of four epochs two are shaded.
    expect(svg.match(/class="epoch"/g)).toHaveLength(2);
  });

  test("of runs with the same name tells them apart", async () => {
    const [a, b] = [join(folder, "a", "run"), join(folder, "b", "run")];
    for (const path of [a, b]) await fabricateRun(path, { epochs: 1, stepsPerEpoch: 3 });
    const file = join(folder, "same.html");
    await writeComparison([a, b], file);
    const html = await readFile(file, "utf8");
    expect(html).toContain(a);
    expect(html).toContain(b);
  });

  test("of one run is a ReportError", async () => {
    await expect(writeComparison([await newRun()], join(folder, "one.html"))).rejects.toThrow(ReportError);
  });
});
