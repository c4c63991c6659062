import { SingleBar } from "cli-progress";

/** What is going on now, and how much is left. */
export interface Progress {
  stage(peer: string, stage: string): void;
  /** Write `line` above it. */
  print(line: string): void;
  next(workload: string): void;
  stop(): void;
}

const minutes = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${`${whole % 60}`.padStart(2, "0")}`;
};

export const createProgress = (_total: number): Progress => {
  throw new Error(`${SingleBar} ${minutes(0)}`);
};
