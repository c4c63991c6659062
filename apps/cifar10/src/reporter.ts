import type picocolors from "picocolors";

/** One line of `--json`. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

/** Emphasis, where the stream shows any. */
export type Style = Pick<ReturnType<typeof picocolors.createColors>, "bold" | "dim">;

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

/** What a run tells while it goes on. */
export interface Reporter {
  /** A result, for programs (`--json`; NaN is null there) and for people. */
  event(event: Event, text: (style: Style) => string): void;
  notice(text: string): void;
  progress(progress: Progress): void;
}
