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

const duration = (seconds: number): string => {
  if (seconds >= 1) return `${number(seconds)} s`;
  return seconds >= 1e-3 ? `${number(seconds * 1e3)} ms` : `${number(seconds * 1e6)} µs`;
};

const spread = ({ min, max }: Summary, format: (value: number) => string): string => `${format(min)} .. ${format(max)}`;

const times = ({ median, min, max }: Summary): string => `${number(median)}x (${number(min)} .. ${number(max)})`;

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
    { title: "a run", width: 8, align: "right" },
    { title: "least .. most", width: 20, align: "right" },
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

  const measured = ({ batch, flop, samples, cold }: Measured, ratio: Summary | null): string[] => {
    const summary = summarize(samples);
    const rate = number(median(ratesOf({ batch, samples } as Measured)));
    return [
      batch === null ? "" : `${batch}`,
      duration(summary.median),
      cold ? "one cold run" : samples.length === 1 ? "one run" : spread(summary, duration),
      batch === null ? rate : `${rate} img`,
      number(flop / summary.median / 1e9),
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
  /** By peer. */
  readonly versions: ReadonlyMap<string, string>;
}

/** Seconds, images a second (runs, where there are none) and all samples, for programs to read. */
export const toJson = (
  { date, machine, options, versions }: ReportContext,
  results: readonly WorkloadResult[],
): string => {
  const { rounds, maxTime } = options;
  const report = {
    format: 1,
    date: date.toISOString(),
    machine,
    options: { rounds, maxTime },
    peers: options.peers.map((name) => ({ name, version: versions.get(name) })),
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
