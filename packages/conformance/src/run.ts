import { BackendLostError } from "@striate/core";
import type { Backend } from "@striate/core/backend";
import type { Case, CaseMeasurement, Context } from "./case.js";
import { ConformanceFailure, SkipCase } from "./failure.js";
import { type Instrumented, instrument } from "./instrument.js";
import { judgeBy, type KnownFailure, staleEntries } from "./known-failures.js";
import { type PlanOptions, planCases } from "./plan.js";
import { type CaseResult, type ConformanceReport, type EngineRow, schemaVersion, summarize } from "./results.js";
import type { Precision } from "./tolerance.js";

export interface ConformanceOptions extends PlanOptions {
  /** As in `--backend NAME`. */
  readonly name: string;
  /** A fresh, independent backend at each call. */
  readonly create: () => Promise<Backend>;
  readonly knownFailures?: readonly KnownFailure[];
  /** What pointwise ops are held to. Default: what the backend declares. */
  readonly precision?: Precision;
  /** Milliseconds after which a pending case counts as hanging. Default 60,000. */
  readonly timeout?: number;
  /** Leave out the first cases of the plan: how an isolated run goes on after a hang. Default 0. */
  readonly startAt?: number;
  /** Today, for `expires`. Default: the clock. */
  readonly now?: Date;
  /** Promises of these three are awaited before anything else runs. */
  readonly onPlan?: (plan: { readonly total: number }) => void | Promise<void>;
  readonly onStart?: (event: StartEvent) => void | Promise<void>;
  readonly onResult?: (result: CaseResult) => void | Promise<void>;
  /** Aborting ends the run after the current case; the report says `complete: false`. */
  readonly signal?: AbortSignal;
}

export interface StartEvent {
  readonly id: string;
  /** Position in the plan. */
  readonly index: number;
  /** Milliseconds that the case has. */
  readonly timeout: number;
  /** The result, should the case never end. */
  readonly hung: CaseResult;
}

const describe = (error: unknown): string => {
  if (error instanceof ConformanceFailure) return error.message;
  return error instanceof Error ? `threw ${error.name}: ${error.message}` : `threw ${String(error)}`;
};

const hangs = (milliseconds: number): string => `hangs: no result after ${milliseconds / 1000} s`;

const withTimeout = async <T>(work: Promise<T>, milliseconds: number): Promise<T> => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Hang(milliseconds)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

class Hang extends ConformanceFailure {
  constructor(milliseconds: number) {
    super(hangs(milliseconds));
  }
}

const finite = ({ ratio, constant }: CaseMeasurement): Partial<CaseResult> => ({
  ...(ratio !== undefined && { ratio: Number.isFinite(ratio) ? ratio : null }),
  ...(constant !== undefined && { constant }),
});

const optionalKernels = (backend: Backend): string[] =>
  Object.entries(backend.kernels).flatMap(([name, kernel]) => (typeof kernel === "function" || !kernel ? [] : [name]));

const engineRows = (backend: Backend): readonly EngineRow[] | undefined =>
  (backend as { report?(): readonly EngineRow[] }).report?.();

/** The suite on one backend, case by case. */
export interface OpenSuite {
  readonly cases: readonly { readonly id: string; readonly timeout: number }[];
  /** Never throws for what a backend does wrong. Cases may run in any order, one at a time. */
  runCase(index: number): Promise<CaseResult>;
  /** Describes the backend and what was run. */
  report(results: readonly CaseResult[]): ConformanceReport;
  /** Failures of known failures that cover no case of the whole plan. */
  readonly stale: readonly CaseResult[];
  close(): void;
}

type SuiteOptions = Omit<ConformanceOptions, "onPlan" | "onResult" | "signal" | "startAt">;

