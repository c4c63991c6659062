import cliProgress from "cli-progress";
import picocolors from "picocolors";
import { clock, fitLine } from "./progress-line.js";
import type { Event, Progress } from "./reporter.js";

/** The terminal, or what stands in for it. Results go to standard output, all else to standard error. */
export interface Display {
  event(event: Event, text: string): void;
  notice(text: string): void;
  error(text: string): void;
  /** Redraws the line at the bottom of a terminal; elsewhere it shows nothing. */
  progress(progress: Progress): void;
  /** Removes that line. */
  clear(): void;
}

export interface Streams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

export interface DisplayOptions {
  readonly json: boolean;
  /** Whether standard error is a terminal that can redraw a line. */
  readonly interactive: boolean;
  /** Whether standard error shows colours. */
  readonly colors: boolean;
}

interface Payload {
  readonly label: string;
  readonly details: readonly string[];
  readonly total: number | undefined;
  /** `done` when the phase began. */
  readonly from: number;
}

/** Steps over which the speed is taken for the time left. */
const etaBuffer = 100;

const format = (_: cliProgress.Options, params: cliProgress.Params, payload: Payload): string => {
  const { label, details, total, from } = payload;
  const spent = clock((Date.now() - params.startTime) / 1000);
  const left = Number(params.eta);
  const line = {
    label,
    details,
    share: total !== undefined && params.value > 0 ? params.progress : undefined,
    // Nothing can be told of the time left before something was done.
    time: total !== undefined && params.value > from && Number.isFinite(left) ? `${clock(left)} left` : spent,
  };
  // A line of full width would wrap in some terminals.
  return fitLine(line, params.maxWidth - 1);
};

/**
 * cli-progress redraws a line in place, only when it changes. It is its MultiBar with a single bar, because SingleBar
 * goes back to a saved position of the screen, which is another place after the terminal was resized. The modes of the
 * terminal, wrapping and the cursor, are left alone: a killed process could not put them back.
 */
const openBar = (stream: NodeJS.WritableStream): cliProgress.MultiBar =>
  new cliProgress.MultiBar({
    stream,
    format: format as cliProgress.GenericFormatter,
    etaBuffer,
    clearOnComplete: true,
    gracefulExit: false,
    linewrap: true,
    hideCursor: false,
  });

export const createDisplay = ({ stdout, stderr }: Streams, { json, interactive, colors }: DisplayOptions): Display => {
  const { red } = picocolors.createColors(colors);
  let shown: {
    readonly phase: string;
    readonly bars: cliProgress.MultiBar;
    readonly bar: cliProgress.SingleBar;
  } | null = null;
  const clear = (): void => {
    shown?.bars.stop();
    shown = null;
  };
  const print = (stream: NodeJS.WritableStream, line: string): void => {
    clear();
    stream.write(`${line}\n`);
  };
  return {
    event: (event, text) => print(stdout, json ? JSON.stringify(event) : text),
    notice: (text) => print(stderr, text),
    error: (text) => print(stderr, `${red("error:")} ${text}`),
    progress: ({ phase, label = phase, done, total, details = [] }) => {
      if (!interactive) return;
      const figures = { label, details, total };
      if (shown?.phase === phase) {
        shown.bar.setTotal(total ?? 0);
        shown.bar.update(done, figures);
        return;
      }
      clear();
      const bars = openBar(stderr);
      shown = { phase, bars, bar: bars.create(total ?? 0, done, { ...figures, from: done } satisfies Payload) };
      bars.update();
    },
    clear,
  };
};
