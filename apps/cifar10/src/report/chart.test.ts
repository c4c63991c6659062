import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chart, ticks } from "./chart.js";

describe("ticks", () => {
  test.each([
    [0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0, 240, 8, [0, 50, 100, 150, 200]],
    [0.1, 0.3, 4, [0.1, 0.15, 0.2, 0.25, 0.3]],
    [5, 5, 4, [5]],
  ])("from %d to %d, about %d", (from, to, wanted, expected) => {
    expect(ticks(from, to, wanted)).toEqual(expected);
  });

  test("lie within, evenly, and are neither few nor many", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
        (from, span) => {
          const found = ticks(from, from + span, 5);
          expect(found.length).toBeGreaterThanOrEqual(2);
          expect(found.length).toBeLessThanOrEqual(7);
          for (const value of found) {
            expect(value).toBeGreaterThanOrEqual(from - 1e-6 * span - 1e-6 * Math.abs(from));
            expect(value).toBeLessThanOrEqual(from + span + 1e-6 * span + 1e-6 * Math.abs(from));
          }
        },
      ),
    );
  });
});

const draw = async (options: Partial<Parameters<typeof chart>[0]>): Promise<string> =>
  `${await chart({ title: "t", xName: "step", format: (y) => `${y}`, curves: [], ...options })}`;

describe("a chart", () => {
  test("puts points where they belong, and leaves gaps", async () => {
    const svg = await draw({
      curves: [
        {
          name: "a",
          color: 1,
          line: [
            [0, 0],
            [50, 1],
            [60, null],
            [100, 0.5],
          ],
        },
      ],
    });
    const path = /<path class="line" d="([^"]*)"/.exec(svg)?.[1];
    // 664 by 240 within margins of 72 and 14.
    expect(path).toBe("M72,254L404,14M736,134");
  });

  test("shades every other epoch", async () => {
    const svg = await draw({ epochs: [25, 50, 75, 100], curves: [{ name: "a", color: 1, line: [[100, 1]] }] });
    expect([...svg.matchAll(/class="epoch" x="([\d.]+)" y="14" width="([\d.]+)"/g)].map((m) => [m[1], m[2]])).toEqual([
      ["238", "166"],
      ["570", "166"],
    ]);
  });

  test("without a finite value is empty, not broken", async () => {
    const svg = await draw({
      curves: [
        {
          name: "a",
          color: 1,
          line: [
            [1, null],
            [2, Number.NaN],
          ],
        },
      ],
    });
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  test("escapes what it is given", async () => {
    expect(await draw({ title: '<script>"' })).not.toContain("<script>");
  });
});
