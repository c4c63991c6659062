/** Results as lines of a table, and as JSON. */
import type { Machine } from "./machine.js";
import { type Measured, type NamedCell, ratesOf, type WorkloadResult } from "./measure.js";
import type { Options } from "./options.js";
import { median, type Summary, summarize } from "./statistics.js";

/** Three significant digits, no exponent. */
const number = (value: number): string => {
  if (value >= 100) return Math.round(value).toString();
  return value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : value >= 0.1 ? 3 : 4);
};

/** From large to small. */
const units = [
  { name: "s", seconds: 1 },
  { name: "ms", seconds: 1e-3 },
  { name: "µs", seconds: 1e-6 },
] as const;

const smallestUnit = units[2];

const range = ({ min, max }: Summary): string => `(${number(min)} .. ${number(max)})`;

/** `7.43 ms (7.12 .. 8.91)` */
const duration = (samples: readonly number[], note: string): string => {
  const summary = summarize(samples);
  const { name, seconds } = units.find((unit) => summary.median >= unit.seconds) ?? smallestUnit;
  const scaled = summarize(samples.map((sample) => sample / seconds));
  return `${number(scaled.median)} ${name} ${note === "" ? range(scaled) : note}`;
};

const times = (ratio: Summary): string => `${number(ratio.median)}x ${range(ratio)}`;

interface Column {
  readonly title: string;
  readonly width: number;
  readonly align: "left" | "right";
}

const pad = ({ width, align }: Column, text: string): string =>
  align === "left" ? text.padEnd(width) : text.padStart(width);

/** Writes a line for each cell as soon as it is known, so its widths are settled beforehand. */
export interface Table {
  readonly header: string;
  rows(result: WorkloadResult): string;
}

export const createTable = ({ workloads, peers }: Pick<Options, "workloads" | "peers">): Table => {
  const longest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length));
  const columns: readonly Column[] = [
    { title: "workload", width: longest(["workload", ...workloads.map(({ name }) => name)]), align: "left" },
    { title: "peer", width: longest(["peer", ...peers]), align: "left" },
    { title: "batch", width: 5, align: "right" },
    { title: "a run (least .. most)", width: 24, align: "right" },
    { title: "a second", width: 10, align: "right" },
    { title: "GFLOP/s", width: 7, align: "right" },
    { title: `${peers[0]} is`, width: 24, align: "right" },
  ];
  const line = (cells: readonly string[]): string =>
    columns
      .slice(0, cells.length)
      .map((column, i) => pad(column, cells[i] as string))
      .join("  ")
      .trimEnd();

  const measured = (cell: Measured, ratio: Summary | null): string[] => {
    const { batch, flop, samples, cold } = cell;
    const rate = number(median(ratesOf(cell)));
    return [
      batch === null ? "" : `${batch}`,
      duration(samples, cold ? "(one cold run)" : samples.length === 1 ? "(one run)" : ""),
      batch === null ? rate : `${rate} img`,
      number(flop / median(samples) / 1e9),
      ratio ? times(ratio) : "",
    ];
  };
  const notes = { overBudget: "over budget", disagrees: "DISAGREES", failed: "FAILED" } as const;
  const row = (name: string, { peer, cell, ratio }: NamedCell): string =>
    cell.status === "measured"
      ? line([name, peer, ...measured(cell, ratio)])
      : `${line([name, peer])}  ${notes[cell.status]}: ${cell.reason}`;

  return {
    header: `${line(columns.map(({ title }) => title))}\n${"-".repeat(columns.reduce((n, { width }) => n + width + 2, -2))}`,
    rows: ({ workload, cells }) => cells.map((cell, i) => row(i === 0 ? workload.name : "", cell)).join("\n"),
  };
};

/** Whether every cell is a time, or why there is none is the peer's speed. */
export const isClean = (results: readonly WorkloadResult[]): boolean =>
  results.every(({ cells }) => cells.every(({ cell }) => cell.status === "measured" || cell.status === "overBudget"));

export interface ReportContext {
  readonly date: Date;
  readonly machine: Machine;
  readonly options: Options;
  /** Of those that ran. */
  readonly versions: ReadonlyMap<string, string>;
}

/** Seconds, images a second (runs, where there are none) and all samples, for programs to read. */
export const toJson = (
  { date, machine, options, versions }: ReportContext,
  results: readonly WorkloadResult[],
): string => {
  const { rounds, maxTime, cpuTime } = options;
  const report = {
    format: 1,
    date: date.toISOString(),
    machine,
    options: { rounds, maxTime, cpuTime },
    peers: [...versions].map(([name, version]) => ({ name, version })),
    results: results.map(({ workload, cells }) => ({
      workload: workload.name,
      problem: workload.problem,
      cells: cells.map(({ peer, cell, ratio }) => {
        if (cell.status !== "measured") return { peer, ...cell };
        const seconds = summarize(cell.samples);
        const rate = summarize(ratesOf(cell));
        return { peer, ...cell, seconds, rate, gflops: cell.flop / seconds.median / 1e9, ratio };
      }),
    })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
};
