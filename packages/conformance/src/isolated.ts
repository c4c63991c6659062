/**
 * The suite in a worker thread, watched from outside: a kernel that loops for ever, or takes its thread down, is one
 * failed case, and the run goes on behind it in a fresh worker.
 */
import { parentPort, type Worker } from "node:worker_threads";
import { type CaseResult, type ConformanceReport, summarize } from "./results.js";
import { type ConformanceOptions, runConformance, type StartEvent } from "./run.js";

type Message =
  | { readonly type: "plan"; readonly total: number }
  | { readonly type: "start"; readonly event: StartEvent }
  | { readonly type: "result"; readonly result: CaseResult }
  | { readonly type: "end"; readonly report: ConformanceReport }
  | { readonly type: "error"; readonly error: unknown };

/** What `runIsolated` sends first. */
interface Launch {
  readonly startAt: number;
}

/** The worker's side: wait for the word to start, run, report every step to the parent. */
export const serveIsolated = async (options: ConformanceOptions): Promise<void> => {
  if (!parentPort) throw new TypeError("serveIsolated: called outside of a worker thread");
  const port = parentPort;
  const post = (message: Message): void => port.postMessage(message);
  const { startAt } = await new Promise<Launch>((resolve) => port.once("message", resolve));
  try {
    const report = await runConformance({
      ...options,
      startAt,
      onPlan: ({ total }) => post({ type: "plan", total }),
      onStart: (event) => post({ type: "start", event }),
      onResult: (result) => post({ type: "result", result }),
    });
    post({ type: "end", report });
  } catch (error) {
    post({ type: "error", error });
  }
};

export interface IsolatedOptions {
  /** A fresh worker that calls `serveIsolated` with the same options every time. */
  readonly start: () => Worker;
  /** Milliseconds beyond a case's own limit before its worker is ended. Default 2,000. */
  readonly grace?: number;
  readonly onPlan?: (plan: { readonly total: number }) => void;
  readonly onResult?: (result: CaseResult) => void;
  readonly signal?: AbortSignal;
}

/** How one worker ended. */
type Ending =
  | { readonly kind: "done"; readonly report: ConformanceReport }
  | { readonly kind: "lost"; readonly at: StartEvent; readonly reason: string }
  | { readonly kind: "aborted" };

const crashed = (event: StartEvent, reason: string): CaseResult =>
  event.hung.status === "failed" ? { ...event.hung, reason } : event.hung;

const watch = (
  worker: Worker,
  launch: Launch,
  options: Required<Pick<IsolatedOptions, "grace">> & IsolatedOptions,
  report: (result: CaseResult) => void,
): Promise<Ending> =>
  new Promise((resolve, reject) => {
    let current: StartEvent | undefined;
    let timer: NodeJS.Timeout | undefined;
    let ended = false;
    const finish = (settle: () => void): void => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      void worker.terminate().then(settle, settle);
    };
    const lose = (reason: string, otherwise: unknown): void => {
      const at = current;
      finish(() => (at ? resolve({ kind: "lost", at, reason }) : reject(otherwise)));
    };
    const abort = (): void => finish(() => resolve({ kind: "aborted" }));
    options.signal?.addEventListener("abort", abort);
    worker.on("message", (message: Message) => {
      if (ended) return;
      if (message.type === "plan" && launch.startAt === 0) options.onPlan?.({ total: message.total });
      if (message.type === "start") {
        const { event } = message;
        current = event;
        timer = setTimeout(() => lose(event.hung.reason ?? "hangs", undefined), event.timeout + options.grace);
      }
      if (message.type === "result") {
        clearTimeout(timer);
        current = undefined;
        report(message.result);
      }
      if (message.type === "end") finish(() => resolve({ kind: "done", report: message.report }));
      if (message.type === "error") finish(() => reject(message.error));
    });
    worker.on("error", (error) => lose(`took its thread down: ${(error as Error).message}`, error));
    worker.on("exit", (code) =>
      lose(`ended its thread with code ${code}`, new Error(`the worker ended with code ${code} before its first case`)),
    );
    worker.postMessage(launch);
    if (options.signal?.aborted) abort();
  });

/**
 * Run the suite in workers made by `start`, one after the other, as many as it takes.
 *
 * @returns the report; undefined if `signal` ended the run.
 * @throws what creating the backend throws.
 */
export const runIsolated = async (options: IsolatedOptions): Promise<ConformanceReport | undefined> => {
  const results: CaseResult[] = [];
  const report = (result: CaseResult): void => {
    results.push(result);
    options.onResult?.(result);
  };
  for (let startAt = 0; ; ) {
    const ending = await watch(options.start(), { startAt }, { grace: 2000, ...options }, report);
    if (ending.kind === "aborted") return undefined;
    if (ending.kind === "done") return { ...ending.report, summary: summarize(results), results };
    report(crashed(ending.at, ending.reason));
    startAt = ending.at.index + 1;
  }
};
