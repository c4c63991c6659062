import type { BinaryKind, CompareKind, Shape } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at, createHarness, type HostTensor, indicesOf, integers, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();
const nan = Number.NaN;

describe("binary", () => {
  test.each<[BinaryKind, number[]]>([
    ["add", [-1, 5.5, Infinity, nan]],
    ["sub", [5, -1.5, Infinity, nan]],
    ["mul", [-6, 7, Infinity, nan]],
    ["div", [-2 / 3, 2 / 3.5, Infinity, nan]],
    ["max", [2, 3.5, Infinity, nan]],
    ["min", [-3, 2, 1, nan]],
    ["pow", [1 / 8, 2 ** 3.5, Infinity, nan]],
  ])("%s", (kind, expected) => {
    const a = tensor([4], [2, 2, Infinity, nan]);
    const b = tensor([4], [-3, 3.5, 1, 1]);
    expect(run1("binary", [a, b], [4], { kind })).toEqual(expected.map(Math.fround));
  });

  test("max and min propagate NaN from either side", () => {
    const [a, b] = [tensor([1], [1]), tensor([1], [nan])];
    for (const kind of ["max", "min"] as const) {
      expect(run1("binary", [a, b], [1], { kind })).toEqual([nan]);
      expect(run1("binary", [b, a], [1], { kind })).toEqual([nan]);
    }
  });

  test("int32 wraps", () => {
    const a = tensor([2], [2 ** 31 - 1, 123456789], "int32");
    const b = tensor([2], [1, 987654321], "int32");
    const run = (kind: BinaryKind) => run1("binary", [a, b], [2], { kind }, "int32");
    expect(run("add")).toEqual([-(2 ** 31), 1111111110]);
    expect(run("sub")).toEqual([2 ** 31 - 2, -864197532]);
    expect(run("mul")).toEqual([2 ** 31 - 1, Number(BigInt.asIntN(32, 123456789n * 987654321n))]);
    expect(run("max")).toEqual([2 ** 31 - 1, 987654321]);
  });

  const broadcastable = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.boolean(), fc.boolean()), { maxLength: 5 })
    .map((axes) => ({
      y: axes.map(([n]) => n),
      a: axes.map(([n, full]) => (full ? n : 1)),
      b: axes.map(([n, full, other]) => (!full || other ? n : 1)),
    }));

  test("broadcasts", () => {
    const clip = (x: HostTensor, index: readonly number[]) =>
      at(
        x,
        index.map((i, axis) => (x.shape[axis] === 1 ? 0 : i)),
      );
    const check = (shapes: { a: Shape; b: Shape; y: Shape }): void => {
      const [a, b] = [integers(shapes.a, 1), integers(shapes.b, 2)];
      const expected = indicesOf(shapes.y).map((index) => clip(a, index) - clip(b, index));
      expect(run1("binary", [a, b], shapes.y, { kind: "sub" })).toEqual(expected);
    };
    check({ a: [2, 3, 4, 5], b: [1, 3, 1, 1], y: [2, 3, 4, 5] });
    fc.assert(fc.property(broadcastable, check), { numRuns: 60 });
  });
});

test("binaryScalar takes the constant on either side, rounded to the operand's dtype", () => {
  const x = tensor([3], [1, 2, 4]);
  expect(run1("binaryScalar", [x], [3], { kind: "div", value: 2, side: "right" })).toEqual([0.5, 1, 2]);
  expect(run1("binaryScalar", [x], [3], { kind: "div", value: 2, side: "left" })).toEqual([2, 1, 0.5]);
  const tenth = Math.fround(0.1);
  expect(run1("binaryScalar", [x], [3], { kind: "mul", value: 0.1, side: "right" })).toEqual([
    tenth,
    2 * tenth,
    4 * tenth,
  ]);
  const i = tensor([2], [5, 65537], "int32");
  expect(run1("binaryScalar", [i], [2], { kind: "mul", value: 65537, side: "left" }, "int32")).toEqual([
    327685, 131073,
  ]);
});

test.each<[CompareKind, number[]]>([
  ["eq", [0, 1, 0, 1, 0]],
  ["ne", [1, 0, 1, 0, 1]],
  ["lt", [1, 0, 0, 0, 0]],
  ["le", [1, 1, 0, 1, 0]],
])("compare %s", (kind, expected) => {
  const a = tensor([5], [1, 2, 3, 0, nan]);
  const b = tensor([5], [2, 2, 2, -0, nan]);
  expect(run1("compare", [a, b], [5], { kind }, "bool")).toEqual(expected);
  expect(run1("compare", [a, tensor([1], [nan])], [5], { kind }, "bool")).toEqual(Array(5).fill(+(kind === "ne")));
});
