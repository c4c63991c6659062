import { SingleBar } from "cli-progress";

/** A line on a terminal that says what is going on and how much is left. Elsewhere it stays silent. */
export interface Progress {
  /** `left` in seconds. */
  show(what: string, left: number): void;
  /** Write a line above it. */
  print(line: string): void;
  stop(): void;
}

const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${`${whole % 60}`.padStart(2, "0")}`;
};

/** `print` is where lines go, `now` the clock in seconds. */
export const createProgress = (print: (line: string) => void, now: () => number): Progress => {
  // Without the library's SIGINT handler and terminal modes: a peer may keep the event loop busy for half a minute, and
  // Ctrl-C has to end that at once.
  const bar = new SingleBar({
    format: "[{bar}] {left} left  {what}",
    barsize: 12,
    linewrap: true,
    clearOnComplete: true,
    gracefulExit: false,
    stream: process.stderr,
  });
  const started = now();
  const begin = (value: number, payload: object): void => bar.start(1, value, payload);
  let value = 0;
  let payload = { what: "", left: "" };
  let active = false;
  return {
    show: (what, left) => {
      const elapsed = now() - started;
      value = elapsed / (elapsed + left || 1);
      payload = { what, left: clock(left) };
      if (active) {
        bar.update(value, payload);
        // The library redraws at intervals; the work that follows would not let it.
        if (process.stderr.isTTY) bar.render();
      } else begin(value, payload);
      active = true;
    },
    print: (line) => {
      if (active) bar.stop();
      print(line);
      if (active) begin(value, payload);
    },
    stop: () => {
      if (active) bar.stop();
      active = false;
    },
  };
};
