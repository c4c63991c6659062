import { describe, expect, test } from "vitest";
import { type Cell, expectedSeconds, type Measured, type MeasureOptions, measure } from "./measure.js";
import { CannotError, type Session, type Task } from "./peer.js";
import { batchOf, flopOf, type Inputs, type Problem } from "./problem.js";
import type { Workload } from "./workloads.js";

const batch = 64;
const workload: Workload = {
  name: "conv",
  problem: { op: "conv2d", batch, in: 1, out: 1, image: 4, kernel: 1, padding: 0 },
};
const flopPerImage = flopOf(workload.problem) / batch;

/** A clock that only the peers below move. */
const createClock = () => {
  let time = 0;
  return {
    now: () => time,
    pass: (seconds: number) => {
      time += seconds;
    },
  };
};

type Clock = ReturnType<typeof createClock>;

interface FakeOptions {
  /** Seconds an image in the nth run of all. */
  readonly pace: (run: number) => number;
  /** The result. */
  readonly y?: number;
  /** Throw in this run. */
  readonly failAt?: number;
}

const fakePeer = (clock: Clock, { pace, y = 1, failAt = -1 }: FakeOptions) => {
  const log = { batches: [] as (number | null)[], runs: 0, open: 0 };
  const session: Session = {
    version: "1",
    threads: 1,
    wasm: false,
    prepare: (problem: Problem) => {
      log.batches.push(batchOf(problem));
      log.open++;
      return {
        run: () => {
          if (log.runs === failAt) throw new Error("out of order");
          clock.pass(pace(log.runs++) * (batchOf(problem) ?? 1));
        },
        outputs: async () => new Map([["y", Float32Array.of(y)]]),
        dispose: () => {
          log.open--;
        },
      };
    },
    close: () => {},
  };
  return { session, log };
};

const options = (clock: Clock, more: Partial<MeasureOptions> = {}): MeasureOptions => ({
  rounds: 5,
  maxTime: 60,
  now: clock.now,
  onStage: () => {},
  onProbe: () => {},
  ...more,
});

const run = async (fakes: readonly FakeOptions[], more: Partial<MeasureOptions> = {}) => {
  const clock = createClock();
  const made = fakes.map((fake) => fakePeer(clock, fake));
  const sessions = new Map(made.map(({ session }, i) => [`peer${i}`, session]));
  const { cells } = await measure(workload, sessions, options(clock, more));
  for (const { log } of made) expect(log.open).toBe(0);
  return { cells, logs: made.map(({ log }) => log) };
};

const measured = (cell: Cell | undefined): Measured => {
  expect(cell).toMatchObject({ status: "measured" });
  return cell as Measured;
};

