import { constants } from "node:os";

/** What a signal's AbortSignal has as its reason. */
export class InterruptedError extends Error {
  readonly signal: "SIGINT" | "SIGTERM";
  /** The exit code that shells expect: 128 + the signal's number. */
  readonly exitCode: number;
  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`interrupted by ${signal}`);
    this.name = "InterruptedError";
    this.signal = signal;
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** The process, as far as `withSignals` needs it; a parameter for tests. */
export interface SignalSource {
  on(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  exit(code: number): void;
}

/**
 * Runs `body` with a signal that the first SIGINT or SIGTERM aborts, with an `InterruptedError` as its reason; a second one
 * exits at once. A backend that blocks the event loop for the length of a step hears of them between steps.
 */
export const withSignals = async <T>(
  body: (signal: AbortSignal) => Promise<T>,
  source: SignalSource = process,
): Promise<T> => {
  const controller = new AbortController();
  const handlers = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const listener = (): void => {
      const error = new InterruptedError(signal);
      if (controller.signal.aborted) source.exit(error.exitCode);
      controller.abort(error);
    };
    source.on(signal, listener);
    return { signal, listener };
  });
  try {
    return await body(controller.signal);
  } finally {
    for (const { signal, listener } of handlers) source.off(signal, listener);
  }
};
