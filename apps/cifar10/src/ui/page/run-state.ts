/** Where a run stands, from its metrics: kept by the server for pages that come late, and by the page itself. */
import type { Metric, MetricOf } from "../../report/metrics.js";
import type { EvaluationView, Knobs, PageMessage, RunStatus, Snapshot, SnapshotName } from "../protocol.js";
import { createSeries, emptySeries, type SeriesData } from "./series.js";

/** Buckets that curves are kept in: as many as a screen has room for, little to send and to draw. */
export const capacity = 1000;

export interface RunState {
  readonly title: string;
  /** What there is to know of the run: names and values. */
  readonly facts: readonly (readonly [string, string])[];
  status: RunStatus | "starting" | "ended";
  /** Seconds since the start of the run, of the last metric. */
  time: number;
  start?: MetricOf<"start">;
  step?: MetricOf<"step">;
  /** Mean of the last steps, which count less the longer ago. */
  secondsPerStep: number;
  series: SeriesData;
  epochs: MetricOf<"epoch">[];
  /** Steps made at the end of each of `epochs`. */
  epochEnds: number[];
  validations: MetricOf<"validation">[];
  changes: MetricOf<"change">[];
  /** So many of them, the first ones, repeat another run's: they came before their time, and before any checkpoint. */
  planned?: number;
  /** Without their matrices. */
  tests: { readonly which: string; readonly accuracy: number; readonly loss: number; readonly images: number }[];
  end?: MetricOf<"end">;
  knobs?: Knobs;
  evaluation?: EvaluationView;
  snapshots: Partial<Record<SnapshotName, Snapshot<string>>>;
}

export interface RunTracker {
  /** JSON can carry it, with null for what is not finite. */
  readonly state: RunState;
  metric(metric: Metric): void;
  message(message: PageMessage): void;
}

export const emptyState = (title: string, facts: RunState["facts"]): RunState => ({
  title,
  facts,
  status: "starting",
  time: 0,
  secondsPerStep: 0,
  series: emptySeries(),
  epochs: [],
  epochEnds: [],
  validations: [],
  changes: [],
  tests: [],
  snapshots: {},
});

/** Goes on from `state`, which it changes. */
export const trackRun = (state: RunState): RunTracker => {
  const series = createSeries(capacity, state.series);

  const step = (metric: MetricOf<"step">): void => {
    const { seconds } = metric;
    const keep = state.step === undefined ? 0 : 0.95;
    state.secondsPerStep = keep * state.secondsPerStep + (1 - keep) * seconds;
    state.step = metric;
    series.push(metric.step, { ...metric, secondsPerImage: seconds / metric.images });
    state.series = series.data;
  };

  /** The steps behind the checkpoint are made again. */
  const rewind = (to: number): void => {
    series.truncate(to);
    state.series = series.data;
    const kept = state.epochEnds.filter((end) => end <= to).length;
    state.epochEnds.length = kept;
    state.epochs.length = kept;
    state.validations = state.validations.filter((one) => one.step <= to);
    state.changes = state.changes.filter((one, i) => one.step <= to || i < (state.planned ?? 0));
    // What comes behind the last step comes again.
    state.tests = [];
    delete state.end;
    state.status = "running";
  };

  const handlers: { readonly [E in Metric["event"]]: (metric: MetricOf<E>) => void } = {
    start: (metric) => {
      state.start = metric;
    },
    step,
    epoch: (metric) => {
      state.epochs.push(metric);
      state.epochEnds.push(state.step?.step ?? 0);
    },
    validation: (metric) => {
      state.validations.push(metric);
    },
    checkpoint: () => {
      state.planned ??= state.changes.length;
    },
    change: (metric) => {
      state.changes.push(metric);
    },
    resume: (metric) => rewind(metric.step),
    test: ({ which, accuracy, loss, images }) => {
      state.tests.push({ which, accuracy, loss, images });
    },
    end: (metric) => {
      state.end = metric;
      state.status = "ended";
    },
  };

  return {
    state,
    metric: (metric) => {
      state.time = Math.max(state.time, metric.time);
      if (state.status === "starting") state.status = "running";
      (handlers[metric.event] as (metric: Metric) => void)(metric);
    },
    message: (message) => {
      if (message.type === "status" && state.status !== "ended") state.status = message.status;
      else if (message.type === "knobs") state.knobs = message.knobs;
      else if (message.type === "snapshot") state.snapshots[message.snapshot.what] = message.snapshot;
      else if (message.type === "evaluated") state.evaluation = message.evaluation;
    },
  };
};