describe("measure", () => {
  test("compares rates, not times of different batches", async () => {
    const { cells } = await run([{ pace: () => 1e-3 }, { pace: () => 0.5 }]);
    const [fast, slow] = cells.map(({ cell }) => measured(cell));
    expect(fast?.batch).toBe(64);
    expect(slow?.batch).toBe(4); // two seconds, a thirtieth of a minute
    expect(fast?.samples).toHaveLength(5);
    expect(fast?.samples[0]).toBeCloseTo(0.064);
    expect(cells[0]?.ratio).toBeNull();
    expect(cells[1]?.ratio?.median).toBeCloseTo(500);
  });

  test("a peer that is slow on a small problem only gets the whole batch", async () => {
    const clock = createClock();
    const { session, log } = fakePeer(clock, { pace: () => 0 });
    const prepare = (problem: Problem, inputs: Inputs): Task => {
      const task = session.prepare(problem, inputs) as Task;
      // A tenth of a second whatever it does, and a little for each image.
      return { ...task, run: () => clock.pass(0.1 + 1e-3 * (batchOf(problem) ?? 1)) };
    };
    const { cells } = await measure(workload, new Map([["peer", { ...session, prepare }]]), options(clock));
    expect(measured(cells[0]?.cell).batch).toBe(64);
    expect(log.batches).toEqual([1, 16, 64]); // 19.8 images fit by the first; then all do
    expect(log.open).toBe(0);
  });

  test("repeats short runs until a sample lasts", async () => {
    const { cells } = await run([{ pace: () => 1e-3 }]);
    expect(measured(cells[0]?.cell).repeats).toBe(8); // half a second, by 64 ms
  });

  test("checks each peer against the first at its own batch", async () => {
    const { cells, logs } = await run([{ pace: () => 1e-3 }, { pace: () => 0.5 }]);
    expect(logs[0]?.batches).toEqual([1, 64, 4]); // probe, own, the other's
    expect(measured(cells[0]?.cell).agreement).toBeNull();
    expect(measured(cells[1]?.cell).agreement).toEqual({ output: "y", error: 0 });
  });

  test("does not time a peer that computes something else", async () => {
    const { cells } = await run([
      { pace: () => 1e-3 },
      { pace: () => 1e-3, y: 1.1 },
      { pace: () => 1e-3, y: Number.NaN },
    ]);
    expect(cells[1]?.cell).toMatchObject({ status: "disagrees", agreement: { output: "y" } });
    expect(cells[1]?.cell).not.toHaveProperty("samples");
    expect(cells[2]?.cell).toMatchObject({ status: "disagrees" });
    measured(cells[0]?.cell);
  });

  test("says so before it starts what a peer cannot do in time", async () => {
    const { cells, logs } = await run([{ pace: () => 1e-3 }, { pace: () => 100 }]);
    expect(cells[1]).toMatchObject({ cell: { status: "overBudget" }, ratio: null });
    expect(logs[1]?.runs).toBe(1);
    measured(cells[0]?.cell);
  });

  test("stops taking samples when the time is up", async () => {
    const { cells } = await run([{ pace: () => 14 }]); // probe, check, and then two of five rounds fit
    const cell = measured(cells[0]?.cell);
    expect(cell.samples).toEqual([14, 14]);
    expect(cell.cold).toBe(false);
  });

  test("a peer with time for one run only has that one, marked as cold", async () => {
    const { cells } = await run([{ pace: () => 40 }]);
    expect(cells[0]?.cell).toMatchObject({ status: "measured", samples: [40], cold: true });
  });

  test("a failure of one peer, at any moment, does not stop the others", async () => {
    for (const failAt of [0, 1, 2, 6]) {
      const { cells } = await run([{ pace: () => 0.5 }, { pace: () => 0.5, failAt }]);
      expect(cells[1]).toMatchObject({ cell: { status: "failed", reason: "out of order" }, ratio: null });
      expect(measured(cells[0]?.cell).samples).toHaveLength(5);
    }
  });

  test("where the first peer drops out, the next one is what others are checked against", async () => {
    const { cells } = await run([{ pace: () => 1e-3, failAt: 0 }, { pace: () => 1e-3 }, { pace: () => 1e-3, y: 2 }]);
    expect(cells.map(({ cell }) => cell.status)).toEqual(["failed", "measured", "disagrees"]);
    expect(cells[1]?.ratio).toBeNull();
  });

  test("what a library has no way to do is no failure", async () => {
    const clock = createClock();
    const { session } = fakePeer(clock, { pace: () => 1 });
    const prepare = (): never => {
      throw new CannotError("no kernel for it");
    };
    const sessions = new Map([["able", session] as const, ["unable", { ...session, prepare }] as const]);
    const { cells } = await measure(workload, sessions, options(clock));
    expect(cells[1]).toMatchObject({ cell: { status: "unsupported", reason: "no kernel for it" }, ratio: null });
    measured(cells[0]?.cell);
  });

  test.each([
    { cpuTime: false, share: { median: 0.375, min: 0.25, max: 0.5 } },
    { cpuTime: true, share: { median: 0.75, min: 0.5, max: 1 } },
  ])("holds what runs in wasm against the peak of the same round: %o", async ({ cpuTime, share }) => {
    const clock = createClock();
    const { session } = fakePeer(clock, { pace: () => 1 });
    const peaks = [flopPerImage, 2 * flopPerImage];
    const sessions = new Map([
      ["bounded", { ...session, wasm: true, threads: 2 }],
      ["other", session],
    ]);
    const asked: number[] = [];
    const peak = (): number => {
      asked.push(clock.now());
      return peaks[asked.length - 1] as number;
    };
    const { cells } = await measure(workload, sessions, options(clock, { rounds: 2, peak, cpuTime }));
    expect(cells.map(({ threads }) => threads)).toEqual([2, 1]);
    expect(cells[0]?.share).toEqual(share);
    expect(cells[1]?.share).toBeNull();
    const [first, second] = asked as [number, number];
    expect(first).toBeLessThan(second);
  });

  test("a peer may have a clock of its own", async () => {
    const clock = createClock();
    const { session } = fakePeer(clock, { pace: () => 1 });
    const own = { ...session, version: "own" };
    const now = ({ version }: Session): number => clock.now() * (version === "own" ? 0.5 : 1);
    const sessions = new Map([
      ["common", session],
      ["own", own],
    ]);
    const { cells } = await measure(workload, sessions, options(clock, { now }));
    expect(cells[1]?.ratio?.median).toBeCloseTo(0.5);
  });

  test("takes turns", async () => {
    const clock = createClock();
    const rounds: string[] = [];
    const onStage = (peer: string, stage: string): void => {
      if (/^\d+\/2$/.test(stage)) rounds.push(peer);
    };
    const sessions = new Map(["a", "b"].map((name) => [name, fakePeer(clock, { pace: () => 1 }).session]));
    await measure(workload, sessions, options(clock, { rounds: 2, onStage }));
    expect(rounds).toEqual(["a", "b", "a", "b"]);
  });
});

describe("expectedSeconds", () => {
  const budget = { rounds: 5, maxTime: 60 };

  test("is what such a peer took", async () => {
    const clock = createClock();
    const { session } = fakePeer(clock, { pace: () => 0.5 });
    await measure(workload, new Map([["peer", session]]), options(clock));
    const expected = expectedSeconds(workload.problem, 0.5 / flopPerImage, budget);
    expect(clock.now() / expected).toBeGreaterThan(0.8);
    expect(clock.now() / expected).toBeLessThan(1.25);
  });

  test("never exceeds the budget, and is nothing for what will not be tried", () => {
    expect(expectedSeconds(workload.problem, 50 / flopPerImage, budget)).toBe(60);
    expect(expectedSeconds(workload.problem, 100 / flopPerImage, budget)).toBe(0);
  });
});
