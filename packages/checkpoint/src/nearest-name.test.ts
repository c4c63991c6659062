import { expect, test } from "vitest";
import { nearestName } from "./nearest-name.js";

const names = ["conv1.weight", "conv1.bias", "layer1.0.bn1.running_mean", "fc.weight"];

test.each([
  ["conv1.wieght", "conv1.weight"],
  ["conv.bias", "conv1.bias"],
  ["layer1.0.bn1.running_var", "layer1.0.bn1.running_mean"],
  ["fc.weight", "fc.weight"],
  ["classifier.1.weight", undefined],
  ["x", undefined],
  ["", undefined],
])("%s → %s", (name, nearest) => {
  expect(nearestName(name, names)).toBe(nearest);
});

test("long names and many candidates take no time", () => {
  const long = "x".repeat(1e6);
  expect(nearestName(long, [long])).toBeUndefined();
  expect(nearestName("abc", Array(1e5).fill(long))).toBeUndefined();
});
