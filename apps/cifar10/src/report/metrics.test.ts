import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ReportError } from "./error.js";
import { allOf, currentRecords, lastOf, type Metric, type MetricRecord, parseMetrics, readMetrics } from "./metrics.js";
import { fabricateMetrics } from "./testing/fabricate.js";

const { lines } = fabricateMetrics({ epochs: 2, stepsPerEpoch: 5 });
const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");

describe("reading", () => {
  test("gives every line with its number", () => {
    const { records, broken } = parseMetrics(text);
    expect(broken).toBe(0);
    expect(records.map(({ metric }) => metric)).toEqual(lines);
    expect(records.map(({ line }) => line)).toEqual(lines.map((_, i) => i + 1));
  });

  test("a kill within a line costs that line alone, wherever it was and however the run went on", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length - 1 }), fc.boolean(), (at, resumed) => {
        const whole = text.slice(0, at).split("\n").length - 1;
        const cut = text.slice(0, at).split("\n").at(-1) as string;
        const { records, broken } = parseMetrics(`${text.slice(0, at)}${resumed ? `\n${text}` : ""}`);
        // Cut right before its end, a line is whole.
        const complete = cut !== "" && cut === JSON.stringify(lines[whole]);
        expect(records).toHaveLength(whole + (complete ? 1 : 0) + (resumed ? lines.length : 0));
        expect(broken).toBe(cut === "" || complete ? 0 : 1);
      }),
      { numRuns: 200 },
    );
  });

  test("what later versions add is passed over", () => {
    const { records } = parseMetrics(
      '{"event":"weather","time":1}\n{"event":"resume","time":2,"step":3,"why":"kill"}\n',
    );
    expect(records).toEqual([{ line: 2, metric: { event: "resume", time: 2, step: 3, why: "kill" } }]);
  });

  test("null is what was not finite", () => {
    const { records } = parseMetrics(
      '{"event":"validation","time":1,"epoch":0,"step":1,"loss":null,"accuracy":0.1,"images":10}',
    );
    expect(lastOf(records, "validation")?.metric.loss).toBeNaN();
  });

  test.each([
    ['{"event":"step","time":1}', /line 2 .*step/s],
    ['{"event":"resume","time":1,"step":-1}', /line 2 /],
    ['{"event":"resume","time":"now","step":1}', /line 2 .*time/s],
    ['{"event":"test","time":1,"which":"second"}', /line 2 .*which/s],
  ])("%s is a ReportError that says where", (line, message) => {
    const parse = () => parseMetrics(`${JSON.stringify(lines[0])}\n${line}\n`);
    expect(parse).toThrow(ReportError);
    expect(parse).toThrow(message);
  });

  test.each(["null", "7", '"step"', "[]", "{}"])("%s is no event", (line) => {
    expect(parseMetrics(line).records).toEqual([]);
  });
});

describe("a file", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "striate-metrics-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("is read", async () => {
    await writeFile(join(folder, "metrics.jsonl"), text);
    expect((await readMetrics(join(folder, "metrics.jsonl"))).records).toHaveLength(lines.length);
  });

  test("that is not there is a ReportError that names it", async () => {
    const read = readMetrics(join(folder, "none.jsonl"));
    await expect(read).rejects.toThrow(ReportError);
    await expect(read).rejects.toThrow("none.jsonl");
  });
});

describe("what counts after a resume", () => {
  const step = (n: number, loss: number): Metric => ({
    event: "step",
    time: n,
    step: n,
    epoch: 0,
    loss,
    accuracy: 0.5,
    lr: 0.1,
    images: 4,
    seconds: 1,
  });
  const numbered = (metrics: readonly Metric[]): MetricRecord[] =>
    metrics.map((metric, i) => ({ line: i + 1, metric }));

  test("is each step once, from the last time that it was made", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ made: fc.integer({ min: 0, max: 9 }), back: fc.integer({ min: 0, max: 9 }) }), {
          maxLength: 8,
        }),
        (parts) => {
          const metrics: Metric[] = [];
          let at = 0;
          parts.forEach(({ made, back }, part) => {
            for (let i = 0; i < made; i++) metrics.push(step(++at, part));
            at = Math.max(0, at - back);
            metrics.push({ event: "resume", time: 0, step: at });
          });
          const current = currentRecords(numbered(metrics));
          const steps = allOf(current, "step").map(({ metric }) => metric);
          expect(steps.map((metric) => metric.step)).toEqual(Array.from({ length: at }, (_, i) => i + 1));
          for (const metric of steps)
            expect(metric).toBe(metrics.findLast((one) => one.event === "step" && one.step === metric.step));
        },
      ),
    );
  });

  test("leaves out epochs, validations, changes and ends behind the checkpoint", () => {
    const metrics: Metric[] = [
      step(1, 0),
      { event: "validation", time: 1, epoch: 0, step: 1, loss: 1, accuracy: 1, images: 1 },
      step(2, 0),
      { event: "epoch", time: 1, epoch: 0, steps: 2, trainLoss: 1, trainAccuracy: 1, imagesPerSecond: 1, seconds: 1 },
      { event: "change", time: 2, step: 2, lr: 1 },
      { event: "end", time: 2, ended: "aborted", seconds: 2 },
      { event: "resume", time: 2, step: 1 },
      step(2, 1),
    ];
    expect(currentRecords(numbered(metrics)).map(({ line }) => line)).toEqual([1, 2, 7, 8]);
  });

  test("changes that were to be made again stay, though their time is behind the checkpoint", () => {
    const metrics: Metric[] = [
      {
        event: "start",
        time: 0,
        steps: 9,
        epochs: 1,
        batchSize: 1,
        backend: "cpu",
        seed: 0,
        data: "synthetic",
        classes: [],
      },
      { event: "change", time: 0, step: 5, lr: 1 },
      step(1, 0),
      step(2, 0),
      { event: "resume", time: 2, step: 1 },
      step(2, 1),
    ];
    expect(currentRecords(numbered(metrics)).map(({ line }) => line)).toEqual([1, 2, 3, 5, 6]);
  });

  test("an end right at the checkpoint is none", () => {
    const metrics: Metric[] = [
      step(1, 0),
      { event: "end", time: 2, ended: "aborted", seconds: 2 },
      { event: "resume", time: 2, step: 1 },
    ];
    expect(currentRecords(numbered(metrics)).map(({ line }) => line)).toEqual([1, 3]);
  });
});
