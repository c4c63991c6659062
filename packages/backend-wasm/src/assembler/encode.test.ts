import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bytes, writeFloat32, writeFloat64, writeName, writeSigned, writeUnsigned } from "./encode.js";

const written = <T>(write: (out: Bytes, value: T) => void, value: T): Bytes => {
  const out: Bytes = [];
  write(out, value);
  return out;
};

/** LEB128, read as the specification says. */
const decode = (bytes: readonly number[], signed: boolean): bigint => {
  let value = 0n;
  bytes.forEach((byte, i) => {
    expect(byte >= 0x80, "only the last byte ends the number").toBe(i < bytes.length - 1);
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
  });
  return signed ? BigInt.asIntN(7 * bytes.length, value) : value;
};

describe("writeUnsigned", () => {
  test.each([
    [0, [0x00]],
    [127, [0x7f]],
    [128, [0x80, 0x01]],
    [16383, [0xff, 0x7f]],
    [16384, [0x80, 0x80, 0x01]],
    [624485, [0xe5, 0x8e, 0x26]],
    [2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])("%d", (value, bytes) => {
    expect(written(writeUnsigned, value)).toEqual(bytes);
  });

  test("any integer below 2^53, in the fewest bytes", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = written(writeUnsigned, value);
        expect(decode(bytes, false)).toBe(BigInt(value));
        expect(bytes.length).toBe(Math.max(1, Math.ceil(value.toString(2).length / 7)));
      }),
    );
  });
});

describe("writeSigned", () => {
  test.each([
    [0, [0x00]],
    [63, [0x3f]],
    [64, [0xc0, 0x00]],
    [-1, [0x7f]],
    [-64, [0x40]],
    [-65, [0xbf, 0x7f]],
    [-123456, [0xc0, 0xbb, 0x78]],
    [2 ** 31 - 1, [0xff, 0xff, 0xff, 0xff, 0x07]],
    [-(2 ** 31), [0x80, 0x80, 0x80, 0x80, 0x78]],
  ])("%d", (value, bytes) => {
    expect(written(writeSigned, value)).toEqual(bytes);
  });

  test("any int32; a uint32 as the int32 of the same bits", () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(decode(written(writeSigned, value), true)).toBe(BigInt(value));
        expect(written(writeSigned, value >>> 0)).toEqual(written(writeSigned, value));
      }),
    );
  });
});

test("floats are little-endian IEEE 754", () => {
  expect(written(writeFloat32, 1)).toEqual([0, 0, 0x80, 0x3f]);
  expect(written(writeFloat32, -0)).toEqual([0, 0, 0, 0x80]);
  expect(written(writeFloat64, -2)).toEqual([0, 0, 0, 0, 0, 0, 0, 0xc0]);
});

test("names have their length in front", () => {
  expect(written(writeName, "main")).toEqual([4, 0x6d, 0x61, 0x69, 0x6e]);
});
