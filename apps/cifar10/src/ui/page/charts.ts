import uPlot from "uplot";
import { element, setText, themeColor } from "./dom.js";
import { decimal, percent, roundPercent, whole } from "./format.js";
import type { RunState } from "./run-state.js";
import { type Column, means, smoothed } from "./series.js";

export interface Chart {
  readonly root: HTMLElement;
  /** `window`: steps to smooth over. */
  update(state: RunState, window: number): void;
  /** Colours of a theme are read when a chart is made. */
  restyle(): void;
}

export interface ChartKind {
  readonly title: string;
  readonly column: Column;
  readonly height: number;
  /** Of figures under the pointer. */
  readonly format: (value: number | null | undefined) => string;
  /** Of the axis. */
  readonly tick: (value: number | null | undefined) => string;
  /** What is drawn: the steps with a smoothed curve over them, that curve alone, or the steps alone. */
  readonly curves: "both" | "smoothed" | "steps";
  /** What is shown for a value of the column. Default: the value. */
  readonly shown?: (value: number) => number;
  /** Where a validation has it. */
  readonly validation?: "loss" | "accuracy";
}

export const chartKinds: readonly ChartKind[] = [
  { title: "Loss", column: "loss", height: 320, format: decimal, tick: decimal, curves: "both", validation: "loss" },
  {
    title: "Accuracy",
    column: "accuracy",
    height: 320,
    format: percent,
    tick: roundPercent,
    curves: "both",
    validation: "accuracy",
  },
  { title: "Learning rate", column: "lr", height: 150, format: decimal, tick: decimal, curves: "steps" },
  {
    title: "Images per second",
    // Times can be averaged, speeds cannot.
    column: "secondsPerImage",
    shown: (seconds) => 1 / seconds,
    height: 150,
    format: whole,
    tick: whole,
    curves: "smoothed",
  },
];

/** Between ticks: there is no half a step. */
const wholeSteps: number[] = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

type Values = readonly (number | null | undefined)[];

/** Marks where epochs lie: every other one is shaded. */
const shadeEpochs =
  (ends: () => readonly number[], color: string) =>
  (plot: uPlot): void => {
    const { ctx } = plot;
    const { top, height, left, width } = plot.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.fillStyle = color;
    const all = ends();
    // The epoch that goes on has no end yet.
    const borders = [...all, plot.scales["x"]?.max ?? 0];
    for (let i = 1; i < borders.length; i += 2) {
      const from = plot.valToPos(borders[i - 1] as number, "x", true);
      const to = plot.valToPos(borders[i] as number, "x", true);
      ctx.fillRect(from, top, to - from, height);
    }
    ctx.restore();
  };

/** An entry of the legend. */
const key = (color: string, text: string): HTMLElement => element("span", { className: `key ${color}` }, text);

export const createChart = (kind: ChartKind): Chart => {
  const { title, column, height, format, tick, curves, shown = (value) => value, validation } = kind;
  const both = curves === "both";
  const readout = element("output", { className: "readout" });
  const box = element("div", { className: "plot" });
  const root = element(
    "section",
    { className: "card chart" },
    element(
      "header",
      { className: "head" },
      element("h2", {}, title),
      both && key("c0", "batches"),
      both && key("c1", "smoothed"),
      validation && key("c2", "validation"),
      readout,
    ),
    box,
  );
  let plot: uPlot | undefined;
  let epochEnds: readonly number[] = [];

  const showCursor = ({ cursor, data }: uPlot): void => {
    const { idx } = cursor;
    if (idx === null || idx === undefined) {
      setText(readout, "");
      return;
    }
    const at = (series: number): number | null | undefined => (data[series] as Values | undefined)?.[idx];
    const parts = [`step ${(data[0] as Values)[idx]}`];
    if (typeof at(3) === "number") parts.push(`${format(at(3))}${both ? " smoothed" : ""}`);
    if (typeof at(4) === "number") parts.push(`${format(at(4))} validation`);
    setText(readout, parts.join(" · "));
  };

  const make = (): uPlot => {
    const [text, rule, shade] = ["--quiet", "--rule", "--shade"].map(themeColor) as [string, string, string];
    const [raw, line, points] = ["--c0", both ? "--c1" : "--c3", "--c2"].map(themeColor) as [string, string, string];
    const axis = { stroke: text, grid: { stroke: rule, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const rawSeries: uPlot.Series = { stroke: raw, width: 1, points: { show: false }, spanGaps: true };
    return new uPlot(
      {
        width: Math.max(200, box.clientWidth),
        height,
        scales: { x: { time: false } },
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        axes: [
          { ...axis, grid: { show: false }, size: 28, incrs: wholeSteps },
          { ...axis, size: 62, values: (_plot, ticks) => ticks.map((value) => tick(value)) },
        ],
        series: [
          {},
          rawSeries,
          rawSeries,
          { stroke: line, width: 2, points: { show: false }, spanGaps: true },
          {
            stroke: points,
            width: 1.5,
            dash: [4, 4],
            spanGaps: true,
            points: { show: true, size: 8, fill: points, stroke: points },
          },
        ],
        bands: [{ series: [2, 1], fill: raw }],
        hooks: { drawClear: [shadeEpochs(() => epochEnds, shade)], setCursor: [showCursor] },
      },
      [[], [], [], [], []],
      box,
    );
  };

  const current = (): uPlot => {
    plot ??= make();
    return plot;
  };

  new ResizeObserver(() => {
    if (plot && box.clientWidth > 0) plot.setSize({ width: box.clientWidth, height });
  }).observe(box);

  return {
    root,
    update: (state, window) => {
      const { series, validations } = state;
      epochEnds = state.epochEnds;
      const values = series.values[column];
      const middle = curves === "steps" ? means(values) : smoothed(series, column, window);
      const line = middle.map((value) => (value === null ? null : shown(value)));
      const none = line.map(() => null);
      const tables: uPlot.AlignedData[] = [[series.last, both ? values.min : none, both ? values.max : none, line]];
      // Validations lie at ends of epochs, steps in the curves at ends of buckets.
      tables.push(
        validation ? [validations.map(({ step }) => step), validations.map((one) => one[validation])] : [[], []],
      );
      current().setData(uPlot.join(tables));
    },
    restyle: () => {
      const data = plot?.data;
      plot?.destroy();
      plot = undefined;
      if (data) current().setData(data);
    },
  };
};
