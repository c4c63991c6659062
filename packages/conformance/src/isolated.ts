/**
 * The suite in a worker, watched from outside: a kernel that loops for ever, or takes its worker down, is one failed case,
 * and the run goes on behind it in a fresh worker. What a worker is, a process of Node or a page of a browser, is left to
 * whoever carries the messages.
 */
import { type CaseResult, type ConformanceReport, summarize } from "./results.js";
import { type ConformanceOptions, runConformance, type StartEvent } from "./run.js";

/** What `serveIsolated` is told first. */
export interface IsolatedLaunch {
  readonly startAt: number;
}

/** What `serveIsolated` sends, in order: structured clones and JSON carry it. */
export type IsolatedMessage =
  | { readonly type: "plan"; readonly total: number }
  | { readonly type: "start"; readonly event: StartEvent }
  | { readonly type: "result"; readonly result: CaseResult }
  | { readonly type: "end"; readonly report: ConformanceReport }
  | { readonly type: "error"; readonly name: string; readonly message: string };

/** The worker's end of the line. */
export interface IsolatedPort {
  /**
   * A promise is that the message has left: no case runs before. Where a case never comes back, or none of them lets the worker do
   * anything else, what has not left by then never does.
   */
  post(message: IsolatedMessage): void | Promise<void>;
  /** Resolves with the first message. */
  launch(): Promise<IsolatedLaunch>;
}

/** The watcher's end of the line. */
export interface IsolatedWorker {
  /** Called once, at once. `lost`: no message will come any more; why, as the end of "the case …", and as an error. */
  listen(listener: { message(message: IsolatedMessage): void; lost(reason: string, error: Error): void }): void;
  launch(launch: IsolatedLaunch): void;
  /** Ends the worker, whatever it is doing. */
  terminate(): Promise<unknown>;
}

/** What went wrong in the worker outside of the cases: the backend cannot be made, an option is bad, nothing comes. */
export class IsolatedRunError extends Error {
  override readonly name = "IsolatedRunError";
  /** The name of the error that was thrown in the worker; `Hang` if it came to no end. */
  readonly thrown: string;
  constructor(thrown: string, message: string) {
    super(message);
    this.thrown = thrown;
  }
}

/** The worker's side: wait for the word to start, run, report every step. Never rejects. */
export const serveIsolated = async (
  port: IsolatedPort,
  prepare: () => ConformanceOptions | Promise<ConformanceOptions>,
): Promise<void> => {
  try {
    const { startAt } = await port.launch();
    const report = await runConformance({
      ...(await prepare()),
      startAt,
      onPlan: ({ total }) => port.post({ type: "plan", total }),
      onStart: (event) => port.post({ type: "start", event }),
      onResult: (result) => port.post({ type: "result", result }),
    });
    // The watcher has the results already.
    await port.post({ type: "end", report: { ...report, results: [] } });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: typeof error, message: String(error) };
    await port.post({ type: "error", name, message });
  }
};

export interface IsolatedOptions {
  /** A fresh worker that calls `serveIsolated` with the same options every time. */
  readonly start: () => IsolatedWorker | Promise<IsolatedWorker>;
  /** Milliseconds beyond a case's own limit before its worker is ended. Default 2,000. */
  readonly grace?: number;
  /** Milliseconds for what is between the cases, loading and the making of backends. Default 120,000. */
  readonly idle?: number;
  readonly onPlan?: (plan: { readonly total: number }) => void;
  readonly onResult?: (result: CaseResult) => void;
  readonly signal?: AbortSignal;
}

/** How one worker ended. */
type Ending =
  | { readonly kind: "done"; readonly report: ConformanceReport }
  | { readonly kind: "lost"; readonly at: StartEvent; readonly reason: string }
  /** Between two cases, or in one whose start was not heard of any more. */
  | { readonly kind: "restart"; readonly startAt: number }
  | { readonly kind: "aborted" };

const crashed = (event: StartEvent, reason: string): CaseResult =>
  event.hung.status === "failed" ? { ...event.hung, reason } : event.hung;

const watch = (
  worker: IsolatedWorker,
  launch: IsolatedLaunch,
  options: Required<Pick<IsolatedOptions, "grace" | "idle">> & IsolatedOptions,
  report: (result: CaseResult) => void,
): Promise<Ending> =>
  new Promise((resolve, reject) => {
    let current: StartEvent | undefined;
    let next = launch.startAt;
    let timer: ReturnType<typeof setTimeout> | undefined;
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
      finish(() => {
        if (at) resolve({ kind: "lost", at, reason });
        else if (next > launch.startAt) resolve({ kind: "restart", startAt: next });
        else reject(otherwise);
      });
    };
    const limit = (milliseconds: number, reason: string): void => {
      clearTimeout(timer);
      timer = setTimeout(() => lose(reason, new IsolatedRunError("Hang", reason)), milliseconds);
    };
    const idle = (): void =>
      limit(options.idle, `hangs between the cases: no sign of life for ${options.idle / 1000} s`);
    const abort = (): void => finish(() => resolve({ kind: "aborted" }));
    const hear = (message: IsolatedMessage): void => {
      if (ended) return;
      if (message.type === "plan" && launch.startAt === 0) options.onPlan?.({ total: message.total });
      if (message.type === "start") {
        const { event } = message;
        current = event;
        limit(event.timeout + options.grace, event.hung.reason ?? "hangs");
      }
      if (message.type === "result") {
        next++;
        current = undefined;
        idle();
        report(message.result);
      }
      if (message.type === "end") finish(() => resolve({ kind: "done", report: message.report }));
      if (message.type === "error") finish(() => reject(new IsolatedRunError(message.name, message.message)));
    };
    options.signal?.addEventListener("abort", abort);
    worker.listen({ message: hear, lost: lose });
    idle();
    worker.launch(launch);
    if (options.signal?.aborted) abort();
  });

/**
 * Run the suite in workers made by `start`, one after the other, as many as it takes.
 *
 * @returns the report; undefined if `signal` ended the run.
 * @throws IsolatedRunError where the backend cannot be made, the worker's error where it is lost before its first case, and
 *   what `start` throws.
 */
export const runIsolated = async (options: IsolatedOptions): Promise<ConformanceReport | undefined> => {
  const results: CaseResult[] = [];
  const report = (result: CaseResult): void => {
    results.push(result);
    options.onResult?.(result);
  };
  for (let startAt = 0; !options.signal?.aborted; ) {
    const ending = await watch(await options.start(), { startAt }, { grace: 2000, idle: 120_000, ...options }, report);
    if (ending.kind === "aborted") return undefined;
    if (ending.kind === "done") return { ...ending.report, summary: summarize(results), results };
    if (ending.kind === "restart") startAt = ending.startAt;
    else {
      report(crashed(ending.at, ending.reason));
      startAt = ending.at.index + 1;
    }
  }
  return undefined;
};
