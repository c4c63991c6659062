import { join } from "node:path";
import { float16ToFloat32, type HostTensor } from "@striate/checkpoint";
import { replaceFile } from "@striate/checkpoint/node";
import { html } from "hono/html";
import { decimal, duration, percent, roundPercent, whole } from "../ui/page/format.js";
import { createSeries, means, type SeriesData, smoothed } from "../ui/page/series.js";
import { chart, type Html } from "./chart.js";
import { allOf, lastOf, type MetricOf, type MetricRecord } from "./metrics.js";
import { cite, jsonTable, pointer, singlePage } from "./page.js";
import { toDataUrl, weightPicture } from "./pictures.js";
import type { Predictions } from "./predictions.js";
import { type RunFiles, readRun } from "./run-folder.js";

/** Buckets of a curve: about one for each pixel of the diagram. */
const resolution = 700;

const metricsFile = "metrics.jsonl";

/** Cites a field of a line of metrics.jsonl. */
const citeLine = (
  line: number,
  path: readonly (string | number)[],
  value: number | null | undefined,
  format?: Parameters<typeof cite>[2],
): Html => cite(`${metricsFile}:${line}${pointer(...path)}`, value, format);

const section = (id: string, title: string, body: Html | readonly Html[]): Html =>
  html`<section id="${id}"><h2>${title}</h2>${body}</section>`;

export const stepSeries = (records: readonly MetricRecord[]): SeriesData => {
  const series = createSeries(resolution);
  for (const { metric } of allOf(records, "step"))
    series.push(metric.step, { ...metric, secondsPerImage: metric.seconds / metric.images });
  return series.data;
};

/** Steps that the epochs came to an end after. */
const epochEnds = (records: readonly MetricRecord[]): number[] => {
  let end = 0;
  return allOf(records, "epoch").map(({ metric }) => {
    end += metric.steps;
    return end;
  });
};

/** A smoothing that shows the trend of a run of any length. */
export const windowOf = ({ last }: SeriesData): number => (last.at(-1) ?? 0) / 60;

const curvesSection = (records: readonly MetricRecord[]): Html => {
  const series = stepSeries(records);
  if (series.last.length === 0) return section("curves", "Curves", html`<p>No step was made.</p>`);
  const epochs = epochEnds(records);
  const validations = allOf(records, "validation");
  const { last, values } = series;
  const zip = (ys: readonly (number | null)[]) => last.map((x, i) => [x, ys[i] ?? null] as const);
  const progress = (column: "loss" | "accuracy", title: string, format: typeof decimal, tick = format): Html =>
    chart({
      title,
      xName: "step",
      format: tick,
      epochs,
      curves: [
        {
          name: "training, a batch",
          color: 0,
          band: last.map((x, i) => [x, values[column].min[i] ?? null, values[column].max[i] ?? null] as const),
        },
        { name: "training, smoothed", color: 1, line: zip(smoothed(series, column, windowOf(series))) },
        ...(validations.length > 0
          ? [
              {
                name: "validation",
                color: 2,
                line: validations.map(({ metric }) => [metric.step, metric[column]] as const),
                dots: validations.map(({ line, metric }) => ({
                  x: metric.step,
                  y: metric[column],
                  from: `${metricsFile}:${line}/${column}`,
                  title: `validation after step ${metric.step}: ${format(metric[column])}`,
                })),
              },
            ]
          : []),
      ],
    });
  return section("curves", "Curves", [
    progress("loss", "Loss", decimal),
    progress("accuracy", "Accuracy", percent, roundPercent),
    chart({
      title: "Learning rate",
      xName: "step",
      format: decimal,
      epochs,
      yRange: [0, 0],
      curves: [{ name: "of the largest parameter group", color: 3, line: zip(means(values.lr)) }],
    }),
    html`<p class="note">Shaded: every other epoch. The band is the range of the batches that share a place.</p>`,
  ]);
};

