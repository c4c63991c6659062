import { describe, expect, test } from "vitest";
import type { Cell, Measured, WorkloadResult } from "./measure.js";
import { createTable, isClean, toJson } from "./report.js";
import type { Workload } from "./workloads.js";

const workload: Workload = { name: "matmul 8", problem: { op: "matmul", size: 8 } };
const peers = ["ours", "theirs"];

const measured = (more: Partial<Measured> = {}): Measured => ({
  status: "measured",
  batch: null,
  flop: 2e9,
  samples: [0.5, 0.25, 1],
  repeats: 1,
  cold: false,
  agreement: null,
  ...more,
});

const resultOf = (cell: Cell): WorkloadResult => {
  const ratio = cell.status === "measured" ? { median: 2, min: 1.5, max: 2.5 } : null;
  return {
    workload,
    cells: [
      { peer: "ours", threads: 2, cell: measured(), ratio: null, share: { median: 0.8, min: 0.75, max: 0.9 } },
      { peer: "theirs", threads: null, cell, ratio, share: null },
    ],
  };
};

const overBudget: Cell = { status: "overBudget", reason: "a run would take about 90 s, the limit is 60 s" };
const agreement = { output: "loss", error: 0.5 };
const disagrees: Cell = { status: "disagrees", reason: "loss is off by 0.50", agreement };
const unsupported: Cell = { status: "unsupported", reason: "no kernel for it" };
const failed: Cell = { status: "failed", reason: "out of memory" };

describe("createTable", () => {
  const rows = (cell: Cell): string[] =>
    createTable({ workloads: [workload], peers })
      .rows(resultOf(cell))
      .split("\n");

  test("a row has the threads, the median, the extremes, the rate, GFLOP/s, the share of the peak and the ratio", () => {
    const [first, second] = rows(measured({ batch: 4 }));
    expect(first).toMatch(/^matmul 8 +ours +2 +500 ms \(250 \.\. 1000\) +2\.00 +4\.00 +80% \(75 \.\. 90\)$/);
    expect(second).toMatch(/^ +theirs +4 +500 ms \(250 \.\. 1000\) +8\.00 img +4\.00 +2\.00x \(1\.50 \.\. 2\.50\)$/);
  });

  test("says where a time rests on one run", () => {
    expect(rows(measured({ samples: [2] }))[1]).toContain("2.00 s (one run)");
    expect(rows(measured({ samples: [2], cold: true }))[1]).toContain("2.00 s (one cold run)");
  });

  test("says why there is no time", () => {
    expect(rows(overBudget)[1]).toMatch(/theirs {2}over budget: a run would take about 90 s, the limit is 60 s$/);
    expect(rows(disagrees)[1]).toMatch(/DISAGREES: loss is off by 0\.50$/);
    expect(rows(unsupported)[1]).toMatch(/cannot: no kernel for it$/);
    expect(rows(failed)[1]).toMatch(/FAILED: out of memory$/);
  });
});

test("isClean minds disagreement and failure, not slowness or what a library lacks", () => {
  const clean = [measured(), overBudget, unsupported, disagrees, failed].map((cell) => isClean([resultOf(cell)]));
  expect(clean).toEqual([true, true, true, false, false]);
});

test("toJson keeps every sample and every reason", () => {
  const date = new Date(Date.UTC(2026, 0, 2));
  const machine = { cpu: "c", cores: 2, memoryBytes: 1, system: "s", node: "20", v8: "11", load: 0.5 };
  const options = {
    ...{ peers, peersNamed: false, workloads: [workload] },
    ...{ rounds: 3, maxTime: 60, cpuTime: false, json: null, list: false },
  };
  const infos = peers.map((name) => ({ name, version: "1.0", threads: 2, note: null }));
  const context = { date, machine, options, peers: infos, peak: 5e9 };
  expect(JSON.parse(toJson(context, [resultOf(measured({ batch: 4 })), resultOf(disagrees)]))).toMatchObject({
    format: 2,
    date: "2026-01-02T00:00:00.000Z",
    machine,
    options: { rounds: 3, maxTime: 60, cpuTime: false },
    peers: infos,
    peakGflops: 5,
    results: [
      {
        workload: "matmul 8",
        problem: { op: "matmul", size: 8 },
        cells: [
          { peer: "ours", threads: 2, ratio: null, gflops: 4, share: { median: 0.8, min: 0.75, max: 0.9 } },
          {
            peer: "theirs",
            status: "measured",
            samples: [0.5, 0.25, 1],
            seconds: { median: 0.5, min: 0.25, max: 1 },
            rate: { median: 8, min: 4, max: 16 },
            ratio: { median: 2, min: 1.5, max: 2.5 },
          },
        ],
      },
      { cells: [{ peer: "ours" }, { ...disagrees }] },
    ],
  });
});
