/** Runs side by side, as figures and as text. */
import { basename, join } from "node:path";
import type { Json } from "./config/merge.js";
import { isObject } from "./config/merge.js";
import { clock, percent } from "./progress-line.js";
import { currentRecords, lastOf, type MetricRecord, readMetrics } from "./report/metrics.js";
import type { Style } from "./reporter.js";
import { RunError, runConfig } from "./runs.js";
import { aligned } from "./text-table.js";

export interface RunFigures {
  readonly run: string;
  readonly backend: string | null;
  readonly steps: number | null;
  readonly trainLoss: number | null;
  readonly validationAccuracy: number | null;
  /** On the test images: of the weights of the last step, and of those that were selected. */
  readonly lastAccuracy: number | null;
  readonly bestAccuracy: number | null;
  readonly imagesPerSecond: number | null;
  /** Of training. */
  readonly seconds: number | null;
  /** How it ended; null while it runs, or was killed. */
  readonly ended: string | null;
}

export interface Comparison {
  readonly runs: readonly RunFigures[];
  /** By path in the config: the value in each run, null where it has none. */
  readonly differences: Readonly<Record<string, readonly Json[]>>;
}

const finite = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : value;

const figuresOf = (run: string, records: readonly MetricRecord[]): RunFigures => {
  const epoch = lastOf(records, "epoch")?.metric;
  const tested = (which: string): number | null =>
    finite(lastOf(records, "test", (metric) => metric.which === which)?.metric.accuracy);
  const end = lastOf(records, "end")?.metric;
  return {
    run: basename(run),
    backend: lastOf(records, "start")?.metric.backend ?? null,
    steps: finite(lastOf(records, "step")?.metric.step),
    trainLoss: finite(epoch?.trainLoss),
    validationAccuracy: finite(lastOf(records, "validation")?.metric.accuracy),
    lastAccuracy: tested("last"),
    bestAccuracy: tested("best"),
    imagesPerSecond: finite(epoch?.imagesPerSecond),
    seconds: finite(end?.seconds),
    ended: end?.ended ?? null,
  };
};

/** Every value by its path; lists are values. */
const leavesOf = (value: Json, path = ""): [string, Json][] =>
  isObject(value)
    ? Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path === "" ? key : `${path}.${key}`))
    : [[path, value]];

const differencesOf = (configs: readonly Json[]): Record<string, readonly Json[]> => {
  const flat = configs.map((config) => new Map(leavesOf(config)));
  const paths = [...new Set(flat.flatMap((leaves) => [...leaves.keys()]))];
  return Object.fromEntries(
    paths
      .map((path) => [path, flat.map((leaves) => leaves.get(path) ?? null)] as const)
      .filter(([, values]) => new Set(values.map((value) => JSON.stringify(value))).size > 1),
  );
};

/** @throws RunError for a run without metrics that can be read */
export const compareRuns = async (folders: readonly string[]): Promise<Comparison> => {
  const runs: RunFigures[] = [];
  for (const folder of folders) {
    const { records } = await readMetrics(join(folder, "metrics.jsonl")).catch((error: unknown) => {
      throw new RunError(`${folder}: ${(error as Error).message}`, { cause: error });
    });
    runs.push(figuresOf(folder, currentRecords(records)));
  }
  return { runs, differences: differencesOf(folders.map((folder) => runConfig(folder) as unknown as Json)) };
};

const columns: readonly (readonly [title: string, text: (run: RunFigures) => string | undefined])[] = [
  ["run", ({ run }) => run],
  ["backend", ({ backend }) => backend ?? undefined],
  ["steps", ({ steps }) => steps?.toString()],
  ["train loss", ({ trainLoss }) => trainLoss?.toFixed(3)],
  ["validation", ({ validationAccuracy: v }) => (v === null ? undefined : percent(v))],
  ["test, last", ({ lastAccuracy: v }) => (v === null ? undefined : percent(v))],
  ["test, best", ({ bestAccuracy: v }) => (v === null ? undefined : percent(v))],
  ["images/s", ({ imagesPerSecond: v }) => (v === null ? undefined : `${Math.round(v)}`)],
  ["time", ({ seconds }) => (seconds === null ? undefined : clock(seconds))],
  ["ended", ({ ended }) => ended ?? "not yet"],
];

export const comparisonText = ({ runs, differences }: Comparison, { bold }: Style): string => {
  const table = aligned([
    columns.map(([title]) => title),
    ...runs.map((run) => columns.map(([, text]) => text(run) ?? "-")),
  ]);
  const rows = [
    ["", ...runs.map(({ run }) => run)],
    ...Object.entries(differences).map(([path, values]) => [path, ...values.map((value) => JSON.stringify(value))]),
  ];
  return [bold(table[0] as string), ...table.slice(1), "", bold("where the configs differ"), ...aligned(rows)].join(
    "\n",
  );
};