const testTable = (records: readonly MetricRecord[]): Html => {
  const tests = allOf(records, "test");
  if (tests.length === 0) return html`<p>The test set was not used.</p>`;
  return html`<div class="scroll"><table><thead><tr><th scope="col">weights</th><th scope="col">accuracy</th><th scope="col">loss</th><th scope="col">test images</th></tr></thead><tbody>
${tests.map(
  ({ line, metric }) =>
    html`<tr><th scope="row">${metric.which}</th><td>${citeLine(line, ["accuracy"], metric.accuracy, percent)}</td><td>${citeLine(line, ["loss"], metric.loss)}</td><td>${citeLine(line, ["images"], metric.images, whole)}</td></tr>`,
)}
</tbody></table></div>`;
};

const tile = (name: string, value: Html | string): Html =>
  html`<div class="tile"><dt>${name}</dt><dd>${value}</dd></div>`;

const headline = (records: readonly MetricRecord[]): Html => {
  const start = lastOf(records, "start");
  const end = lastOf(records, "end");
  const validations = allOf(records, "validation");
  const best = validations.reduce<(typeof validations)[number] | undefined>(
    (top, one) => (top && !(one.metric.accuracy > top.metric.accuracy) ? top : one),
    undefined,
  );
  const step = lastOf(records, "step");
  const tests = allOf(records, "test");
  return html`<dl class="tiles">
${tests.map(({ line, metric }) => tile(`test accuracy, ${metric.which}`, citeLine(line, ["accuracy"], metric.accuracy, percent)))}
${best ? tile("best validation accuracy", citeLine(best.line, ["accuracy"], best.metric.accuracy, percent)) : ""}
${end ? tile("time", citeLine(end.line, ["seconds"], end.metric.seconds, duration)) : ""}
${step ? tile("steps", citeLine(step.line, ["step"], step.metric.step, whole)) : ""}
${start?.metric.parameters === undefined ? "" : tile("parameters", citeLine(start.line, ["parameters"], start.metric.parameters, whole))}
${start ? tile("backend", start.metric.backend) : ""}
</dl>`;
};

const outcome = (records: readonly MetricRecord[], broken: number): Html => {
  const end = lastOf(records, "end")?.metric;
  const resumes = allOf(records, "resume").length;
  const notes = [
    end ? `Training ${end.ended}${end.reason ? `: ${end.reason}` : ""}.` : "The run has not ended.",
    ...(resumes > 0 ? [resumes === 1 ? "It was resumed once." : `It was resumed ${resumes} times.`] : []),
    ...(broken > 0 ? [`Lines of ${metricsFile} that were cut off: ${broken}.`] : []),
  ];
  return html`<p class="outcome">${notes.join(" ")}</p>`;
};

const timingSection = (records: readonly MetricRecord[]): Html => {
  const validations = allOf(records, "validation");
  const end = lastOf(records, "end");
  const rows = allOf(records, "epoch").map(({ line, metric }) => {
    const validation = validations.findLast((one) => one.metric.epoch === metric.epoch);
    const validated = (field: "loss" | "accuracy", format?: typeof percent): Html | string =>
      validation ? citeLine(validation.line, [field], validation.metric[field], format) : "–";
    return html`<tr><th scope="row">${metric.epoch + 1}</th>
<td>${citeLine(line, ["steps"], metric.steps, whole)}</td>
<td>${citeLine(line, ["trainLoss"], metric.trainLoss)}</td><td>${citeLine(line, ["trainAccuracy"], metric.trainAccuracy, percent)}</td>
<td>${validated("loss")}</td><td>${validated("accuracy", percent)}</td>
<td>${citeLine(line, ["imagesPerSecond"], metric.imagesPerSecond, whole)}</td><td>${citeLine(line, ["seconds"], metric.seconds, duration)}</td></tr>`;
  });
  return section(
    "timing",
    "Epochs and times",
    html`<div class="scroll"><table><thead><tr><th scope="col">epoch</th><th scope="col">steps</th><th scope="col">training loss</th><th scope="col">accuracy</th><th scope="col">validation loss</th><th scope="col">accuracy</th><th scope="col">images/s</th><th scope="col">time</th></tr></thead>
<tbody>${rows}</tbody>
${end ? html`<tfoot><tr><th scope="row" colspan="7">whole run, ${end.metric.ended}</th><td>${citeLine(end.line, ["seconds"], end.metric.seconds, duration)}</td></tr></tfoot>` : ""}
</table></div>`,
  );
};

