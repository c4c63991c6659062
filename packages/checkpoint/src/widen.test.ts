import { describe, expect, test } from "vitest";
import { bfloat16ToFloat32, float16ToFloat32 } from "./widen.js";

const every = Uint16Array.from({ length: 65536 }, (_, i) => i);

/** The value of a binary float by its definition. */
const definedValue = (bits: number, exponentBits: number, fractionBits: number): number => {
  const sign = bits >= 0x8000 ? -1 : 1;
  const top = 2 ** exponentBits - 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  const exponent = Math.floor(bits / 2 ** fractionBits) % 2 ** exponentBits;
  const fraction = (bits % 2 ** fractionBits) / 2 ** fractionBits;
  if (exponent === top) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
};

const mismatches = (widened: Float32Array, exponentBits: number, fractionBits: number): number[] =>
  [...every].filter((bits) => !Object.is(widened[bits], definedValue(bits, exponentBits, fractionBits)));

describe("widening", () => {
  test("float16: every pattern of bits has its value, signed zeros included", () => {
    expect(mismatches(float16ToFloat32(every), 5, 10)).toEqual([]);
  });

  test("bfloat16: every pattern of bits has its value, signed zeros included", () => {
    expect(mismatches(bfloat16ToFloat32(every), 8, 7)).toEqual([]);
  });

  test("known values", () => {
    expect([...float16ToFloat32(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555))]).toEqual([
      1,
      -2,
      65504,
      2 ** -24,
      0.333251953125,
    ]);
    expect([...bfloat16ToFloat32(Uint16Array.of(0x3f80, 0xc040, 0x4049))]).toEqual([1, -3, 3.140625]);
  });

  test("NaN keeps its payload", () => {
    expect(new Uint32Array(float16ToFloat32(Uint16Array.of(0x7e01)).buffer)[0]).toBe(0x7fc02000);
    expect(new Uint32Array(bfloat16ToFloat32(Uint16Array.of(0xffc1)).buffer)[0]).toBe(0xffc10000);
  });
});
