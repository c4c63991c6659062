import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { clock, fitLine, megabytes, percent } from "./progress-line.js";

test.each([
  [0, "0:00"],
  [-3, "0:00"],
  [7.4, "0:07"],
  [59.6, "1:00"],
  [754, "12:34"],
  [3599.5, "1:00:00"],
  [3723, "1:02:03"],
  [360_000, "100:00:00"],
])("%s seconds are %s", (seconds, text) => {
  expect(clock(seconds)).toBe(text);
});

test("shares and sizes", () => {
  expect(percent(0.72434)).toBe("72.4 %");
  expect(percent(1)).toBe("100.0 %");
  expect(megabytes(138_940_914)).toBe("139 MB");
});

describe("fitLine", () => {
  const line = {
    label: "epoch 1/2",
    share: 0.5,
    details: ["loss 1.532", "accuracy 45.1 %", "812 images/s"],
    time: "1:23 left",
  };

  test.each([
    [200, "epoch 1/2  ████████████░░░░░░░░░░░░   50%  loss 1.532  accuracy 45.1 %  812 images/s  1:23 left"],
    [90, "epoch 1/2  ██████░░░░░░   50%  loss 1.532  accuracy 45.1 %  812 images/s  1:23 left"],
    [75, "epoch 1/2   50%  loss 1.532  accuracy 45.1 %  812 images/s  1:23 left"],
    [60, "epoch 1/2   50%  loss 1.532  accuracy 45.1 %  1:23 left"],
    [40, "epoch 1/2   50%  loss 1.532  1:23 left"],
    [30, "epoch 1/2   50%  1:23 left"],
    [20, "epoch 1/2   50%"],
    [5, "epoch"],
  ])("in %i columns", (width, text) => {
    expect(fitLine(line, width)).toBe(text);
  });

  test("without a known end there is neither bar nor share", () => {
    expect(fitLine({ ...line, label: "training", share: undefined, details: [], time: "0:03" }, 80)).toBe(
      "training  0:03",
    );
  });

  test("never wraps, whatever is shown", () => {
    const share = fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined });
    const word = fc.string({ maxLength: 20 });
    const lines = fc.record({ label: word, share, details: fc.array(word, { maxLength: 5 }), time: word });
    fc.assert(
      fc.property(lines, fc.integer({ min: 0, max: 120 }), (any, width) => {
        expect(fitLine(any, width).length).toBeLessThanOrEqual(width);
      }),
    );
  });
});
