import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { columns, createSeries, means, smoothed } from "./series.js";

const all = (value: number) => ({ loss: value, accuracy: value, lr: value, secondsPerImage: value });

describe("a series", () => {
  test("keeps count, sum and extremes of all values, in bounded memory", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.double({ min: -1e3, max: 1e3, noNaN: true }), fc.constant(Number.NaN)), {
          maxLength: 300,
        }),
        fc.integer({ min: 1, max: 20 }).map((half) => 2 * half),
        (given, capacity) => {
          const series = createSeries(capacity);
          given.forEach((value, i) => {
            series.push(i + 1, all(value));
          });
          const { data } = series;
          expect(data.last.length).toBeLessThanOrEqual(capacity);
          expect(data.steps.reduce((a, b) => a + b, 0)).toBe(given.length);
          if (given.length > 0) expect(data.last.at(-1)).toBe(given.length);
          expect([...data.last]).toEqual([...data.last].sort((a, b) => a - b));
          const finite = given.filter(Number.isFinite);
          for (const column of columns) {
            const { count, sum, min, max } = data.values[column];
            expect(count.reduce((a, b) => a + b, 0)).toBe(finite.length);
            expect(sum.reduce<number>((a, b) => a + (b ?? 0), 0)).toBeCloseTo(
              finite.reduce((a, b) => a + b, 0),
              5,
            );
            if (finite.length === 0) continue;
            expect(Math.min(...min.filter((v) => v !== null))).toBe(Math.min(...finite));
            expect(Math.max(...max.filter((v) => v !== null))).toBe(Math.max(...finite));
          }
        },
      ),
    );
  });

  test("goes on from what was sent elsewhere as if it had never stopped", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 }), (before, after) => {
        const whole = createSeries(8);
        const first = createSeries(8);
        for (let i = 1; i <= before; i++) for (const series of [whole, first]) series.push(i, all(Math.sin(i)));
        const second = createSeries(8, JSON.parse(JSON.stringify(first.data)));
        for (let i = before + 1; i <= before + after; i++)
          for (const series of [whole, second]) series.push(i, all(Math.sin(i)));
        expect(second.data).toEqual(whole.data);
      }),
    );
  });

  test("forgets what lies behind a step, buckets that reach beyond it included", () => {
    const series = createSeries(4);
    for (let i = 1; i <= 8; i++) series.push(i, all(i));
    expect(series.data.last).toEqual([2, 4, 6, 8]);
    series.truncate(5);
    expect(series.data.last).toEqual([2, 4]);
    expect(means(series.data.values.loss)).toEqual([1.5, 3.5]);
    series.push(6, all(0));
    expect(series.data.last).toEqual([2, 4, 6]);
  });
});

describe("smoothing", () => {
  const of = (values: readonly number[]) => {
    const series = createSeries(1000);
    values.forEach((value, i) => {
      series.push(i + 1, all(value));
    });
    return series.data;
  };

  test("a window of 0 changes nothing, and what is not finite leaves a gap", () => {
    expect(smoothed(of([1, 5, Number.NaN, 2]), "loss", 0)).toEqual([1, 5, null, 2]);
  });

  test("a constant stays what it is from the first step on", () => {
    for (const value of smoothed(of([3, 3, 3, 3]), "loss", 10)) expect(value).toBeCloseTo(3, 12);
  });

  test("lies within the values, and calms them", () => {
    const values = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 1 : -1));
    const calm = smoothed(of(values), "loss", 20);
    for (const value of calm) expect(Math.abs(value as number)).toBeLessThanOrEqual(1);
    expect(Math.abs(calm.at(-1) as number)).toBeLessThan(0.1);
  });
});
