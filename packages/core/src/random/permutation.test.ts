import { describe, expect, test } from "vitest";
import { ArgumentError } from "../errors.js";
import { permutation } from "./permutation.js";

describe("permutation", () => {
  test.each([0, 1, 2, 1000])("has each of %i numbers once", (n) => {
    expect([...permutation(n, { seed: 4 })].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });

  test("is a function of its address", () => {
    const address = { seed: 1, stream: 2, offset: 3 };
    const order = permutation(50, address).join();
    expect(permutation(50, address).join()).toBe(order);
    for (const change of [{ seed: 2 }, { stream: 3 }, { offset: 4 }])
      expect(permutation(50, { ...address, ...change }).join()).not.toBe(order);
  });

  test("every number comes to every place about equally often", () => {
    const [n, draws] = [4, 8000];
    const counts = new Float64Array(n * n);
    for (let offset = 0; offset < draws; offset++)
      permutation(n, { seed: 1, offset }).forEach((value, place) => {
        const at = value * n + place;
        counts[at] = (counts[at] as number) + 1;
      });
    // Five standard deviations of a binomial count.
    const bound = 5 * Math.sqrt((draws / n) * (1 - 1 / n));
    for (const count of counts) expect(Math.abs(count - draws / n)).toBeLessThan(bound);
  });

  test.each([-1, 2.5, Number.NaN, 2 ** 40])("refuses count %s", (count) => {
    expect(() => permutation(count, { seed: 1 })).toThrow(ArgumentError);
  });

  test("refuses a bad address", () => {
    expect(() => permutation(3, { seed: -1 })).toThrow(/^permutation: seed is -1/);
  });
});
