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

const percent = ({ median, min, max }: Summary): string => {
  const [middle, least, most] = [median, min, max].map((share) => Math.round(share * 100));
  return `${middle}% (${least} .. ${most})`;
};

/** `peers` are those that run. */
export const createTable = ({ workloads, peers }: Pick<Options, "workloads" | "peers">): Table => {
  const longest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length));
  const columns: readonly Column[] = [
    { title: "workload", width: longest(["workload", ...workloads.map(({ name }) => name)]), align: "left" },
    { title: "peer", width: longest(["peer", ...peers]), align: "left" },
    { title: "threads", width: 7, align: "right" },
    { title: "batch", width: 5, align: "right" },
    { title: "a run (least .. most)", width: 24, align: "right" },
    { title: "a second", width: 10, align: "right" },
    { title: "GFLOP/s", width: 7, align: "right" },
    { title: "of the peak", width: 16, align: "right" },
    { title: `${peers[0]} is`, width: 24, align: "right" },
  ];
  const line = (cells: readonly string[]): string =>
    columns
      .slice(0, cells.length)
      .map((column, i) => pad(column, cells[i] as string))
      .join("  ")
      .trimEnd();

  const measured = (cell: Measured, { ratio, share }: NamedCell): string[] => {
    const { batch, flop, samples, cold } = cell;
    const rate = number(median(ratesOf(cell)));
    return [
      batch === null ? "" : `${batch}`,
      duration(samples, cold ? "(one cold run)" : samples.length === 1 ? "(one run)" : ""),
      batch === null ? rate : `${rate} img`,
      number(flop / median(samples) / 1e9),
      share ? percent(share) : "",
      ratio ? times(ratio) : "",
    ];
  };
  const notes = { overBudget: "over budget", unsupported: "cannot", disagrees: "DISAGREES", failed: "FAILED" } as const;
  const row = (name: string, named: NamedCell): string => {
    const { peer, threads, cell } = named;
    const head = [name, peer, threads === null ? "" : `${threads}`];
    return cell.status === "measured"
      ? line([...head, ...measured(cell, named)])
      : `${line(head)}  ${notes[cell.status]}: ${cell.reason}`;
  };

  return {
    header: `${line(columns.map(({ title }) => title))}\n${"-".repeat(columns.reduce((n, { width }) => n + width + 2, -2))}`,
    rows: ({ workload, cells }) => cells.map((cell, i) => row(i === 0 ? workload.name : "", cell)).join("\n"),
  };
};

/** Whether every cell is a time, or says that the peer is too slow or has no way to do it. */
export const isClean = (results: readonly WorkloadResult[]): boolean =>
  results.every(({ cells }) => cells.every(({ cell }) => cell.status !== "disagrees" && cell.status !== "failed"));

export interface ReportContext {
  readonly date: Date;
  readonly machine: Machine;
  readonly options: Options;
  /** Of those that ran. */
  readonly peers: readonly PeerInfo[];
  /** Floating-point operations a second of one thread at the start; null if no peer is bound by it. */
  readonly peak: number | null;
}

export interface PeerInfo {
  readonly name: string;
  readonly version: string;
  readonly threads: number | null;
  readonly note: string | null;
}

/** Seconds, images a second (runs, where there are none) and all samples, for programs to read. */
export const toJson = (
  { date, machine, options, peers, peak }: ReportContext,
  results: readonly WorkloadResult[],
): string => {
  const { rounds, maxTime, cpuTime } = options;
  const report = {
    format: 2,
    date: date.toISOString(),
    machine,
    options: { rounds, maxTime, cpuTime },
    peers,
    peakGflops: peak === null ? null : peak / 1e9,
    results: results.map(({ workload, cells }) => ({
      workload: workload.name,
      problem: workload.problem,
      cells: cells.map(({ peer, threads, cell, ratio, share }) => {
        if (cell.status !== "measured") return { peer, threads, ...cell };
        const seconds = summarize(cell.samples);
        const rate = summarize(ratesOf(cell));
        return { peer, threads, ...cell, seconds, rate, gflops: cell.flop / seconds.median / 1e9, ratio, share };
      }),
    })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
};
