import { expect, test } from "vitest";
import { toCsv } from "./csv.js";
import type { Metric } from "./metrics.js";
import { fabricateMetrics } from "./testing/fabricate.js";

const header =
  "event,time,epoch,step,which,loss,accuracy,lr,images,seconds,imagesPerSecond,momentum,weightDecay,ended,reason";

test("a row for each step, epoch, validation, change, test and the end", () => {
  const metrics: Metric[] = [
    { event: "step", time: 1.5, step: 1, epoch: 0, loss: 2.5, accuracy: 0.25, lr: 0.1, images: 4, seconds: 0.5 },
    { event: "epoch", time: 2, epoch: 0, steps: 7, trainLoss: 2, trainAccuracy: 0.5, imagesPerSecond: 8, seconds: 1 },
    { event: "validation", time: 3, epoch: 0, step: 1, loss: Number.NaN, accuracy: 0.5, images: 9 },
    { event: "checkpoint", time: 3, step: 1, file: "x" },
    { event: "change", time: 4, step: 1, momentum: 0.5 },
    { event: "end", time: 5, ended: "stopped", reason: 'said "stop",\nso', seconds: 5 },
  ];
  expect(toCsv(metrics).split("\r\n")).toEqual([
    header,
    "step,1.5,0,1,,2.5,0.25,0.1,4,0.5,,,,,",
    "epoch,2,0,,,2,0.5,,,1,8,,,,",
    "validation,3,0,1,,NaN,0.5,,9,,,,,,",
    "change,4,,1,,,,,,,,0.5,,,",
    'end,5,,,,,,,,5,,,,stopped,"said ""stop"",\nso"',
    "",
  ]);
});

test("every number of the steps comes back exactly", () => {
  const metrics = fabricateMetrics({ epochs: 1, stepsPerEpoch: 30 }).lines as unknown as Metric[];
  const [names = "", ...rows] = toCsv(metrics).split("\r\n");
  const at = names.split(",").indexOf("loss");
  const losses = rows.filter((row) => row.startsWith("step,")).map((row) => Number(row.split(",")[at]));
  expect(losses).toEqual(metrics.flatMap((metric) => (metric.event === "step" ? [metric.loss] : [])));
});

test("of nothing is its header", () => {
  expect(toCsv([])).toBe(`${header}\r\n`);
});