/** Depth of colour, 0 to 10: what share of its label's images a cell holds. */
const heat = (count: number, all: number): number => (all === 0 || count === 0 ? 0 : Math.ceil((10 * count) / all));

const confusionTable = (
  line: number,
  { confusion, perClass }: MetricOf<"test">,
): Html => html`<div class="scroll"><table class="confusion">
<thead><tr><td></td><th scope="colgroup" colspan="${perClass.length}">predicted</th></tr>
<tr><th scope="col">label</th>${perClass.map(({ name }) => html`<th scope="col"><span>${name}</span></th>`)}</tr></thead>
<tbody>${confusion.map(
  (row, label) =>
    html`<tr><th scope="row">${perClass[label]?.name}</th>${row.map(
      (count, predicted) =>
        html`<td class="${label === predicted ? "right" : "wrong"} h${heat(count, perClass[label]?.images ?? 0)}">${citeLine(line, ["confusion", label, predicted], count, (n) => `${n}`)}</td>`,
    )}</tr>`,
)}</tbody></table></div>`;

const classesTable = (line: number, { perClass }: MetricOf<"test">): Html => html`<div class="scroll"><table>
<thead><tr><th scope="col">class</th><th scope="col">images</th><th scope="col">precision</th><th scope="col">recall</th><th scope="col">F1</th></tr></thead>
<tbody>${perClass.map(
  (figures, c) =>
    html`<tr><th scope="row">${figures.name}</th><td>${citeLine(line, ["perClass", c, "images"], figures.images, whole)}</td>${(
      ["precision", "recall", "f1"] as const
    ).map((field) => html`<td>${citeLine(line, ["perClass", c, field], figures[field], percent)}</td>`)}</tr>`,
)}</tbody></table></div>`;

const testSections = (records: readonly MetricRecord[], predictions: Predictions | undefined): readonly Html[] => {
  const which = predictions?.which;
  // Of the weights whose mistakes are shown below.
  const test = lastOf(records, "test", (metric) => which === undefined || metric.which === which);
  return test
    ? [
        section("confusion", `Confusion matrix, ${test.metric.which} weights`, confusionTable(test.line, test.metric)),
        section("classes", "Classes", classesTable(test.line, test.metric)),
      ]
    : [];
};

const mistakesSection = ({ classes, worst, split }: Predictions): Html =>
  section(
    "mistakes",
    "The worst mistakes",
    worst.length === 0
      ? html`<p>There are none.</p>`
      : html`<p class="note">Images (${split}) that the network was surest of, and wrong about: what it saw, and what they are.</p>
<div class="pictures">${worst.map(
          (
            { label, predicted, probability, png, index },
            i,
          ) => html`<figure><img class="pixels" src="${png}" alt="image ${index}" width="96" height="96">
<figcaption><b>${classes[predicted]}</b> ${cite(`predictions.json${pointer("worst", i, "probability")}`, probability, roundPercent)}<br><span>is ${classes[label]}</span></figcaption></figure>`,
        )}</div>`,
  );

const floatsOf = ({ dtype, data }: HostTensor): Float32Array | Float64Array | undefined => {
  if (dtype === "F32" || dtype === "F64") return data;
  return dtype === "F16" ? float16ToFloat32(data) : undefined;
};

const firstLayerNotes = {
  filters: "filters over red, green and blue; grey is zero, each has its own scale",
  units: "units as images of what they add up; grey is zero, each has its own scale",
  kernels: "a row for each filter; red is positive, blue negative",
  matrix: "red is positive, blue negative",
} as const;

