import { BackendChoiceError } from "@striate/backends";
import { BrowserError } from "@striate/chromium";
import {
  type ConformanceReport,
  groupTexts,
  IsolatedRunError,
  runIsolated,
  summarize,
  summaryLine,
} from "@striate/conformance";
import { exitCodes } from "./exit-codes.js";
import { InputError, loadInputs } from "./inputs.js";
import { CommandLineExit, parseOptions } from "./options.js";
import { openPlace } from "./places.js";
import { createProgress } from "./progress.js";
import { expectWritable, OutputError, writeReports } from "./reports.js";

const signals = { SIGINT: 130, SIGTERM: 143 } as const;

type Failure = "input" | "backend" | "output" | "browser" | "internal";

/** By the name of what was thrown, here or in the worker. */
const failures: Readonly<Record<string, Failure>> = {
  [InputError.name]: "input",
  [BackendChoiceError.name]: "backend",
  [OutputError.name]: "output",
  [BrowserError.name]: "browser",
  // Creating it came to no end.
  Hang: "backend",
};

const failureOf = (error: unknown): Failure => {
  const name = error instanceof IsolatedRunError ? error.thrown : error instanceof Error ? error.name : "";
  return Object.hasOwn(failures, name) ? (failures[name] as Failure) : "internal";
};

/** Failures that are written out on the terminal; the reports have all. */
const failureLimit = 50;

const print = ({ results, summary }: ConformanceReport): void => {
  const failed = results.filter(({ status }) => status === "failed");
  const lines = failed.slice(0, failureLimit).map(({ id, reason }) => `✗ ${id}\n    ${reason}`);
  if (failed.length > failureLimit) lines.push(`… and ${failed.length - failureLimit} more`);
  for (const group of Object.keys(groupTexts)) {
    const own = results.filter((result) => result.group === group);
    if (own.length > 0) lines.push(`${group.padEnd(10)} ${summaryLine(summarize(own))}`);
  }
  process.stdout.write(`${[...lines, summaryLine(summary)].join("\n")}\n`);
};

const main = async (): Promise<number> => {
  const options = parseOptions(process.argv.slice(2));
  const abort = new AbortController();
  let interruptedBy: keyof typeof signals = "SIGINT";
  for (const name of Object.keys(signals) as (keyof typeof signals)[])
    process.on(name, () => {
      // The second time at once.
      if (abort.signal.aborted) process.exit(signals[name]);
      interruptedBy = name;
      abort.abort();
    });
  try {
    await expectWritable(options);
    // Whatever is wrong with the inputs is said here, before a worker starts.
    const place = await openPlace(options, await loadInputs(options));
    const progress = createProgress(process.stderr);
    let report: ConformanceReport | undefined;
    try {
      report = await runIsolated({
        start: place.start,
        onPlan: ({ total }) => progress.plan(total),
        onResult: progress.result,
        signal: abort.signal,
      });
    } finally {
      progress.stop();
      await place.close();
    }
    if (!report) return signals[interruptedBy];
    if (report.results.length === 0) {
      process.stderr.write("error: no case matches --group, --filter and --shard\n");
      return exitCodes.usage.code;
    }
    await writeReports(options, report);
    print(report);
    return report.summary.failed > 0 ? exitCodes.failed.code : exitCodes.ok.code;
  } catch (error) {
    const failure = failureOf(error);
    const message = error instanceof Error ? error.message : String(error);
    const detail = failure === "internal" && error instanceof Error ? (error.stack ?? message) : message;
    process.stderr.write(`error: ${detail}\n`);
    return exitCodes[failure].code;
  }
};

// Standard output may be a pipe that is closed early (`| head`): that ends the program quietly.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCodes.ok.code);
});

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    if (error instanceof CommandLineExit) process.exitCode = error.exitCode;
    else throw error;
  },
);
