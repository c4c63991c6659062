import { describe, expect, test } from "vitest";
import type { Callback, Control } from "./callback.js";
import { mainGroupOf, metricsCallback, type RateSource, type RunEvent } from "./metrics.js";

const control: Control = { stop: () => {}, validated: async () => {}, ending: undefined, seconds: 0 };

/** Its rates can be set. */
const twoGroups = () => ({
  groups: [
    { lr: 3, params: [{ size: 2 }, { size: 2 }] },
    { lr: 0.5, params: [{ size: 5 }] },
  ],
});

const walk = async (optimizer: RateSource | undefined, of: (callback: Callback) => unknown): Promise<RunEvent[]> => {
  const events: RunEvent[] = [];
  await of(metricsCallback((event) => void events.push(event), optimizer));
  return events;
};

test("the main group is the one with the most parameters, the first of equals", () => {
  expect(mainGroupOf(twoGroups())).toBe(1);
  const [first, second] = twoGroups().groups;
  expect(mainGroupOf({ groups: [first, second, second] as never })).toBe(1);
});

describe("metricsCallback", () => {
  const position = (step: number) => ({ epoch: 0, step, batch: step });
  const report = (step: number) => ({ ...position(step), loss: 2, correct: 3, images: 4, skipped: step === 1 });

  test("counts steps made, with the rate of the main group in that step", async () => {
    const optimizer = twoGroups();
    const events = await walk(optimizer, async (callback) => {
      // As `fit`: reports come one step behind.
      for (let step = 0; step < 3; step++) {
        (optimizer.groups[1] as { lr: number }).lr = 1 / (step + 1);
        await callback.beforeStep?.(position(step), control);
        if (step > 0) await callback.onStep?.(report(step - 1), control);
      }
      await callback.onStep?.(report(2), control);
    });
    const line = { event: "step", epoch: 0, loss: 2, accuracy: 0.75, images: 4 };
    expect(events.map(({ seconds: _, ...rest }) => rest)).toEqual([
      { ...line, step: 1, lr: 1 },
      { ...line, step: 2, lr: 1 / 2, skipped: true },
      { ...line, step: 3, lr: 1 / 3 },
    ]);
    for (const { seconds } of events) expect(seconds).toBeGreaterThanOrEqual(0);
  });

  test("has no rate without an optimizer", async () => {
    const events = await walk(undefined, async (callback) => {
      await callback.beforeStep?.(position(0), control);
      await callback.onStep?.(report(0), control);
    });
    expect(events[0]).not.toHaveProperty("lr");
  });

  test("epochs and validations", async () => {
    const epoch = { epoch: 1, steps: 2, skipped: 0, images: 8, loss: 1, accuracy: 0.5, seconds: 4 };
    const validation = { epoch: 1, step: 4, loss: 2, accuracy: 0.25, images: 3 };
    const events = await walk(undefined, async (callback) => {
      await callback.onEpoch?.(epoch, control);
      await callback.onEpoch?.({ ...epoch, skipped: 1 }, control);
      await callback.onValidation?.(validation, control);
    });
    const line = {
      event: "epoch",
      epoch: 1,
      steps: 2,
      trainLoss: 1,
      trainAccuracy: 0.5,
      imagesPerSecond: 2,
      seconds: 4,
    };
    expect(events).toEqual([line, { ...line, skipped: 1 }, { event: "validation", ...validation }]);
  });
});
