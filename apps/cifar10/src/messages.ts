/** What goes between the main thread, which has the terminal and the signals, and the worker, which does the work. */
import type { RunEvent } from "@striate/train/node";
import type { CommonOptions } from "./cli.js";
import type { CommandName } from "./commands/names.js";
import type { Exit } from "./exit-codes.js";
import type { Failure } from "./failure.js";
import type { Picture } from "./report/pictures.js";
import type { Event, Progress } from "./reporter.js";
import type { UiMessage, UiRequest } from "./ui/index.js";

/** What the worker starts with. */
export interface Job {
  readonly command: CommandName;
  readonly options: CommonOptions;
  /** Whether texts of events may have colours. */
  readonly colors: boolean;
  /** Whether there is a live page. */
  readonly ui: boolean;
}

/** From the worker. The last one is `ended` or `failed`. */
export type Message =
  | { readonly type: "event"; readonly event: Event; readonly text: string }
  | { readonly type: "notice"; readonly text: string }
  | { readonly type: "progress"; readonly progress: Progress }
  /** For the live page. */
  | { readonly type: "ui"; readonly message: UiMessage<Picture> }
  | { readonly type: "metric"; readonly metric: RunEvent }
  | { readonly type: "ended"; readonly exit: Exit }
  | { readonly type: "failed"; readonly failure: Failure };

/** To the worker: finish the step, save, and end; or what the live page asks for. */
export type Order = { readonly type: "stop" } | { readonly type: "ui"; readonly request: UiRequest };
