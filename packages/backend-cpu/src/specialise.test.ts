import { afterEach, describe, expect, test, vi } from "vitest";
import { createSpecialise, lazyTable } from "./specialise.js";

const sum = (f: (x: number) => number, n: number): number => {
  let total = 0;
  for (let i = 0; i < n; i++) total += f(i);
  return total;
};

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("createSpecialise", () => {
  test("copies a loop, each id its own", () => {
    const specialise = createSpecialise(true);
    const [double, square] = [specialise(sum, "double"), specialise(sum, "square")];
    expect(new Set([sum, double, square]).size).toBe(3);
    expect(double((x) => 2 * x, 4)).toBe(12);
    expect(square((x) => x * x, 4)).toBe(14);
  });

  test("hands back the loop itself where code may not be compiled", () => {
    expect(createSpecialise(false)(sum, "any")).toBe(sum);
    vi.stubGlobal("Function", () => {
      throw new EvalError("unsafe-eval is not allowed");
    });
    expect(createSpecialise(true)(sum, "any")).toBe(sum);
  });
});

test("lazyTable makes each entry once", () => {
  const make = vi.fn((key: string) => key.length);
  const table = lazyTable(make);
  expect([table("ab"), table("ab"), table("abc")]).toEqual([2, 2, 3]);
  expect(make).toHaveBeenCalledTimes(2);
});
