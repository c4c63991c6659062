/** What goes between the main thread, which has the terminal and the signals, and the worker, which trains. */
import type { Failure } from "./failure.js";
import type { Options } from "./options.js";
import type { Event, Progress } from "./reporter.js";

/** What the worker starts with. */
export interface Job {
  readonly options: Options;
  /** Whether texts of events may have colours. */
  readonly colors: boolean;
}

/** From the worker. The last one is `ended` or `failed`. */
export type Message =
  | { readonly type: "event"; readonly event: Event; readonly text: string }
  | { readonly type: "notice"; readonly text: string }
  | { readonly type: "progress"; readonly progress: Progress }
  | { readonly type: "ended" }
  | { readonly type: "failed"; readonly failure: Failure };

/** To the worker: finish the step, save, and end. */
export type Stop = "stop";
