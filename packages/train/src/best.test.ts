import { ArgumentError } from "@striate/core";
import { describe, expect, test } from "vitest";
import { bestValidation, type MonitorOptions } from "./best.js";

const report = (value: number, step = 0) => ({ epoch: 0, step, loss: value, accuracy: value, images: 1 });
const improvements = (values: readonly number[], options?: MonitorOptions): number[] => {
  const best = bestValidation(options);
  return values.filter((value) => best.update(report(value)));
};

describe("bestValidation", () => {
  test.each<[MonitorOptions | undefined, number[], number[]]>([
    [undefined, [3, 2, 2, 4, 1], [3, 2, 1]],
    [{ monitor: "accuracy" }, [0.1, 0.1, 0.3, 0.2, 0.4], [0.1, 0.3, 0.4]],
    [{ minDelta: 0.5 }, [3, 2.6, 2.5, 2.4, 1.8], [3, 2.4, 1.8]],
    [undefined, [Number.NaN, Number.POSITIVE_INFINITY, 5, Number.NaN], [5]],
    [{ monitor: "accuracy" }, [Number.NaN, 0, -1], [0]],
  ])("%j: of %j, %j are improvements", (options, values, expected) => {
    expect(improvements(values, options)).toEqual(expected);
  });

  test("goes on from its state", () => {
    const one = bestValidation();
    one.update(report(2, 7));
    const other = bestValidation();
    other.loadStateDict(one.stateDict());
    expect(other.report).toEqual(report(2, 7));
    expect([other.update(report(3)), other.update(report(1))]).toEqual([false, true]);
  });

  test.each([{ minDelta: -1 }, { minDelta: Number.NaN }, { monitor: "f1" as "loss" }])("%j is refused", (options) => {
    expect(() => bestValidation(options)).toThrow(ArgumentError);
  });
});