/** The first weights that are a picture: those of the layer that sees the images. */
const filtersSection = (weights: NonNullable<RunFiles["weights"]>): Html | "" => {
  for (const [name, tensor] of weights) {
    const values = floatsOf(tensor);
    const { shape } = tensor;
    if (!values || (shape.length !== 4 && shape.length !== 2)) continue;
    const drawn = weightPicture(shape, values, { image: { channels: 3, height: 32, width: 32 } });
    if (!drawn) continue;
    const { picture, tiles, shown, of } = drawn;
    const enlarged = Math.max(1, Math.min(12, Math.floor(720 / picture.width)));
    return section(
      "filters",
      "First-layer filters",
      html`<p class="note"><code>${name}</code> [${shape.join(", ")}]${shown < of ? `, the first ${shown} of ${of}` : ""}: ${firstLayerNotes[tiles]}.</p>
<img class="pixels wide" src="${toDataUrl(picture)}" alt="weights of the first layer" width="${enlarged * picture.width}" height="${enlarged * picture.height}">`,
    );
  }
  return "";
};

const changesSection = (records: readonly MetricRecord[]): Html | "" => {
  const changes = allOf(records, "change");
  if (changes.length === 0) return "";
  const value = (line: number, metric: MetricOf<"change">, field: "lr" | "momentum" | "weightDecay"): Html | string =>
    metric[field] === undefined ? "" : citeLine(line, [field], metric[field]);
  return section(
    "changes",
    "Set by hand",
    html`<div class="scroll"><table><thead><tr><th scope="col">after step</th><th scope="col">learning rate</th><th scope="col">momentum</th><th scope="col">weight decay</th></tr></thead>
<tbody>${changes.map(
      ({ line, metric }) =>
        html`<tr><th scope="row">${citeLine(line, ["step"], metric.step, whole)}</th><td>${value(line, metric, "lr")}</td><td>${value(line, metric, "momentum")}</td><td>${value(line, metric, "weightDecay")}</td></tr>`,
    )}</tbody></table></div>`,
  );
};

const fileSection = (id: string, title: string, file: string, value: unknown): Html | "" =>
  value === undefined ? "" : section(id, title, jsonTable(file, value));

/** What a run calls itself. */
export const titleOf = (records: readonly MetricRecord[]): string => {
  const start = lastOf(records, "start")?.metric;
  return start
    ? [start.preset ?? start.network ?? "training", start.backend, `seed ${start.seed}`].join(" · ")
    : "a run";
};

/** The report of what a run folder holds. */
export const renderReport = async (run: RunFiles): Promise<string> => {
  const { records, broken, predictions, weights, config, environment, summary } = run;
  const title = titleOf(records);
  const start = lastOf(records, "start")?.metric;
  return singlePage(
    `${title} – Striate`,
    html`<header><p class="brand">Striate · training report</p><h1>${title}</h1>
${start ? html`<p>${start.network && start.preset ? html`${start.network} on ` : ""}${start.data}</p>` : ""}
${outcome(records, broken)}</header>
<main>
${headline(records)}
${section("results", "Results", testTable(records))}
${curvesSection(records)}
${timingSection(records)}
${testSections(records, predictions)}
${predictions ? mistakesSection(predictions) : ""}
${weights ? filtersSection(weights) : ""}
${changesSection(records)}
${fileSection("summary", "Summary", "summary.json", summary)}
${fileSection("config", "Configuration", "config.json", config)}
${fileSection("environment", "Environment", "environment.json", environment)}
</main>`,
  );
};

/**
 * Writes `report.html` beside what it is made of. @returns its path
 *
 * @throws ReportError or CheckpointError for a file that cannot be read or is not as this program writes it
 */
export const writeReport = async (folder: string): Promise<string> => {
  const path = join(folder, "report.html");
  const report = await renderReport(await readRun(folder));
  await replaceFile(path, [new TextEncoder().encode(report)]);
  return path;
};
