import { describe, expect, test } from "vitest";
import { ArgumentError } from "../errors.js";
import { fillNormal, fillUniform } from "./fill.js";
import { randomWords } from "./philox.js";

const address = { seed: 3, stream: 1, offset: 2 };

describe.each([
  ["fillUniform", fillUniform],
  ["fillNormal", fillNormal],
])("%s", (_name, fill) => {
  const draw = (n: number): Float64Array => {
    const values = new Float64Array(n);
    fill(values, address);
    return values;
  };

  test("gives float32 what it gives float64, rounded", () => {
    const single = new Float32Array(9);
    fill(single, address);
    expect(single).toEqual(Float32Array.from(draw(9)));
  });

  test("a shorter draw is the beginning of a longer one", () => {
    for (let n = 0; n < 9; n++) expect(draw(n)).toEqual(draw(9).subarray(0, n));
  });

  test("refuses a bad address", () => {
    expect(() => fill(new Float32Array(1), { seed: -1 })).toThrow(ArgumentError);
  });
});

test("fillUniform scales the upper 24 bits of a word to its interval", () => {
  const values = new Float64Array(6);
  fillUniform(values, address, -1, 3);
  expect([...values]).toEqual([...randomWords(3, 1, 2, 6)].map((word) => -1 + ((word >>> 8) / 2 ** 24) * 4));
});

test("fillNormal moves and scales", () => {
  const [standard, moved] = [new Float64Array(5), new Float64Array(5)];
  fillNormal(standard, address);
  fillNormal(moved, address, 10, 2);
  moved.forEach((value, i) => {
    expect(value).toBeCloseTo(10 + 2 * (standard[i] as number), 12);
  });
});
