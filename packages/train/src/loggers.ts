import { ArgumentError } from "@striate/core";
import type { Callback } from "./callback.js";
import { metricsCallback, type RateSource } from "./metrics.js";

/**
 * Writes a line of JSON for each report, as they are in the metrics of a run folder: `{"event":"step",…}`, `epoch`,
 * `validation`; with `lr` if the optimizer is given. JSON makes null of NaN.
 */
export const jsonLogger = (write: (line: string) => void, optimizer?: RateSource): Callback =>
  metricsCallback((event) => write(`${JSON.stringify(event)}\n`), optimizer);

const columns = {
  step: ["epoch", "step", "loss", "accuracy", "images"],
  epoch: ["epoch", "steps", "trainLoss", "trainAccuracy", "imagesPerSecond", "seconds"],
  validation: ["epoch", "step", "loss", "accuracy", "images"],
} as const;

/**
 * Writes the reports of one kind as comma-separated values (RFC 4180), a header first; names and values are those of
 * `jsonLogger`. @throws ArgumentError for another kind
 */
export const csvLogger = (write: (line: string) => void, kind: keyof typeof columns = "epoch"): Callback => {
  const names: readonly string[] | undefined = columns[kind];
  if (!names)
    throw new ArgumentError(`csvLogger: kind is ${JSON.stringify(kind)}, expected ${Object.keys(columns).join(", ")}`);
  let begun = false;
  const row = (cells: readonly unknown[]): void => write(`${cells.join(",")}\r\n`);
  return metricsCallback((report) => {
    if (report.event !== kind) return;
    if (!begun) row(names);
    begun = true;
    row(names.map((name) => report[name]));
  });
};
