import { describe, expect, test } from "vitest";
import { configSchema, type ScheduleConfig } from "../config/schema.js";
import { scheduleOf } from "./schedule.js";

const rates = (schedule: object, steps = 100, lr = 2): number[] => {
  const config = configSchema.shape.schedule.parse(schedule) as ScheduleConfig;
  const rate = scheduleOf(config, lr, steps);
  return Array.from({ length: steps }, (_, step) => rate(step));
};

describe("schedules in shares of the run", () => {
  test("one cycle goes up for its share and then down to almost nothing", () => {
    const all = rates({ name: "oneCycle", pctStart: 0.2 }, 50);
    expect(all.indexOf(Math.max(...all))).toBe(9);
    expect(all[0]).toBeCloseTo(2 / 25, 8);
    expect(all[49]).toBeLessThan(2 / 1e5);
  });

  // arXiv 2404.00498 and its code.
  test("the speed nets' goes from 0.2 to 1 at 23 % of the steps and to 0.07 at their end", () => {
    const points = [
      [0, 0.2],
      [0.23, 1],
      [1, 0.07],
    ];
    const all = rates({ name: "piecewiseLinear", points });
    for (const [step, factor] of [
      [0, 0.2],
      [11, 0.2 + (0.8 * 11) / 23],
      [23, 1],
      [61, 1 - (0.93 * 38) / 77],
      [99, 1 - (0.93 * 76) / 77],
    ] as const)
      expect(all[step]).toBeCloseTo(2 * factor, 10);
  });

  test.each([
    [{ name: "constant" }, [2, 2, 2]],
    [{ name: "cosine" }, [2, 1, 0]],
    [{ name: "cosine", end: 0.5 }, [2, 1.5, 1]],
    [{ name: "multiStep", milestones: [0.4, 0.9] }, [2, 0.2, 0.02]],
    [{ name: "exponential", end: 0.01 }, [2, 0.2, 0.02]],
    [{ name: "polynomial" }, [2, 1, 0]],
    [{ name: "plateau" }, [2, 2, 2]],
  ])("%j", (schedule, [first, middle, last]) => {
    const all = rates(schedule, 1001);
    expect(all[0]).toBeCloseTo(first as number, 2);
    expect(all[500]).toBeCloseTo(middle as number, 2);
    expect(all[1000]).toBeCloseTo(last as number, 2);
  });

  test("a warm-up comes first, and the rest is as long as what is left", () => {
    const all = rates({ name: "cosine", warmup: 0.1 });
    expect(all.slice(0, 3)).toEqual([0, 0.2, 0.4]);
    expect(all[10]).toBe(2);
    expect(all.slice(10)).toEqual(rates({ name: "cosine" }, 90));
  });

  test.each(["constant", "cosine", "oneCycle", "polynomial", "plateau"])("%s has a rate for a single step", (name) => {
    expect(rates({ name }, 1)[0]).toBeGreaterThan(0);
  });
});
