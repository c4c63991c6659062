import { describe, expect, test } from "vitest";
import { around, eachRun, mergeAxes, walk } from "./strides.js";

describe("mergeAxes", () => {
  test("joins what every array walks as one, and drops axes of size 1", () => {
    expect(
      mergeAxes(
        [2, 1, 3, 4],
        [
          [12, 5, 4, 1],
          [12, 9, 4, 1],
        ],
      ),
    ).toEqual({ shape: [24], strides: [[1], [1]] });
  });

  test("keeps an axis apart if one array jumps there", () => {
    expect(
      mergeAxes(
        [2, 3, 4],
        [
          [12, 4, 1],
          [0, 1, 0],
        ],
      ),
    ).toEqual({
      shape: [2, 3, 4],
      strides: [
        [12, 4, 1],
        [0, 1, 0],
      ],
    });
    expect(
      mergeAxes(
        [2, 3, 4],
        [
          [12, 4, 1],
          [1, 0, 0],
        ],
      ),
    ).toEqual({
      shape: [2, 12],
      strides: [
        [12, 1],
        [1, 0],
      ],
    });
  });

  test("leaves one axis of a scalar", () => {
    expect(mergeAxes([1, 1], [[1, 1]])).toEqual({ shape: [1], strides: [[0]] });
    expect(mergeAxes([], [[]])).toEqual({ shape: [1], strides: [[0]] });
  });
});

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

test("around splits a shape at an axis", () => {
  expect(around([2, 3, 4, 5], 1)).toEqual({ outer: 2, extent: 3, inner: 20 });
});
