import type { CaseResult, Group } from "@striate/conformance";
import { summarize, summaryLine } from "@striate/conformance";
import { Presets, SingleBar } from "cli-progress";

export interface Progress {
  plan(total: number): void;
  result(result: CaseResult): void;
  stop(): void;
}

/** A bar with the time left on a terminal. */
const bar = (stream: NodeJS.WriteStream): Progress => {
  const format = "{bar} {percentage}% | {value}/{total} cases | {failed} failed | ETA {eta_formatted} | {id}";
  const single = new SingleBar({ stream, format, hideCursor: true, etaBuffer: 500, fps: 5 }, Presets.shades_classic);
  let failed = 0;
  return {
    plan: (total) => single.start(total, 0, { failed, id: "" }),
    result: ({ id, status }) => {
      if (status === "failed") failed++;
      single.increment(1, { failed, id: id.slice(0, 48) });
    },
    stop: () => single.stop(),
  };
};

/** A line for each group elsewhere. */
const lines = (stream: NodeJS.WritableStream): Progress => {
  let group: Group | undefined;
  let own: CaseResult[] = [];
  const close = (): void => {
    if (group && own.length > 0) stream.write(`${group}: ${summaryLine(summarize(own))}\n`);
    own = [];
  };
  return {
    plan: (total) => stream.write(`${total} cases\n`),
    result: (result) => {
      if (result.group !== group) close();
      group = result.group;
      own.push(result);
    },
    stop: close,
  };
};

export const createProgress = (stream: NodeJS.WriteStream): Progress => (stream.isTTY ? bar(stream) : lines(stream));
