import { type Agreement, compareOutputs, tolerance } from "./agreement.js";
import type { Peak } from "./peak.js";
import { CannotError, type Outputs, type Session, type Task } from "./peer.js";
import { batchOf, flopOf, type Inputs, inputsOf, type Problem, probeOf, withBatch } from "./problem.js";
import { type Summary, summarizeRatio } from "./statistics.js";
import type { Workload } from "./workloads.js";

export interface MeasureOptions {
  /** Samples of each peer, at most. */
  readonly rounds: number;
  /** Seconds that one peer may spend on one workload. */
  readonly maxTime: number;
  /** Seconds since any fixed moment, by the clock that counts for this peer. */
  readonly now: (session: Session) => number;
  /** Whether that clock adds up the time of all threads. Default: false. */
  readonly cpuTime?: boolean;
  /** Asked once a round, between the peers, if some of them are bound by it. */
  readonly peak?: Peak;
  /** Called before everything that takes time. */
  readonly onStage: (peer: string, stage: string) => void;
  /** Called with the seconds that one operation takes a peer on this kind of problem, roughly. */
  readonly onProbe: (peer: string, secondsPerFlop: number) => void;
}

export interface Measured {
  readonly status: "measured";
  /** Images in a run, null where the problem has no batch. May be smaller than the workload's. */
  readonly batch: number | null;
  readonly flop: number;
  /** Seconds a run, one a round; each the mean of `repeats` runs. */
  readonly samples: readonly number[];
  readonly repeats: number;
  /** The only sample is the first run: there was no time for another. */
  readonly cold: boolean;
  /** With the first peer, at this peer's batch; null for the first peer itself. */
  readonly agreement: Agreement | null;
}

export type Cell =
  | Measured
  /** It would take longer than `maxTime`. */
  | { readonly status: "overBudget"; readonly reason: string }
  /** The library has no way to do it. */
  | { readonly status: "unsupported"; readonly reason: string }
  /** Its results are not those of the first peer, so its time means nothing. */
  | { readonly status: "disagrees"; readonly reason: string; readonly agreement: Agreement }
  | { readonly status: "failed"; readonly reason: string };

export interface NamedCell {
  readonly peer: string;
  /** Null where the peer does not compute in threads of the processor. */
  readonly threads: number | null;
  readonly cell: Cell;
  /** How many times the first peer is faster, in images or runs a second; null for itself and without both times. */
  readonly ratio: Summary | null;
  /** Of threads x peak, or of the peak in processor time, round by round; null without a time or a peak, and for peers that this peak does not bound. */
  readonly share: Summary | null;
}

export interface WorkloadResult {
  readonly workload: Workload;
  readonly cells: readonly NamedCell[];
}

/** Images a second; runs a second where there are none. */
export const ratesOf = ({ batch, samples }: Measured): number[] => samples.map((seconds) => (batch ?? 1) / seconds);

/** A run that takes longer than this share of `maxTime` is done with fewer images, where there are fewer. */
const LONGEST_RUN = 1 / 30;
/** A sample repeats its runs until it takes this share of `maxTime`. */
const SHORTEST_SAMPLE = 1 / 120;
/** Seconds for which an engine is left to find and compile what is hot, if that is no more than a share of `maxTime`. */
const SETTLING = 0.5;
const SETTLING_SHARE = 1 / 20;

const settlingTime = (maxTime: number): number => Math.min(SETTLING, maxTime * SETTLING_SHARE);

