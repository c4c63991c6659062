import { expect, test } from "vitest";
import { profileTable } from "./profile.js";

test("a profile as a table", () => {
  const entries = [
    { op: "conv2dGradWeight", dispatches: 42, milliseconds: 12.5, share: 0.625, gigaflops: 1234.56 },
    { op: "unary", dispatches: 1019, milliseconds: 7.5, share: 0.375, gigaflops: 0 },
  ];
  expect(profileTable(entries).split("\n")).toEqual([
    "op                dispatches      ms    share  GFLOP/s",
    "conv2dGradWeight          42  12.500   62.5 %   1234.6",
    "unary                   1019   7.500   37.5 %         ",
    "total                   1061  20.000  100.0 %         ",
  ]);
});

test("a profile of nothing", () => {
  expect(profileTable([])).toBe("op     dispatches     ms  share  GFLOP/s\ntotal           0  0.000  0.0 %         ");
});
