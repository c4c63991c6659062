import { basename } from "node:path";
import { replaceFile } from "@striate/checkpoint/node";
import { html } from "hono/html";
import { decimal, duration, percent, roundPercent, whole } from "../ui/page/format.js";
import { smoothed } from "../ui/page/series.js";
import { type Curve, chart, type Html } from "./chart.js";
import { ReportError } from "./error.js";
import { allOf, lastOf } from "./metrics.js";
import { cite, leaves, pointer, singlePage } from "./page.js";
import { stepSeries, windowOf } from "./report.js";
import { type RunFiles, readRun } from "./run-folder.js";

/** Colours of the palette that can be told apart. */
const palette = [1, 2, 3, 4, 5, 6, 7];

interface Run extends RunFiles {
  /** The folder's last name; with more of its path where two runs have the same. */
  readonly name: string;
}

const namesOf = (folders: readonly string[]): string[] => {
  const short = folders.map((folder) => basename(folder));
  return new Set(short).size === short.length ? short : [...folders];
};

const colorOf = (index: number): number => palette[index % palette.length] as number;

/** From steps to passes over the training images: runs with batches of different sizes meet there only. */
const passes = ({ records }: Run): ((step: number) => number) => {
  const epochs = allOf(records, "epoch");
  const start = lastOf(records, "start")?.metric;
  // The last epoch may be broken off.
  const whole = epochs.length > 1 ? epochs[0]?.metric.steps : undefined;
  const perEpoch = whole ?? (start ? start.steps / start.epochs : 1);
  return (step) => step / perEpoch;
};

const curvesOf = (runs: readonly Run[], column: "loss" | "accuracy"): Curve[] =>
  runs.map((run, i) => {
    const series = stepSeries(run.records);
    const smooth = smoothed(series, column, windowOf(series));
    const x = passes(run);
    return {
      name: run.name,
      color: colorOf(i),
      line: series.last.map((step, at) => [x(step), smooth[at] ?? null] as const),
    };
  });

const validationCurves = (runs: readonly Run[], column: "loss" | "accuracy"): Curve[] =>
  runs.flatMap((run, i) => {
    const { name, records } = run;
    const points = allOf(records, "validation");
    if (points.length === 0) return [];
    const x = passes(run);
    return [
      {
        name,
        color: colorOf(i),
        line: points.map(({ metric }) => [x(metric.step), metric[column]] as const),
        dots: points.map(({ line, metric }) => ({
          x: x(metric.step),
          y: metric[column],
          from: `${name}/metrics.jsonl:${line}/${column}`,
          title: `${name}, after step ${metric.step}: ${decimal(metric[column])}`,
        })),
      },
    ];
  });

const resultsTable = (runs: readonly Run[]): Html => {
  const rows = runs.map(({ name, records }, i) => {
    const tested = (which: "last" | "best"): Html | string => {
      const test = lastOf(records, "test", (metric) => metric.which === which);
      return test ? cite(`${name}/metrics.jsonl:${test.line}/accuracy`, test.metric.accuracy, percent) : "–";
    };
    const start = lastOf(records, "start");
    const step = lastOf(records, "step");
    const end = lastOf(records, "end");
    const speed = lastOf(records, "epoch");
    const from = (line: number, field: string): string => `${name}/metrics.jsonl:${line}/${field}`;
    return html`<tr><th scope="row"><span class="key c${colorOf(i)}">${name}</span></th>
<td>${start?.metric.backend ?? "–"}</td>
<td>${start?.metric.parameters === undefined ? "–" : cite(from(start.line, "parameters"), start.metric.parameters, whole)}</td>
<td>${step ? cite(from(step.line, "step"), step.metric.step, whole) : "–"}</td>
<td>${tested("last")}</td><td>${tested("best")}</td>
<td>${speed ? cite(from(speed.line, "imagesPerSecond"), speed.metric.imagesPerSecond, whole) : "–"}</td>
<td>${end ? cite(from(end.line, "seconds"), end.metric.seconds, duration) : "–"}</td>
<td>${end?.metric.ended ?? "running"}</td></tr>`;
  });
  return html`<div class="scroll"><table><thead><tr><th scope="col">run</th><th scope="col">backend</th><th scope="col">parameters</th><th scope="col">steps</th><th scope="col">test accuracy, last</th><th scope="col">best</th><th scope="col">images/s, last epoch</th><th scope="col">time</th><th scope="col">ended</th></tr></thead><tbody>${rows}</tbody></table></div>`;
};

/** What the configurations do not have in common, a column each. */
const differences = (runs: readonly Run[]): Html => {
  const configs = runs.map(({ config }) => new Map(leaves(config).map(([path, value]) => [pointer(...path), value])));
  const paths = [...new Set(configs.flatMap((config) => [...config.keys()]))];
  const rows = paths.flatMap((path) => {
    const values = configs.map((config) => (config.has(path) ? JSON.stringify(config.get(path)) : "–"));
    if (new Set(values).size === 1) return [];
    return [
      html`<tr><th scope="row">${path.slice(1).replaceAll("/", ".")}</th>${values.map(
        (value, i) => html`<td><span data-from="${`${runs[i]?.name}/config.json${path}`}">${value}</span></td>`,
      )}</tr>`,
    ];
  });
  return rows.length === 0
    ? html`<p>None.</p>`
    : html`<div class="scroll"><table><thead><tr><td></td>${runs.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
};

export const renderComparison = async (runs: readonly Run[]): Promise<string> => {
  const made = runs.map((run) => passes(run)(lastOf(run.records, "step")?.metric.step ?? 0));
  const epochs = Array.from({ length: Math.floor(Math.max(...made)) }, (_, i) => i + 1);
  const charts = (
    [
      ["Training loss, smoothed", curvesOf(runs, "loss"), decimal],
      ["Training accuracy, smoothed", curvesOf(runs, "accuracy"), roundPercent],
      ["Validation loss", validationCurves(runs, "loss"), decimal],
      ["Validation accuracy", validationCurves(runs, "accuracy"), roundPercent],
    ] as const
  ).flatMap(([title, curves, format]) =>
    curves.length > 0 ? [chart({ title, xName: "epoch", format, curves, epochs })] : [],
  );
  return singlePage(
    "Comparison – Striate",
    html`<header><p class="brand">Striate · comparison</p><h1>${runs.map(({ name }) => name).join(" · ")}</h1></header>
<main>
<section id="results"><h2>Results</h2>${resultsTable(runs)}</section>
<section id="curves"><h2>Curves</h2>${charts}</section>
<section id="differences"><h2>Where the configurations differ</h2>${differences(runs)}</section>
</main>`,
  );
};

/**
 * Writes a page that sets runs side by side.
 *
 * @throws ReportError for fewer than two folders, or as `writeReport`
 */
export const writeComparison = async (folders: readonly string[], file: string): Promise<void> => {
  if (folders.length < 2) throw new ReportError(`compare: ${folders.length} runs, expected at least two`);
  const names = namesOf(folders);
  const runs: Run[] = [];
  for (const [i, folder] of folders.entries()) runs.push({ ...(await readRun(folder)), name: names[i] as string });
  await replaceFile(file, [new TextEncoder().encode(await renderComparison(runs))]);
};
