import type { OutputInfo, TrainingOptions } from "./training-options.js";

const columns = [
  "Epoch",
  "Iteration",
  "Time Elapsed",
  "Mini-batch",
  "Mini-batch",
  "Validation",
  "Validation",
  "Base Learning",
];
const units = ["", "", "(hh:mm:ss)", "Accuracy", "Loss", "Accuracy", "Loss", "Rate"];
const width = 14;

const line = (cells: readonly string[]): string => `|${cells.map((cell) => `${cell.padStart(width)} |`).join("")}`;
const rule = `|${"=".repeat(columns.length * (width + 2) - 1)}|`;

const clock = (seconds: number): string =>
  [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => `${Math.floor(part)}`.padStart(2, "0")).join(":");
const percent = (value: number): string => (Number.isNaN(value) ? "" : `${value.toFixed(2)}%`);
const number = (value: number): string => (Number.isNaN(value) ? "" : value.toFixed(4));

/** What Verbose prints. */
export interface VerboseTable {
  begin(): void;
  /** The first, the last and every so many iterations have a row. */
  wants(iteration: number, last: number): boolean;
  row(info: OutputInfo): void;
  end(reason: string): void;
}

export const verboseTable = ({ VerboseFrequency, VerboseFcn: print }: TrainingOptions): VerboseTable => ({
  begin: () => {
    for (const text of [rule, line(columns), line(units), rule]) print(text);
  },
  wants: (iteration, last) => iteration === 1 || iteration === last || iteration % VerboseFrequency === 0,
  row: (info) =>
    print(
      line([
        `${info.Epoch}`,
        `${info.Iteration}`,
        clock(info.TimeSinceStart),
        percent(info.TrainingAccuracy),
        number(info.TrainingLoss),
        percent(info.ValidationAccuracy),
        number(info.ValidationLoss),
        `${info.BaseLearnRate}`,
      ]),
    ),
  end: (reason) => {
    print(rule);
    print(`Training finished: ${reason}.`);
  },
});
