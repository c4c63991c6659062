import { describe, expect, test } from "vitest";
import { textPlot } from "./text-plot.js";

const options = { width: 11, height: 3, xLabel: (x: number) => x.toFixed(0), yLabel: (y: number) => y.toFixed(0) };

describe("textPlot", () => {
  test("draws points on a logarithmic axis, with a mark", () => {
    const points = [
      { x: 1, y: 2 },
      { x: 10, y: 1 },
      { x: 100, y: 0 },
    ];
    expect(textPlot(points, { ...options, mark: 10 })).toBe(
      ["2 ┤●    │", "  ┤     ●", "0 ┤     │    ●", "  └───────────", "   1       100"].join("\n"),
    );
  });

  test("leaves out what is not finite", () => {
    const points = [
      { x: 1, y: Number.NaN },
      { x: 1, y: 5 },
    ];
    expect(textPlot(points, options)).toContain("●");
    expect(textPlot([{ x: 1, y: Number.POSITIVE_INFINITY }], options)).toBe("(nothing to draw)");
  });
});
