import fc from "fast-check";
import { expect, test } from "vitest";
import { type Turn, turnRatios } from "./turns.js";

const turnsOf = (speeds: readonly number[], cost: number): Turn[] =>
  speeds.map((speed, i) => (i % 2 === 0 ? { kind: "without", speed } : { kind: "with", speed: speed * cost }));

test("a turn is compared with its neighbours", () => {
  expect(turnRatios(turnsOf([100, 110, 120, 110], 0.9))).toEqual(
    [0.9, (110 * 0.9) / 120].map((ratio) => expect.closeTo(ratio, 12)),
  );
  expect(turnRatios(turnsOf([100, 100], 0.9))).toEqual([]);
});

test("a machine that becomes faster or slower all the time changes nothing", () => {
  const share = fc.double({ min: 0.5, max: 1, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: 30 }),
      fc.double({ min: -1, max: 1, noNaN: true }),
      share,
      (count, slope, cost) => {
        const speeds = Array.from({ length: count }, (_, i) => 100 + slope * i);
        for (const ratio of turnRatios(turnsOf(speeds, cost))) expect(ratio).toBeCloseTo(cost, 10);
      },
    ),
  );
});
