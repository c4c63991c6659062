import { expect, test } from "vitest";
import { nearestName } from "./nearest.js";

const names = ["auto", "cpu", "wasm", "tfjs:cpu", "tfjs:wasm"];

test.each([
  ["wsam", "wasm"],
  ["WASM", "wasm"],
  ["cpuu", "cpu"],
  ["cp", "cpu"],
  ["c", undefined],
  ["tfjs-wasm", "tfjs:wasm"],
  ["tfjs:node", undefined],
  ["cuda", undefined],
  ["", undefined],
])("%j is near %j", (given, expected) => {
  expect(nearestName(given, names)).toBe(expected);
});

test("of two that are as near, the first", () => {
  expect(nearestName("fast75", ["fast70", "fast95"])).toBe("fast70");
});

test("where there are no names, none", () => {
  expect(nearestName("cpu", [])).toBeUndefined();
});
