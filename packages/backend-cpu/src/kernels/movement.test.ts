import fc from "fast-check";
import { expect, test } from "vitest";
import { at, counting, createHarness, indicesOf, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 5 });

test("permute", () => {
  expect(run1("permute", [counting([2, 3])], [3, 2], { perm: [1, 0] })).toEqual([1, 4, 2, 5, 3, 6]);
  const cases = shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      perm: fc.shuffledSubarray(
        shape.map((_, i) => i),
        { minLength: shape.length },
      ),
    }),
  );
  fc.assert(
    fc.property(cases, ({ shape, perm }) => {
      const x = counting(shape);
      const permuted = perm.map((axis) => shape[axis] as number);
      const expected = indicesOf(permuted).map((index) =>
        at(
          x,
          shape.map((_, axis) => index[perm.indexOf(axis)] as number),
        ),
      );
      expect(run1("permute", [x], permuted, { perm })).toEqual(expected);
    }),
  );
});

test("a transposition larger than a strip", () => {
  const x = counting([37, 41]);
  const expected = indicesOf([41, 37]).map(([i, j]) => at(x, [j as number, i as number]));
  expect(run1("permute", [x], [41, 37], { perm: [1, 0] })).toEqual(expected);
});

test("slice, steps of either sign", () => {
  const x = counting([3, 5]);
  expect(run1("slice", [x], [2, 2], { begin: [1, 1], step: [1, 3] })).toEqual([7, 10, 12, 15]);
  expect(run1("slice", [x], [2, 3], { begin: [2, 4], step: [-2, -2] })).toEqual([15, 13, 11, 5, 3, 1]);
  expect(run1("slice", [x], [1, 1], { begin: [2, 0], step: [1, 1] })).toEqual([11]);
});

test("pad", () => {
  const padded = run1("pad", [counting([1, 2])], [2, 5], { before: [1, 2], after: [0, 1], value: -1 });
  expect(padded).toEqual([-1, -1, -1, -1, -1, -1, -1, 1, 2, -1]);
  expect(run1("pad", [counting([2], "int32")], [3], { before: [0], after: [1], value: 7 }, "int32")).toEqual([1, 2, 7]);
});

test("expand", () => {
  expect(run1("expand", [counting([2, 1])], [2, 3], {})).toEqual([1, 1, 1, 2, 2, 2]);
  expect(run1("expand", [counting([1, 1, 3])], [2, 2, 3], {})).toEqual([1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
  expect(run1("expand", [tensor([], [5])], [], {})).toEqual([5]);
});

test("concat along any axis", () => {
  const [a, b] = [counting([2, 2]), tensor([2, 1], [-1, -2])];
  expect(run1("concat", [a, b, b], [2, 4], { axis: 1 })).toEqual([1, 2, -1, -1, 3, 4, -2, -2]);
  expect(run1("concat", [a, tensor([1, 2], [8, 9])], [3, 2], { axis: 0 })).toEqual([1, 2, 3, 4, 8, 9]);
  expect(run1("concat", [a], [2, 2], { axis: 0 })).toEqual([1, 2, 3, 4]);
});
