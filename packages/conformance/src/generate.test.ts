import { describe, expect, test } from "vitest";
import { fnv1a, generate } from "./generate.js";

test("fnv1a is the published hash", () => {
  expect(fnv1a("")).toBe(0x811c9dc5);
  expect(fnv1a("a")).toBe(0xe40c292c);
  expect(fnv1a("foobar")).toBe(0xbf9cf968);
});

describe("generate", () => {
  const id = "conv2d/s2-p1-d2-g4-b#f32";

  test("the bits are those of Philox under the hash of the id: they change only together with the id", () => {
    const draw = (name: string, input: number) => generate({ kind: "uniform", low: 0, high: 1 }, name, input, 3);
    expect([...draw(id, 0)].map((x) => x * 2 ** 24)).toEqual([10904716, 13533910, 9064073]);
    expect(draw(id, 0)).toEqual(draw(id, 0));
    expect(draw(id, 0)).not.toEqual(draw(id, 1));
    expect(draw(id, 0)).not.toEqual(draw(`${id}x`, 0));
  });

  test("ranges hold, and every value is exact in float32", () => {
    const uniform = generate({ kind: "uniform", low: -3, high: 5 }, id, 0, 1000);
    expect(uniform.every((x) => x >= -3 && x < 5 && Math.fround(x) === x)).toBe(true);
    const away = generate({ kind: "away" }, id, 0, 1000);
    expect(away.every((x) => Math.abs(x) >= 0.25 && Math.abs(x) < 2 && Math.fround(x) === x)).toBe(true);
    expect(away.some((x) => x < 0) && away.some((x) => x > 0)).toBe(true);
    const integers = generate({ kind: "integers", low: -2, high: 2 }, id, 0, 1000);
    expect(new Set(integers)).toEqual(new Set([-2, -1, 0, 1, 2]));
  });

  test("distinct values have no ties and keep 1/128 away from 0", () => {
    const values = generate({ kind: "distinct" }, id, 0, 300);
    expect(new Set(values).size).toBe(300);
    expect(values.every((x) => Math.abs(x) >= 1 / 128)).toBe(true);
    const sorted = [...values].sort((a, b) => a - b);
    expect(sorted.slice(1).every((x, i) => x - (sorted[i] as number) >= 1 / 64)).toBe(true);
  });

  test("cycle repeats its list", () => {
    expect([...generate({ kind: "cycle", values: [1, 2, 3] }, id, 0, 5)]).toEqual([1, 2, 3, 1, 2]);
  });
});
