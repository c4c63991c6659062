import { describe, expect, test } from "vitest";
import { bridgedNames, measureBridge } from "./tfjs-bridge.js";

describe("measureBridge", () => {
  test.each(bridgedNames)("%s: both compute the same logits, and both are timed", { timeout: 60_000 }, async (name) => {
    const { bridged, byHand, disagreement } = await measureBridge(name, 1);
    expect(disagreement).toBeLessThan(1e-5);
    expect([bridged.length, byHand.length]).toEqual([1, 1]);
  });

  test.each([0, Number.NaN, -1])("%d rounds are refused", async (rounds) => {
    await expect(measureBridge("cpu", rounds)).rejects.toThrow(RangeError);
  });
});
