/** A report as a table: ops by dtype, a cell for each kind of check. */
import type { DType } from "@striate/core/backend";
import { cases } from "../cases/index.js";
import type { CaseResult, Column, ConformanceReport, EngineRow, Group, Status, Summary } from "../results.js";
import { groups, summarize } from "../results.js";
import type { OpCases } from "../suite.js";
import type { ToleranceClass } from "../tolerance.js";

export const columns = [
  "forward",
  "gradient",
  "vectors",
  "special",
  "zeroSize",
  "errors",
  "leaks",
  "overrides",
] as const satisfies readonly Column[];

export const columnTitles: Readonly<Record<Column, string>> = {
  forward: "forward",
  gradient: "gradient",
  vectors: "vectors",
  special: "special",
  zeroSize: "zero size",
  errors: "errors",
  leaks: "leaks",
  overrides: "override",
};

/**
 * Where the op runs: in the backend's own kernels, in core's decomposition, partly each; `required` for ops that need no
 * optional kernel; `unknown` where no case ran.
 */
export type Native = "native" | "partly" | "decomposed" | "required" | "unknown";

export interface Cell extends Summary {
  readonly status: Status;
}

export interface Row {
  readonly op: string;
  readonly dtype: DType;
  readonly tolerance: ToleranceClass;
  readonly native: Native;
  readonly cells: Readonly<Partial<Record<Column, Cell>>>;
  /** Worst error over allowed error; null for an exact result that was missed, undefined where nothing was measured. */
  readonly ratio: number | null | undefined;
  /** Class `bound`: A where the error stays within 4·eps·S. */
  readonly grade: "A" | "B" | undefined;
}

export interface Scorecard {
  readonly backend: string;
  readonly summary: Summary;
  readonly complete: boolean;
  readonly groups: readonly ({ readonly group: Group } & Summary)[];
  readonly rows: readonly Row[];
  /** What the backend's engine does not do itself, and why. */
  readonly replaced: readonly EngineRow[];
  readonly failures: readonly CaseResult[];
  /** Reasons for skips, with how many cases each covers. */
  readonly skips: readonly { readonly reason: string; readonly count: number }[];
}

const table: Readonly<Record<string, OpCases>> = cases;

const statusOf = ({ passed, failed }: Summary): Status => (failed > 0 ? "failed" : passed > 0 ? "passed" : "skipped");

const cellOf = (results: readonly CaseResult[]): Cell => {
  const summary = summarize(results);
  return { ...summary, status: statusOf(summary) };
};

const nativeOf = (op: string, results: readonly CaseResult[]): Native => {
  if (results.every(({ status }) => status === "skipped")) return "unknown";
  const kernels = table[op]?.kernels ?? [];
  if (kernels.length === 0) return "required";
  const called = new Set(results.flatMap((result) => result.kernels ?? []));
  const found = kernels.filter((kernel) => called.has(kernel)).length;
  return found === 0 ? "decomposed" : found === kernels.length ? "native" : "partly";
};

const groupBy = <T, K>(items: readonly T[], key: (item: T) => K): Map<K, T[]> => {
  const found = new Map<K, T[]>();
  for (const item of items) found.set(key(item), [...(found.get(key(item)) ?? []), item]);
  return found;
};

const rowOf = (op: string, dtype: DType, results: readonly CaseResult[]): Row => {
  const { tolerance } = table[op] as OpCases;
  const cells = Object.fromEntries(
    columns.flatMap((column) => {
      const own = results.filter((result) => result.column === column);
      return own.length > 0 ? [[column, cellOf(own)]] : [];
    }),
  ) as Row["cells"];
  const ratios = results.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio]));
  const constants = results.flatMap(({ constant }) => (constant === undefined ? [] : [constant]));
  return {
    op,
    dtype,
    tolerance,
    native: nativeOf(
      op,
      results.filter(({ group }) => group === "ops" || group === "gradients"),
    ),
    cells,
    ratio: ratios.includes(null) ? null : ratios.length > 0 ? Math.max(...(ratios as number[])) : undefined,
    grade: constants.length === 0 ? undefined : Math.max(...constants) <= 4 ? "A" : "B",
  };
};

export const buildScorecard = ({ backend, summary, complete, results }: ConformanceReport): Scorecard => {
  const order = Object.keys(table);
  // What the backend does not have comes last.
  const rank = (dtype: DType): number => (backend.dtypes.includes(dtype) ? backend.dtypes.indexOf(dtype) : 99);
  const ofOps = results.filter((result) => result.op !== undefined && result.op in table && result.dtype !== undefined);
  const rows = [...groupBy(ofOps, ({ op, dtype }) => `${op}#${dtype}`).values()]
    .map((own) => rowOf((own[0] as CaseResult).op as string, (own[0] as CaseResult).dtype as DType, own))
    .sort((a, b) => order.indexOf(a.op) - order.indexOf(b.op) || rank(a.dtype) - rank(b.dtype));
  const skipped = groupBy(
    results.filter(({ status }) => status === "skipped"),
    ({ reason }) => reason ?? "",
  );
  return {
    backend: backend.name,
    summary,
    complete,
    groups: groups.flatMap((group) => {
      const own = results.filter((result) => result.group === group);
      return own.length > 0 ? [{ group, ...summarize(own) }] : [];
    }),
    rows,
    replaced: (backend.engine ?? []).filter(({ status }) => status !== "native"),
    failures: results.filter(({ status }) => status === "failed"),
    skips: [...skipped].map(([reason, own]) => ({ reason, count: own.length })),
  };
};
