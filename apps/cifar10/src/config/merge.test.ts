import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at, type Json, merge } from "./merge.js";

describe("merge", () => {
  test.each([
    [{ a: 1, b: 2 }, { b: 3 }, { a: 1, b: 3 }],
    [{ a: { b: 1, c: 2 } }, { a: { c: 3 } }, { a: { b: 1, c: 3 } }],
    [{ a: [1, 2] }, { a: [3] }, { a: [3] }],
    [{ a: null }, { a: { b: 1 } }, { a: { b: 1 } }],
    [{ a: { b: 1 } }, { a: null }, { a: null }],
    [{ name: "x", a: 1 }, { name: "y" }, { name: "y" }],
    [
      { name: "x", a: 1 },
      { name: "x", b: 2 },
      { name: "x", a: 1, b: 2 },
    ],
    [{ name: "x", a: 1 }, { a: 2 }, { name: "x", a: 2 }],
  ] as [Json, Json, Json][])("%j under %j is %j", (below, above, expected) => {
    expect(merge(below, above)).toEqual(expected);
  });

  test("a key __proto__ stays a key", () => {
    const merged = merge({}, JSON.parse('{"__proto__": {"polluted": 1}}') as Json);
    expect(Object.keys(merged as object)).toEqual(["__proto__"]);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(Object.keys(at(["__proto__", "x"], 1) as object)).toEqual(["__proto__"]);
  });

  test("laying the same thing over twice changes nothing more", () => {
    const json = fc.jsonValue() as fc.Arbitrary<Json>;
    fc.assert(
      fc.property(json, json, (below, above) => {
        const once = merge(below, above);
        expect(merge(once, above)).toEqual(once);
      }),
    );
  });
});
