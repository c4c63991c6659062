/** What a run wrote into metrics.jsonl: one JSON object a line, each with `event` and `time`; docs/training.md has all of them. */
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { ReportError } from "./error.js";

/** JSON has no NaN: what was not finite is null there. */
const figure = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);
const count = z.int().nonnegative();
/** Seconds. */
const seconds = z.number();

const line = <E extends string, S extends z.ZodRawShape>(event: E, shape: S) =>
  // Later versions may write more.
  z.looseObject({ event: z.literal(event), time: seconds, ...shape });

const classFigures = z.looseObject({
  name: z.string(),
  images: count,
  /** Null where there is nothing to divide by: a class that was never predicted, or has no image. */
  precision: z.number().nullable(),
  recall: z.number().nullable(),
  f1: z.number().nullable(),
});

const lines = {
  start: line("start", {
    /** In all epochs. */
    steps: count,
    epochs: z.number(),
    batchSize: count,
    backend: z.string(),
    seed: z.number(),
    data: z.string(),
    preset: z.string().optional(),
    network: z.string().optional(),
    parameters: count.optional(),
    classes: z.array(z.string()),
  }),
  step: line("step", {
    /** Steps made: 1 after the first. */
    step: count,
    /** From 0. */
    epoch: count,
    loss: figure,
    accuracy: figure,
    lr: figure,
    images: count,
    seconds,
  }),
  epoch: line("epoch", {
    epoch: count,
    steps: count,
    trainLoss: figure,
    trainAccuracy: figure,
    imagesPerSecond: figure,
    seconds,
  }),
  validation: line("validation", { epoch: count, step: count, loss: figure, accuracy: figure, images: count }),
  checkpoint: line("checkpoint", { step: count, file: z.string(), best: z.boolean().optional() }),
  /** Set by hand in the live page after `step` steps; before its time, directly behind `start`, if it repeats that of another run. */
  change: line("change", {
    step: count,
    /** Of the largest parameter group in the next step; `lrScale` is what it multiplies the schedule with. */
    lr: z.number().optional(),
    lrScale: z.number().optional(),
    momentum: z.number().optional(),
    weightDecay: z.number().optional(),
  }),
  /** The run goes on from the checkpoint after `step` steps: later ones written before it are made again. */
  resume: line("resume", { step: count }),
  test: line("test", {
    which: z.enum(["last", "best"]),
    loss: figure,
    accuracy: figure,
    images: count,
    /** Images by label, then by predicted class. */
    confusion: z.array(z.array(count)),
    perClass: z.array(classFigures),
  }),
  end: line("end", { ended: z.string(), reason: z.string().optional(), seconds }),
} as const;

const metricSchema = z.discriminatedUnion("event", [
  lines.start,
  lines.step,
  lines.epoch,
  lines.validation,
  lines.checkpoint,
  lines.change,
  lines.resume,
  lines.test,
  lines.end,
]);

export type ClassFigures = z.output<typeof classFigures>;
export type Metric = z.output<typeof metricSchema>;
export type MetricOf<E extends Metric["event"]> = Extract<Metric, { readonly event: E }>;

/** A metric and the line that it stands in, from 1. */
export interface MetricRecord {
  readonly line: number;
  readonly metric: Metric;
}

export interface Metrics {
  readonly records: readonly MetricRecord[];
  /** Lines that are no JSON: the run was killed while it wrote them. */
  readonly broken: number;
}

const knownEvents: ReadonlySet<unknown> = /* @__PURE__ */ new Set(Object.keys(lines));

/** Events of other names are passed over. @throws ReportError for a line that is JSON but not as it was written. */
export const parseMetrics = (text: string): Metrics => {
  const records: MetricRecord[] = [];
  let broken = 0;
  text.split("\n").forEach((content, i) => {
    if (content.trim() === "") return;
    let value: unknown;
    try {
      value = JSON.parse(content);
    } catch {
      broken++;
      return;
    }
    if (!knownEvents.has((value as { event?: unknown } | null)?.event)) return;
    const parsed = metricSchema.safeParse(value);
    if (!parsed.success)
      throw new ReportError(`metrics: line ${i + 1} is not as expected: ${z.prettifyError(parsed.error)}`);
    records.push({ line: i + 1, metric: parsed.data });
  });
  return { records, broken };
};

/** @throws ReportError if the file cannot be read or holds something else */
export const readMetrics = async (file: string): Promise<Metrics> => {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new ReportError(`metrics: ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  return parseMetrics(text);
};

const stepOf = (metric: Metric): number | undefined => ("step" in metric ? (metric.step as number) : undefined);

/**
 * What counts in the end. Where a run was resumed, the steps behind its checkpoint were made twice: the first time is
 * left out, with the epochs and ends that came behind them.
 */
export const currentRecords = (records: readonly MetricRecord[]): MetricRecord[] => {
  let current: MetricRecord[] = [];
  for (const record of records) {
    const { metric } = record;
    if (metric.event === "resume") {
      // Changes that were to be made again stand behind the start, before their time.
      const isPlan = ({ metric: { event } }: MetricRecord): boolean => event === "start" || event === "change";
      const planned = current.findIndex((earlier) => !isPlan(earlier));
      const before = current.findIndex(
        (earlier, i) => planned >= 0 && i >= planned && (stepOf(earlier.metric) ?? 0) > metric.step,
      );
      if (before >= 0) current = current.slice(0, before);
      // Of an end without steps behind the checkpoint.
      current = current.filter((earlier) => earlier.metric.event !== "end");
    } else if (metric.event === "start") {
      // A resumed program may introduce itself again.
      current = current.filter((earlier) => earlier.metric.event !== "start");
    }
    current.push(record);
  }
  return current;
};

/** The last metric of a kind, if there is any. */
export const lastOf = <E extends Metric["event"]>(
  records: readonly MetricRecord[],
  event: E,
  accept: (metric: MetricOf<E>) => boolean = () => true,
): { readonly line: number; readonly metric: MetricOf<E> } | undefined =>
  allOf(records, event).findLast(({ metric }) => accept(metric));

export const allOf = <E extends Metric["event"]>(
  records: readonly MetricRecord[],
  event: E,
): { readonly line: number; readonly metric: MetricOf<E> }[] =>
  records.filter((record): record is { line: number; metric: MetricOf<E> } => record.metric.event === event);
