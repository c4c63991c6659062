import { expect, test } from "vitest";
import type { Metric } from "../../report/metrics.js";
import { emptyState, type RunState, trackRun } from "./run-state.js";

const step = (at: number): Metric => ({
  event: "step",
  time: at,
  step: at,
  epoch: 0,
  loss: 1,
  accuracy: 0,
  lr: 0.1,
  images: 8,
  seconds: 1,
});

test("what was behind the checkpoint is forgotten, but for changes that were to be made again", () => {
  const tracker = trackRun(emptyState("run", []));
  const planned: Metric = { event: "change", time: 0, step: 5, lr: 1 };
  const byHand: Metric = { event: "change", time: 2, step: 2, lr: 2 };
  const before: Metric[] = [planned, { event: "checkpoint", time: 0, step: 0, file: "0" }, step(1), step(2), byHand];
  for (const metric of before) tracker.metric(metric);
  expect(tracker.state.changes).toEqual([planned, byHand]);
  // A page that comes late goes on from what the server has.
  const late = trackRun(JSON.parse(JSON.stringify(tracker.state)) as RunState);
  for (const { metric, state } of [tracker, late]) {
    metric({ event: "checkpoint", time: 3, step: 2, file: "2" });
    metric({ event: "resume", time: 4, step: 1 });
    expect(state.changes).toEqual([planned]);
  }
});

test("a run that goes on is tested anew: what its tests and its end said is forgotten", () => {
  const { metric, state } = trackRun(emptyState("run", []));
  const tested: Metric = {
    event: "test",
    time: 2,
    which: "last",
    loss: 1,
    accuracy: 0.5,
    images: 8,
    confusion: [],
    perClass: [],
  };
  const end: Metric = { event: "end", time: 3, ended: "finished", seconds: 1 };
  for (const each of [step(1), tested, end]) metric(each);
  expect(state).toMatchObject({ status: "ended", tests: [{ accuracy: 0.5 }] });
  metric({ event: "resume", time: 4, step: 1 });
  expect(state).toMatchObject({ status: "running", tests: [] });
  expect(state).not.toHaveProperty("end");
  for (const each of [tested, end]) metric(each);
  expect(state.tests).toHaveLength(1);
});
