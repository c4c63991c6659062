import type { Callback, Control, StepReport } from "@striate/train";
import { describe, expect, test } from "vitest";
import type { Event, Progress, Reporter } from "./reporter.js";
import { epochReports, progressLine } from "./training-reports.js";

const control: Control = { stop: () => {}, validated: async () => {}, ending: undefined, seconds: 0 };

const hear = ({ onStep }: Callback, report: Partial<StepReport>): void =>
  void onStep?.({ epoch: 0, step: 0, batch: 0, images: 10, loss: 1, correct: 0, skipped: false, ...report }, control);

const setup = (epochs: number, steps: number) => {
  const events: Event[] = [];
  const texts: string[] = [];
  const lines: Progress[] = [];
  const plain = String;
  const reporter: Pick<Reporter, "event" | "progress"> = {
    event: (event, text) => {
      events.push(event);
      texts.push(text({ bold: plain, dim: plain }));
    },
    progress: (progress) => void lines.push(progress),
  };
  return {
    events,
    texts,
    lines,
    callback: { ...progressLine(reporter, epochs, steps), ...epochReports(reporter, epochs) },
  };
};

describe("the progress line", () => {
  test("counts the steps of all epochs, and names the one that runs", () => {
    const { lines, callback } = setup(2.5, 5);
    hear(callback, { epoch: 0, step: 0, images: 10, loss: 2, correct: 1 });
    hear(callback, { epoch: 2, step: 4, images: 10, loss: 2, correct: 1 });
    expect(lines).toMatchObject([
      { phase: "training", label: "epoch 1/3", done: 1, total: 5 },
      { phase: "training", label: "epoch 3/3", done: 5, total: 5 },
    ]);
  });

  test("has the loss first, then the accuracy, then the speed", () => {
    const { lines, callback } = setup(1, 5);
    hear(callback, { epoch: 0, step: 0, images: 10, loss: 2.34567, correct: 1 });
    expect(lines[0]?.details?.slice(0, 2)).toEqual(["loss 2.346", "accuracy 10.0 %"]);
    expect(lines[0]?.details?.[2]).toMatch(/^\d+ images\/s$/);
  });

  test("smooths: a step counts for a twentieth", () => {
    const { lines, callback } = setup(1, 5);
    hear(callback, { epoch: 0, step: 0, images: 10, loss: 1, correct: 0 });
    hear(callback, { epoch: 0, step: 1, images: 10, loss: 2, correct: 10 });
    expect(lines[1]?.details?.slice(0, 2)).toEqual(["loss 1.050", "accuracy 5.0 %"]);
  });
});

test("an epoch is a line for people and an event for programs", () => {
  const { events, texts, callback } = setup(1.5, 6);
  callback.onEpoch?.(
    { skipped: 0, epoch: 1, steps: 2, images: 256, loss: 1.23456, accuracy: 0.5678, seconds: 0.5 },
    control,
  );
  expect(events).toEqual([
    {
      event: "epoch",
      epoch: 2,
      steps: 2,
      trainLoss: 1.23456,
      trainAccuracy: 0.5678,
      imagesPerSecond: 512,
      seconds: 0.5,
    },
  ]);
  expect(texts).toEqual(["epoch 2/2: loss 1.235, accuracy 56.8 % (512 images/s, 0.5 s)"]);
});
