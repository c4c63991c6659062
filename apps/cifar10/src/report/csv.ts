import type { Metric } from "./metrics.js";

/** What goes into the table; fields of one value that several events share, and what only some have. */
const columns = [
  "event",
  "time",
  "epoch",
  "step",
  "which",
  "loss",
  "accuracy",
  "lr",
  "images",
  "seconds",
  "imagesPerSecond",
  "momentum",
  "weightDecay",
  "ended",
  "reason",
] as const;

/** Names under which an epoch has what steps and validations have. */
const aliases: Readonly<Record<string, string>> = { trainLoss: "loss", trainAccuracy: "accuracy" };

const shown: ReadonlySet<Metric["event"]> = /* @__PURE__ */ new Set([
  "step",
  "epoch",
  "validation",
  "change",
  "test",
  "end",
] as const);

/** RFC 4180. */
const cell = (value: unknown): string => {
  if (value === undefined || value === null) return "";
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/**
 * Steps, epochs (means over their training images), validations, changes, tests and the end as one table (RFC 4180),
 * a row each in the order in which they came.
 */
export const toCsv = (metrics: readonly Metric[]): string => {
  const rows = metrics
    .filter(({ event }) => shown.has(event))
    .map((metric) => {
      const fields = new Map(Object.entries(metric).map(([name, value]) => [aliases[name] ?? name, value]));
      return columns.map((column) => cell(fields.get(column))).join(",");
    });
  return `${[columns.join(","), ...rows].join("\r\n")}\r\n`;
};
