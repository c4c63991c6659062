import { EventEmitter } from "node:events";
import { describe, expect, test } from "vitest";
import { InterruptedError, type SignalSource, withSignals } from "./signals.js";

const source = (): SignalSource & EventEmitter & { readonly codes: number[] } => {
  const codes: number[] = [];
  return Object.assign(new EventEmitter(), { codes, exit: (code: number) => void codes.push(code) });
};

describe("withSignals", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("the first %s aborts, a second one exits with %i", async (name, code) => {
    const process = source();
    await withSignals(async (signal) => {
      expect(signal.aborted).toBe(false);
      process.emit(name);
      expect(signal.reason).toBeInstanceOf(InterruptedError);
      expect(signal.reason).toMatchObject({ signal: name, exitCode: code });
      expect(process.codes).toEqual([]);
      process.emit(name);
      expect(process.codes).toEqual([code]);
    }, process);
  });

  test("listens no longer when the body is done, or has failed", async () => {
    const process = source();
    expect(await withSignals(async () => 7, process)).toBe(7);
    await expect(withSignals(() => Promise.reject(new Error("mine")), process)).rejects.toThrow("mine");
    expect(process.eventNames()).toEqual([]);
  });
});
