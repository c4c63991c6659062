import { expect, test } from "vitest";
import { eachRun, walk } from "./strides.js";

test("walk visits indices in row-major order, and comes back to where it began", () => {
  const offsets = [100];
  const seen: number[] = [];
  walk({ shape: [2, 3], strides: [[10, -1]] }, 2, offsets, () => seen.push(offsets[0] as number));
  expect(seen).toEqual([100, 99, 98, 110, 109, 108]);
  expect(offsets).toEqual([100]);
});

test("eachRun hands out the innermost runs", () => {
  const runs: unknown[] = [];
  eachRun(
    [2, 3],
    [
      [3, 1],
      [1, 0],
    ],
    (length, offsets, steps) => runs.push([length, [...offsets], [...steps]]),
  );
  expect(runs).toEqual([
    [3, [0, 0], [1, 0]],
    [3, [3, 1], [1, 0]],
  ]);
});