/** A peer on its way through one workload. */
interface Runner {
  readonly name: string;
  readonly session: Session;
  readonly problem: Problem;
  readonly task: Task;
  readonly agreement: Agreement | null;
  readonly samples: number[];
  /** Seconds a run, as of late. */
  last: number;
  repeats: number;
  /** Seconds spent so far. */
  spent: number;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const cellOf = (error: unknown): Cell => ({
  status: error instanceof CannotError ? "unsupported" : "failed",
  reason: messageOf(error),
});

const seconds = (value: number): string => `${value < 10 ? value.toPrecision(2) : Math.round(value)} s`;

const timed = async (now: () => number, work: () => void | Promise<void>): Promise<number> => {
  const start = now();
  await work();
  return now() - start;
};

/** Seconds a run, on average over `period` seconds and one run at least. */
const runFor = async (task: Task, period: number, now: () => number): Promise<number> => {
  const start = now();
  let elapsed = 0;
  let runs = 0;
  do {
    await task.run();
    runs++;
    elapsed = now() - start;
  } while (elapsed < period);
  return elapsed / runs;
};

/**
 * Seconds that one operation takes the peer on `problem`, in the fastest of the runs of some time. The first one often has
 * kernels to compile: it counts only if it takes longer than a run may, and so is the last.
 */
const probe = async (session: Session, problem: Problem, maxTime: number, now: () => number): Promise<number> => {
  const task = await session.prepare(problem, inputsOf(problem));
  try {
    const first = await timed(now, () => task.run());
    if (first > maxTime * LONGEST_RUN) return first / flopOf(problem);
    let fastest = first;
    for (let elapsed = first, runs = 1; runs < 2 || elapsed < settlingTime(maxTime); runs++) {
      const time = await timed(now, () => task.run());
      fastest = Math.min(fastest, time);
      elapsed += time;
    }
    return fastest / flopOf(problem);
  } finally {
    task.dispose();
  }
};

/** The problem with as many images as the peer can do in `limit` seconds, one at least. */
const fitBatch = (problem: Problem, secondsPerFlop: number, limit: number): Problem => {
  let fitting = problem;
  for (let batch = batchOf(problem) ?? 1; batch > 1; ) {
    if (flopOf(fitting) * secondsPerFlop <= limit) break;
    batch = batch >> 1;
    fitting = withBatch(problem, batch);
  }
  return fitting;
};

/** How long a peer of this speed will take for a workload. */
export const expectedSeconds = (
  problem: Problem,
  secondsPerFlop: number,
  { rounds, maxTime }: Pick<MeasureOptions, "rounds" | "maxTime">,
): number => {
  const fitting = fitBatch(problem, secondsPerFlop, maxTime * LONGEST_RUN);
  const run = flopOf(fitting) * secondsPerFlop;
  if (run > maxTime) return 0;
  const probedAgain = flopOf(fitting) < flopOf(problem) && run <= maxTime * LONGEST_RUN ? 2 * run : 0;
  return Math.min(
    maxTime,
    2 * settlingTime(maxTime) + probedAgain + run + rounds * Math.max(run, maxTime * SHORTEST_SAMPLE),
  );
};

/** The first run of a problem, which stays ready to run again. */
const firstRun = async (session: Session, problem: Problem, inputs: Inputs, now: () => number) => {
  const task = await session.prepare(problem, inputs);
  try {
    const time = await timed(now, () => task.run());
    return { task, time, outputs: await task.outputs() };
  } catch (error) {
    task.dispose();
    throw error;
  }
};

const isOf = <T extends object>(value: T | Cell): value is T => !("status" in value);

/**
 * Time `workload` on all peers, which take turns. Before that, every peer has to give the results of the first: both run
 * the very same problem, with the batch that suits the slower one. What a peer cannot do is in its cell.
 */
export const measure = async (
  workload: Workload,
  sessions: ReadonlyMap<string, Session>,
  { rounds, maxTime, cpuTime = false, peak, onStage, onProbe, ...options }: MeasureOptions,
): Promise<WorkloadResult> => {
  const cells = new Map<string, Cell>();
  const runners: Runner[] = [];
  /** One a round. */
  const peaks: number[] = [];
  const clockOf = (session: Session) => (): number => options.now(session);

  /** Results of the first peer for problems of any batch. */
  const reference = async (problem: Problem, inputs: Inputs): Promise<Outputs> => {
    const first = runners[0] as Runner;
    onStage(first.name, "check");
    const { task, outputs } = await firstRun(first.session, problem, inputs, clockOf(first.session));
    task.dispose();
    return outputs;
  };

  const start = async (name: string, session: Session): Promise<Runner | Cell> => {
    onStage(name, "probe");
    const now = clockOf(session);
    const began = now();
    const limit = maxTime * LONGEST_RUN;
    let secondsPerFlop = await probe(session, probeOf(workload.problem), maxTime, now);
    let problem = fitBatch(workload.problem, secondsPerFlop, limit);
    // A small problem is slower by the operation than a large one: what fitted, if not all of it, may let more fit.
    for (let before = 0; before < flopOf(problem) && flopOf(problem) < flopOf(workload.problem); ) {
      if (flopOf(problem) * secondsPerFlop > limit) break;
      before = flopOf(problem);
      secondsPerFlop = await probe(session, problem, maxTime, now);
      problem = fitBatch(workload.problem, secondsPerFlop, limit);
    }
    onProbe(name, secondsPerFlop);
    const expected = flopOf(problem) * secondsPerFlop;
    if (expected > maxTime)
      return {
        status: "overBudget",
        reason: `a run would take about ${seconds(expected)}, the limit is ${seconds(maxTime)}`,
      };
    onStage(name, "check");
    const inputs = inputsOf(problem);
    const { task, time, outputs } = await firstRun(session, problem, inputs, now);
    const spent = now() - began;
    let agreement: Agreement | null = null;
    if (runners.length > 0) {
      try {
        agreement = compareOutputs(await reference(problem, inputs), outputs, inputs.tensors);
      } catch (error) {
        task.dispose();
        throw error;
      }
      if (!(agreement.error <= tolerance)) {
        task.dispose();
        const { output, error } = agreement;
        const reason = `${output} is off by ${error.toPrecision(2)} from ${runners[0]?.name}, more than ${tolerance}`;
        return { status: "disagrees", reason, agreement };
      }
    }
    return { name, session, problem, task, agreement, samples: [], last: time, repeats: 1, spent };
  };

  /** The first runs are slower than those after them. */
  const warmUp = async (runner: Runner): Promise<void> => {
    onStage(runner.name, "warm-up");
    const settling = settlingTime(maxTime);
    const now = clockOf(runner.session);
    if (runner.last < settling) {
      const start = now();
      runner.last = await runFor(runner.task, settling, now);
      runner.spent += now() - start;
    }
    runner.repeats = Math.max(1, Math.round((maxTime * SHORTEST_SAMPLE) / runner.last));
  };

  const sample = async (runner: Runner, round: number): Promise<void> => {
    onStage(runner.name, `${round + 1}/${rounds}`);
    const time = await timed(clockOf(runner.session), async () => {
      for (let i = 0; i < runner.repeats; i++) await runner.task.run();
    });
    runner.last = time / runner.repeats;
    runner.samples.push(runner.last);
    runner.spent += time;
  };

  /** A failure ends the peer's part in this workload, not the others'. */
  const guarded = async (runner: Runner, work: () => Promise<void>): Promise<void> => {
    if (cells.has(runner.name)) return;
    try {
      await work();
    } catch (error) {
      cells.set(runner.name, cellOf(error));
    }
  };

  try {
    for (const [name, session] of sessions) {
      try {
        const started = await start(name, session);
        if (isOf(started)) runners.push(started);
        else cells.set(name, started);
      } catch (error) {
        cells.set(name, cellOf(error));
      }
    }
    for (const runner of runners) await guarded(runner, () => warmUp(runner));
    const bounded = runners.some(({ session }) => session.wasm);
    for (let round = 0; round < rounds; round++) {
      if (peak && bounded) peaks.push(peak());
      for (const runner of runners)
        if (runner.spent + runner.last * runner.repeats <= maxTime) await guarded(runner, () => sample(runner, round));
    }
  } finally {
    for (const { task } of runners) task.dispose();
  }

  for (const { name, problem, samples, last, repeats, agreement } of runners) {
    if (cells.has(name)) continue;
    const cold = samples.length === 0;
    cells.set(name, {
      status: "measured",
      batch: batchOf(problem),
      flop: flopOf(problem),
      samples: cold ? [last] : samples,
      repeats,
      cold,
      agreement,
    });
  }
  return { workload, cells: inRelation(sessions, cells, { peaks, cpuTime }) };
};

/** The cells beside the first peer's, and beside the peak of their rounds. */
const inRelation = (
  sessions: ReadonlyMap<string, Session>,
  cells: ReadonlyMap<string, Cell>,
  { peaks, cpuTime }: { readonly peaks: readonly number[]; readonly cpuTime: boolean },
): NamedCell[] => {
  const [first] = sessions.keys();
  const base = cells.get(first as string);
  return [...sessions].map(([peer, { threads, wasm }]) => {
    const cell = cells.get(peer) as Cell;
    const both = peer !== first && base?.status === "measured" && cell.status === "measured";
    const bounded = wasm && threads !== null && peaks.length > 0 && cell.status === "measured";
    const speeds = bounded ? cell.samples.map((time) => cell.flop / time / (cpuTime ? 1 : threads)) : [];
    return {
      peer,
      threads,
      cell,
      ratio: both ? summarizeRatio(ratesOf(base), ratesOf(cell)) : null,
      share: bounded ? summarizeRatio(speeds, peaks) : null,
    };
  });
};
