import { CheckpointError, type CheckpointErrorCode } from "@striate/checkpoint";
import { TrainingError, type TrainingErrorCode } from "@striate/train";
import { expect, test } from "vitest";
import type { Exit } from "./exit-codes.js";
import { failureOf } from "./failure.js";

test.each<[TrainingErrorCode, Exit]>([
  ["non-finite-loss", "training"],
  ["run-missing", "run"],
  ["run-exists", "run"],
  ["run-locked", "run"],
  ["run-config", "run"],
  ["run-corrupt", "run"],
  ["run-write", "output"],
])("a TrainingError with the code %s: exit %s", (code, exit) => {
  expect(failureOf(new TrainingError(code, "what went wrong"))).toEqual({
    exit,
    message: "what went wrong",
    detail: "what went wrong",
  });
});

test.each<[CheckpointErrorCode, Exit]>([
  ["checkpoint-missing", "run"],
  ["checkpoint-corrupt", "run"],
  ["checkpoint-read", "run"],
  ["checkpoint-write", "output"],
])("a CheckpointError with the code %s: exit %s", (code, exit) => {
  expect(failureOf(new CheckpointError(code, "what went wrong")).exit).toBe(exit);
});

test("what nobody foresaw comes with its stack", () => {
  const { exit, message, detail } = failureOf(new TypeError("x is not a function"));
  expect({ exit, message }).toEqual({ exit: "internal", message: "x is not a function" });
  expect(detail).toContain("failure.test.ts");
});
