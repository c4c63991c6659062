/** What the program and its page agree on. */
import type { IsolatedLaunch, IsolatedMessage, KnownFailure } from "@striate/conformance";
import type { Options } from "../options.js";

/** Where the server has what. */
export const paths = {
  page: "/",
  run: "/run.json",
  vectors: "/vectors/",
  images: "/images.bin",
  labels: "/labels.bin",
} as const;

/** The content of `paths.run`. */
export interface PageRun {
  readonly options: Options;
  /** Whether the page must be cross-origin isolated, or must not be. */
  readonly isolation: boolean;
  readonly knownFailures: readonly KnownFailure[];
  readonly trainingSteps?: number;
  /** Names below `paths.vectors`. */
  readonly vectors: readonly string[];
  /** Whether `paths.images` and `paths.labels` are there. */
  readonly images: boolean;
}

/** What a page says: its worker's messages, or that there will be none any more. */
export type PageMessage = IsolatedMessage | { readonly type: "lost"; readonly message: string };

/** The page's functions and the program's, as the page's globals. */
export interface PageGlobals {
  /** Defined by the program; resolves when it has taken the messages. */
  striateHear(messages: readonly PageMessage[]): Promise<void>;
  /** Defined by the page. */
  striateLaunch(launch: IsolatedLaunch): void;
}
