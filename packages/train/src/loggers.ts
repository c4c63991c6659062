import { ArgumentError } from "@striate/core";
import type { Callback, EpochReport, StepReport, ValidationReport } from "./callback.js";

/** Writes a line of JSON for each report: `{"event":"step",…}`, `epoch`, `validation`. JSON makes null of NaN. */
export const jsonLogger = (write: (line: string) => void): Callback => {
  const log =
    (event: string) =>
    (report: object): void =>
      write(`${JSON.stringify({ event, ...report })}\n`);
  return { onStep: log("step"), onEpoch: log("epoch"), onValidation: log("validation") };
};

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
