import { describe, expect, test } from "vitest";
import { parseSafetensors, VectorFormatError } from "./safetensors.js";

const file = (header: unknown, data: readonly number[] = [], length?: number): Uint8Array => {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
};

const entry = (dtype: string, shape: unknown, begin: unknown, end: unknown) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const eight = [0, 0, 128, 63, 255, 255, 255, 255];

describe("parseSafetensors", () => {
  test("reads tensors of several types, and strings of metadata", () => {
    const { tensors, metadata } = parseSafetensors(
      file(
        {
          __metadata__: { cases: "[]" },
          x: entry("F32", [1], 0, 4),
          i: entry("I32", [], 4, 8),
          none: entry("U8", [0, 3], 8, 8),
        },
        eight,
      ),
    );
    expect(metadata.get("cases")).toBe("[]");
    expect([...(tensors.get("x")?.values ?? [])]).toEqual([1]);
    expect([...(tensors.get("i")?.values ?? [])]).toEqual([-1]);
    expect(tensors.get("none")?.shape).toEqual([0, 3]);
  });

  test("a name may be __proto__, and a view may start anywhere", () => {
    const bytes = file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', [7]);
    const moved = new Uint8Array(bytes.length + 3);
    moved.set(bytes, 3);
    expect([...(parseSafetensors(moved.subarray(3)).tensors.get("__proto__")?.values ?? [])]).toEqual([7]);
  });

  test.each([
    ["a stub", new Uint8Array(7), /7 bytes are too few/],
    ["a header beyond the end", file({}, [], 999), /said to be 999 bytes/],
    ["no JSON", file("{"), /no JSON/],
    ["a list", file("[]"), /no JSON object/],
    ["no UTF-8", file("{}", [], 2).fill(255, 8), /no UTF-8/],
    ["metadata that are no strings", file({ __metadata__: { a: 1 } }), /other than strings/],
    ["an unknown type", file({ x: entry("F8", [4], 0, 4) }, [0, 0, 0, 0]), /unknown dtype F8/],
    ["a negative size", file({ x: entry("F32", [-1], 0, 4) }, [0, 0, 0, 0]), /is no shape/],
    ["a size that overflows", file({ x: entry("F32", [2 ** 40, 2 ** 40], 0, 4) }, [0, 0, 0, 0]), /takes .* bytes/],
    [
      "offsets of the wrong length",
      file({ x: entry("F32", [2], 0, 4) }, [0, 0, 0, 0]),
      /takes 8 bytes, its offsets span 4/,
    ],
    ["one offset", file({ x: { dtype: "F32", shape: [1], data_offsets: [0] } }, [0, 0, 0, 0]), /are no offsets/],
    ["a hole", file({ x: entry("U8", [1], 0, 1), y: entry("U8", [1], 2, 3) }, [0, 0, 0]), /a hole or an overlap/],
    ["an overlap", file({ x: entry("U8", [2], 0, 2), y: entry("U8", [2], 1, 3) }, [0, 0, 0]), /a hole or an overlap/],
    ["a trailer", file({ x: entry("U8", [1], 0, 1) }, [0, 0]), /end at 1, the data at 2/],
    ["data that are missing", file({ x: entry("U8", [4], 0, 4) }, [0]), /end at 4, the data at 1/],
    ["an entry that is no object", file({ x: 3 }), /no object/],
  ])("refuses %s", (_what, bytes, message) => {
    expect(() => parseSafetensors(bytes)).toThrow(VectorFormatError);
    expect(() => parseSafetensors(bytes)).toThrow(message);
  });
});
