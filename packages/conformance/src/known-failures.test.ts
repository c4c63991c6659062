import { describe, expect, test } from "vitest";
import { parseKnownFailures, staleEntries } from "./known-failures.js";

const entry = { pattern: "ops:exp/*", reason: "the driver", expires: "2026-06-30" };

describe("parseKnownFailures", () => {
  test("reads a list of entries", () => {
    expect(parseKnownFailures(JSON.stringify([entry]))).toEqual([entry]);
    expect(parseKnownFailures("[]")).toEqual([]);
  });

  test.each([
    ["{}", /expected a list/],
    ["[1]", /pattern is undefined, expected text/],
    [JSON.stringify([{ ...entry, reason: undefined }]), /reason is undefined, expected text/],
    [JSON.stringify([{ ...entry, until: "later" }]), /until is none of pattern, reason, expires/],
    ["[", SyntaxError],
  ])("refuses %s", (json, message) => {
    expect(() => parseKnownFailures(json)).toThrow(message as RegExp);
  });
});

test("an entry that covers no case is stale", () => {
  expect(staleEntries([entry], ["ops:exp/17#f32"])).toEqual([]);
  expect(staleEntries([entry], ["ops:log/17#f32"])).toEqual([
    expect.objectContaining({ status: "failed", id: "contract:known-failures/ops:exp/*" }),
  ]);
});
