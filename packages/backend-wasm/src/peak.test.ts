import { expect, test } from "vitest";
import { createPeakProbe } from "./peak.js";

test("a run of the probe computes a product, and all its operations are counted", () => {
  const { flop, run } = createPeakProbe();
  expect(run()).toBe(256);
  expect(flop).toBe(2 * (4 * 8) * 256 * 2000);
});
