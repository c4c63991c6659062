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
