import type { EpochReport, StepReport } from "@striate/train";
import cliProgress from "cli-progress";

/** One line of `--json`. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

/** Where the run tells what it does. Progress goes to standard error, results to standard output. */
export interface Reporter {
  event(event: Event, text: string): void;
  notice(text: string): void;
  progress(label: string, done: number, total: number, detail?: string): void;
  /** Removes the progress line. */
  clear(): void;
}

export interface Streams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

// cli-progress: redraws one line in place with an ETA, and stays silent where there is no terminal.
const progressBar = (stream: NodeJS.WritableStream) =>
  new cliProgress.SingleBar({
    stream,
    format: "{label} [{bar}] {percentage}%{detail} | {eta_formatted} left",
    barsize: 24,
    etaBuffer: 50,
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    linewrap: null,
  });

export const createReporter = ({ stdout, stderr }: Streams, json: boolean): Reporter => {
  let bar: { readonly label: string; readonly total: number; readonly bar: cliProgress.SingleBar } | null = null;
  const clear = (): void => {
    bar?.bar.stop();
    bar = null;
  };
  return {
    event: (event, text) => {
      clear();
      if (json) stdout.write(`${JSON.stringify(event)}\n`);
      else stdout.write(`${text}\n`);
    },
    notice: (text) => {
      clear();
      stderr.write(`${text}\n`);
    },
    progress: (label, done, total, detail = "") => {
      if (!stderr.isTTY) return;
      if (bar?.label !== label || bar.total !== total) {
        clear();
        bar = { label, total, bar: progressBar(stderr) };
        bar.bar.start(total, done, { label, detail });
      } else bar.bar.update(done, { label, detail });
    },
    clear,
  };
};

/** Smoothed figures of the last steps, for the progress line. */
export const stepDetail = (): ((report: StepReport, imagesPerSecond: number) => string) => {
  let loss = Number.NaN;
  let accuracy = Number.NaN;
  return (report, imagesPerSecond) => {
    const mix = (old: number, now: number): number => (Number.isNaN(old) ? now : 0.95 * old + 0.05 * now);
    loss = mix(loss, report.loss);
    accuracy = mix(accuracy, report.correct / report.images);
    return ` | loss ${loss.toFixed(3)} | accuracy ${percent(accuracy)} | ${Math.round(imagesPerSecond)} images/s`;
  };
};

/** 0.7243 as 72.4 %. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** `epoch 2: loss 1.234, accuracy 56.7 %, 830 images/s` */
export const epochText = (report: EpochReport, epochs: number): string =>
  `epoch ${report.epoch + 1} of ${Math.ceil(epochs)}: loss ${report.loss.toFixed(4)}, accuracy ${percent(report.accuracy)}, ` +
  `${Math.round(report.images / report.seconds)} images/s, ${report.seconds.toFixed(1)} s`;
