import { Worker } from "node:worker_threads";
import { BackendChoiceError, createBackend } from "@striate/backends";
import { type ConformanceReport, groupTexts, summarize, summaryLine } from "@striate/conformance";
import { runIsolated } from "@striate/conformance/node";
import { exitCodes } from "./exit-codes.js";
import { InputError, loadInputs } from "./inputs.js";
import { CommandLineExit, parseOptions } from "./options.js";
import { createProgress } from "./progress.js";
import { expectWritable, OutputError, writeReports } from "./reports.js";

const signals = { SIGINT: 130, SIGTERM: 143 } as const;

type Failure = "input" | "backend" | "output" | "internal";

const failures: readonly (readonly [new (...args: never[]) => Error, Failure])[] = [
  [InputError, "input"],
  [BackendChoiceError, "backend"],
  [OutputError, "output"],
];

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
    process.once(name, () => {
      interruptedBy = name;
      abort.abort();
    });
  try {
    await expectWritable(options);
    // Whatever is wrong with the inputs or the backend's name is said here, before a worker starts.
    await loadInputs(options);
    (await createBackend(options.backend)).backend.dispose();
    const progress = createProgress(process.stderr);
    let report: ConformanceReport | undefined;
    try {
      report = await runIsolated({
        start: () => new Worker(new URL("./worker.js", import.meta.url), { workerData: options }),
        onPlan: ({ total }) => progress.plan(total),
        onResult: progress.result,
        signal: abort.signal,
      });
    } finally {
      progress.stop();
    }
    if (!report) return signals[interruptedBy];
    if (report.results.length === 0) {
      process.stderr.write("error: no case matches --group and --filter\n");
      return exitCodes.usage.code;
    }
    await writeReports(options, report);
    print(report);
    return report.summary.failed > 0 ? exitCodes.failed.code : exitCodes.ok.code;
  } catch (error) {
    const failure = failures.find(([type]) => error instanceof type)?.[1] ?? "internal";
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
