/** What a run yields: plain data, the same in Node, a worker and a page. */
import type { DType } from "@striate/core/backend";

export const groups = [
  "contract",
  "ops",
  "gradients",
  "overrides",
  "random",
  "leaks",
  "errors",
  "vectors",
  "models",
  "training",
] as const;

export type Group = (typeof groups)[number];

export const groupTexts: Readonly<Record<Group, string>> = {
  contract: "storage, order, views, disposal: what every backend promises",
  ops: "forward, against the float64 reference",
  gradients: "backward, against finite differences of the reference; gradcheck in float64",
  overrides: "each optional kernel against core's decomposition",
  random: "Philox known answers, random bits and dropout masks bit for bit",
  leaks: "nothing is alive after a case that was not before",
  errors: "wrong calls are refused: typed, synchronous, before any kernel, leaking nothing",
  vectors: "golden vectors of single operators, forward and backward",
  models: "one training step of a small network; golden vectors of whole networks",
  training: "golden vectors of optimizers, schedules and 30-step trainings",
};

export type Status = "passed" | "failed" | "skipped";

/** Which cell of an op's row in the scorecard a case belongs to. */
export type Column = "forward" | "gradient" | "special" | "zeroSize" | "errors" | "leaks" | "overrides" | "vectors";

export interface CaseResult {
  /** `group:sample`, e.g. `gradients:conv2d/s2-p1-d2-g4-b#f32`; unique in a run. */
  readonly id: string;
  readonly group: Group;
  readonly op?: string;
  readonly dtype?: DType;
  readonly column?: Column;
  readonly status: Status;
  /** Why it failed or was skipped. */
  readonly reason?: string;
  /** The `knownFailures` entry that covers a failure; such a case counts as skipped. */
  readonly knownFailure?: string;
  /** Worst error over allowed error; above 1 is a failure. Infinity (an exact result missed) is null in JSON. */
  readonly ratio?: number | null;
  /** Worst error over eps·S for the class `bound`: grade A at 4 or less. */
  readonly constant?: number;
  /** Optional kernels of the backend that the case called. */
  readonly kernels?: readonly string[];
  readonly milliseconds: number;
}

export interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * One thing that a backend stands on an engine of others for (a bridge to tfjs, say), as its own probes found that engine:
 * `report()` of the backend.
 */
export interface EngineRow {
  readonly op: string;
  readonly dtype: string;
  /** The engine's name for it. */
  readonly kernel: string;
  /** How it is done. */
  readonly status: string;
  /** Why the engine's kernel is not used; `missing`, `passed over`, or `wrong` with the smallest call that shows it. */
  readonly reason?: {
    readonly kind: string;
    readonly code?: string;
    readonly expected?: string;
    readonly got?: string;
  };
}

export const schemaVersion = 1;

export interface ConformanceReport {
  /** Counts up when a field changes its meaning or goes. */
  readonly schemaVersion: typeof schemaVersion;
  readonly suite: "@striate/conformance";
  readonly backend: {
    readonly name: string;
    readonly dtypes: readonly DType[];
    readonly nan: "propagates" | "unspecified";
    readonly deterministic: boolean;
    readonly syncRead: boolean;
    /** Optional kernels that the backend has. */
    readonly kernels: readonly string[];
    /** Of backends that stand on an engine and say what they found. */
    readonly engine?: readonly EngineRow[];
  };
  /** Whether every case of the plan ran: false after an abort. */
  readonly complete: boolean;
  readonly summary: Summary;
  readonly results: readonly CaseResult[];
}

export const summarize = (results: readonly CaseResult[]): Summary => {
  const count = (status: Status): number => results.filter((result) => result.status === status).length;
  return { passed: count("passed"), failed: count("failed"), skipped: count("skipped") };
};

/** The closing line of every run. */
export const summaryLine = ({ passed, failed, skipped }: Summary): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;
