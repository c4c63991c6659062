import { createCpuBackend } from "@striate/backend-cpu";
import { zeros } from "@striate/core";
import { describe, expect, test } from "vitest";
import { formatDifference, stateDifference } from "./state-difference.js";
import type { TensorInfo } from "./tensor-reader.js";

const f32 = (...shape: number[]): TensorInfo => ({ dtype: "F32", shape });
const named = (...names: string[]): [string, TensorInfo][] => names.map((name) => [name, f32(1)]);
const format = (expected: [string, TensorInfo][], given: [string, TensorInfo][]): string =>
  formatDifference(stateDifference(expected, given));

describe("stateDifference", () => {
  test("nothing", () => {
    expect(stateDifference(named("a", "b"), named("b", "a"))).toEqual({ missing: [], unexpected: [], mismatched: [] });
    expect(format(named("a"), named("a"))).toBe("");
  });

  test("names on one side, other shapes", () => {
    const difference = stateDifference([...named("a", "b"), ["c", f32(2, 3)]], [...named("b", "d"), ["c", f32(3, 2)]]);
    expect(difference).toEqual({
      missing: ["a"],
      unexpected: ["d"],
      mismatched: [{ name: "c", given: f32(3, 2), expected: f32(2, 3) }],
    });
  });

  test("tensors of a backend have the dtypes of files", async () => {
    const backend = await createCpuBackend();
    const expected = [["a", zeros([2], { backend, dtype: "int32" })]] as const;
    expect(stateDifference(expected, [["a", { dtype: "I64", shape: [2] }]]).mismatched).toEqual([]);
    expect(formatDifference(stateDifference(expected, [["a", f32(2)]]))).toBe('"a" is F32 [2], expected I32 [2]');
  });

  test.each([
    ["F32", ["F64", "F32", "F16", "BF16"]],
    ["F64", ["F64", "F32", "F16", "BF16"]],
    ["F16", ["F16"]],
    ["I32", ["I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8"]],
    ["U8", ["U8"]],
    ["BOOL", ["BOOL"]],
  ] as const)("%s takes %s", (expected, fitting) => {
    const all = ["F64", "F32", "F16", "BF16", "I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL"] as const;
    const taken = all.filter(
      (dtype) =>
        stateDifference([["a", { dtype: expected, shape: [] }]], [["a", { dtype, shape: [] }]]).mismatched.length === 0,
    );
    expect(taken).toEqual(fitting);
  });
});

describe("formatDifference", () => {
  test("what may be meant", () => {
    expect(format([...named("conv1.weight", "fc.bias")], [...named("conv1.wieght", "head.bias")])).toBe(
      '2 missing: "conv1.weight" (is it "conv1.wieght"?), "fc.bias"\n2 unexpected: "conv1.wieght", "head.bias"',
    );
  });

  test("a prefix that one side has", () => {
    expect(format(named("a.b", "a.c", "d"), named("module.a.b", "module.a.c"))).toBe(
      '3 missing: "a.b", "a.c", "d"\n2 unexpected: "module.a.b", "module.a.c"\n' +
        'the unexpected names begin with "module.": { prefix: "module." } takes it away',
    );
    expect(format(named("net.a.b", "net.a.c"), named("a.b", "a.c"))).toContain(
      'the missing names begin with "net.": { rename: (name) => "net." + name } adds it',
    );
    expect(format(named("w"), named("model.module.w"))).toContain('{ prefix: "model.module." }');
  });

  test("names of nothing but dots are no burden", () => {
    const dots = ".".repeat(2 ** 20);
    // At every dot another prefix, and as many characters behind it to compare.
    expect(format(named("a"), named(dots, `${dots}.`)).split("\n")).toHaveLength(2);
  });

  test("a long list is shortened, an odd name escaped", () => {
    const many = Array.from({ length: 30 }, (_, i) => `${"layer".repeat(i % 7)}${i}`);
    const lines = format(named(...many), named("a\nb")).split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^30 missing: .* and 10 more$/);
    expect(lines[1]).toBe('1 unexpected: "a\\nb"');
    const mismatched = many.map((name) => [name, f32(2)] as [string, TensorInfo]);
    expect(format(named(...many), mismatched).split("\n")).toHaveLength(21);
  });
});
