import { ArgumentError } from "@striate/core";
import type { Callback, EpochReport, StepReport, ValidationReport } from "./callback.js";
import { metricsCallback, type RateSource } from "./metrics.js";

/**
 * Writes a line of JSON for each report, as they are in the metrics of a run folder: `{"event":"step",…}`, `epoch`,
 * `validation`; with `lr` if the optimizer is given. JSON makes null of NaN.
 */
export const jsonLogger = (write: (line: string) => void, optimizer?: RateSource): Callback =>
  metricsCallback((event) => write(`${JSON.stringify(event)}\n`), optimizer);

const columns = {
  step: ["epoch", "step", "loss", "correct", "images"],
  epoch: ["epoch", "steps", "loss", "accuracy", "images", "seconds"],
  validation: ["epoch", "step", "loss", "accuracy", "images"],
} as const satisfies {
  readonly step: readonly (keyof StepReport)[];
  readonly epoch: readonly (keyof EpochReport)[];
  readonly validation: readonly (keyof ValidationReport)[];
};

/** Writes the reports of one kind as comma-separated values (RFC 4180), a header first. @throws ArgumentError for another kind */
export const csvLogger = (write: (line: string) => void, kind: keyof typeof columns = "epoch"): Callback => {
  const names: readonly string[] | undefined = columns[kind];
  if (!names)
    throw new ArgumentError(`csvLogger: kind is ${JSON.stringify(kind)}, expected ${Object.keys(columns).join(", ")}`);
  let begun = false;
  const row = (cells: readonly unknown[]): void => write(`${cells.join(",")}\r\n`);
  const log = (report: object): void => {
    if (!begun) row(names);
    begun = true;
    row(names.map((name) => (report as Readonly<Record<string, unknown>>)[name]));
  };
  return { step: { onStep: log }, epoch: { onEpoch: log }, validation: { onValidation: log } }[kind];
};