/** @throws what `create` throws the first time, TypeError for a bad option. */
export const openSuite = async (options: SuiteOptions): Promise<OpenSuite> => {
  const { name, create, knownFailures = [], timeout = 60_000 } = options;
  const classify = judgeBy(knownFailures, options.now ?? new Date());
  let backend = await create();
  let instrumented: Instrumented = instrument(backend);
  const { caps } = backend;
  const precision = options.precision ?? caps.precision ?? "ieee";
  const kernels = optionalKernels(backend);
  const engine = engineRows(backend);
  const plan = planCases(caps, kernels, options);
  const limitOf = (item: Case): number => Math.max(timeout, item.timeout ?? 0);

  const renew = async (): Promise<void> => {
    backend.dispose();
    backend = await create();
    instrumented = instrument(backend);
  };

  const runCase = async (index: number): Promise<CaseResult> => {
    const item = plan[index] as Case;
    const { id, group, op, dtype, column } = item;
    const base = { id, group, ...(op && { op }), ...(dtype && { dtype }), ...(column && { column }) };
    if (item.skip) return { ...base, status: "skipped", reason: item.skip, milliseconds: 0 };
    const limit = limitOf(item);
    const hung = classify({ ...base, status: "failed", reason: hangs(limit), milliseconds: limit });
    await options.onStart?.({ id, index, timeout: limit, hung });
    const start = performance.now();
    const elapsed = (): number => Math.round(performance.now() - start);
    const context: Context = { backend: instrumented.backend, instrumented, create, precision };
    instrumented.reset();
    const violations = instrumented.violations.length;
    const violation = (): string | undefined => instrumented.violations[violations];
    try {
      const measured = (await withTimeout(item.run(context), limit)) ?? {};
      const broken = violation();
      if (broken) throw new ConformanceFailure(broken);
      const called = [...instrumented.called].filter((kernel) => kernels.includes(kernel));
      return classify({ ...base, status: "passed", ...finite(measured), kernels: called, milliseconds: elapsed() });
    } catch (error) {
      if (error instanceof SkipCase)
        return { ...base, status: "skipped", reason: error.message, milliseconds: elapsed() };
      const failed = classify({
        ...base,
        status: "failed",
        reason: violation() ?? describe(error),
        milliseconds: elapsed(),
      });
      if (error instanceof Hang || error instanceof BackendLostError) await renew();
      return failed;
    }
  };

  return {
    cases: plan.map((item) => ({ id: item.id, timeout: limitOf(item) })),
    runCase,
    stale:
      options.filter || options.groups || options.shard
        ? []
        : staleEntries(
            knownFailures,
            plan.map(({ id }) => id),
          ),
    report: (results) => ({
      schemaVersion,
      suite: "@striate/conformance",
      backend: {
        name,
        dtypes: [...caps.dtypes],
        nan: caps.nan,
        deterministic: caps.deterministic,
        syncRead: caps.syncRead,
        kernels,
        ...(engine && { engine }),
      },
      complete: results.length >= plan.length,
      summary: summarize(results),
      results,
    }),
    close: () => backend.dispose(),
  };
};

/**
 * Run the suite on a backend. Never throws for what a backend does wrong: that is a failed case. A kernel that loops for
 * ever cannot be interrupted from inside; `runIsolated` can.
 *
 * @throws what `create` throws the first time, TypeError for a bad option.
 */
export const runConformance = async (options: ConformanceOptions): Promise<ConformanceReport> => {
  const { startAt = 0, signal } = options;
  const suite = await openSuite(options);
  await options.onPlan?.({ total: suite.cases.length });
  const results: CaseResult[] = [];
  const report = async (result: CaseResult): Promise<void> => {
    results.push(result);
    await options.onResult?.(result);
  };
  let index = startAt;
  for (; index < suite.cases.length && !signal?.aborted; index++) await report(await suite.runCase(index));
  if (index === suite.cases.length) for (const result of suite.stale) await report(result);
  suite.close();
  return { ...suite.report(results), complete: index === suite.cases.length };
};
