import cliProgress from "cli-progress";
import picocolors from "picocolors";
import { clock, fitLine } from "./progress-line.js";

/** One line of `--json`. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

/** Emphasis, where the stream shows any. */
export type Style = Pick<ReturnType<typeof picocolors.createColors>, "bold" | "dim" | "red">;

export interface Progress {
  /** What goes on. When it changes, the time left is estimated afresh. */
  readonly phase: string;
  /** Default: the phase. */
  readonly label?: string;
  readonly done: number;
  /** Undefined while it is not known. */
  readonly total: number | undefined;
  /** Figures for the line; the most important come first. */
  readonly details?: readonly string[];
}

/** Where the run tells what it does. Results go to standard output, all else to standard error. */
export interface Reporter {
  /** A line for programs (`--json`) or for people; NaN is null in JSON. */
  event(event: Event, text: (style: Style) => string): void;
  notice(text: string): void;
  error(text: string): void;
  /** Redraws the line at the bottom of a terminal; elsewhere it shows nothing. */
  progress(progress: Progress): void;
  /** Removes that line. */
  clear(): void;
}

export interface Streams {
  readonly stdout: NodeJS.WritableStream & Partial<Pick<NodeJS.WriteStream, "hasColors">>;
  readonly stderr: NodeJS.WritableStream & Partial<Pick<NodeJS.WriteStream, "isTTY" | "hasColors">>;
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

const styleFor = (stream: Streams["stdout"]): Style => picocolors.createColors(stream.hasColors?.() ?? false);

export const createReporter = (
  { stdout, stderr }: Streams,
  json: boolean,
  terminal = stderr.isTTY === true,
): Reporter => {
  let shown: {
    readonly phase: string;
    readonly bars: cliProgress.MultiBar;
    readonly bar: cliProgress.SingleBar;
  } | null = null;
  const outStyle = styleFor(stdout);
  const errStyle = styleFor(stderr);
  const clear = (): void => {
    shown?.bars.stop();
    shown = null;
  };
  const print = (stream: NodeJS.WritableStream, line: string): void => {
    clear();
    stream.write(`${line}\n`);
  };
  return {
    event: (event, text) => print(stdout, json ? JSON.stringify(event) : text(outStyle)),
    notice: (text) => print(stderr, text),
    error: (text) => print(stderr, `${errStyle.red("error:")} ${text}`),
    progress: ({ phase, label = phase, done, total, details = [] }) => {
      if (!terminal) return;
      const figures = { label, details, total };
      if (shown?.phase === phase) {
        shown.bar.setTotal(total ?? 0);
        shown.bar.update(done, figures);
        return;
      }
      clear();
      const bars = openBar(stderr);
      shown = { phase, bars, bar: bars.create(total ?? 0, done, { ...figures, from: done } satisfies Payload) };
      // At once: what follows may keep the event loop busy.
      bars.update();
    },
    clear,
  };
};
