import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { PickledArray, PickledTuple, parsePickle } from "./pickle.js";
import { global, pickledBatch, str, uint16 } from "./testing/pickles.js";

const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));

// {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [3, 9], "name": "café", "raw": b"\0\xff", "none": None,
//  "t": (True, False, (1, 2), ()), "n": [-5, 70000, 300], "same": the same array}, as CPython 3.11 pickles it.
const protocol3 =
  "gAN9cQAoWAQAAABkYXRhcQFjbnVtcHkuX2NvcmUubXVsdGlhcnJheQpfcmVjb25zdHJ1Y3QKcQJjbnVtcHkKbmRhcnJheQpxA0sAhXEEQwFicQWHcQZScQcoSwFLAksDhnEIY251bXB5CmR0eXBlCnEJWAIAAAB1MXEKiYiHcQtScQwoSwNYAQAAAHxxDU5OTkr/////Sv////9LAHRxDmKJQwYAAQIDBAVxD3RxEGJYBgAAAGxhYmVsc3ERXXESKEsDSwllWAQAAABuYW1lcRNYBQAAAGNhZsOpcRRYAwAAAHJhd3EVQwIA/3EWWAQAAABub25lcRdOWAEAAAB0cRgoiIlLAUsChnEZKXRxGlgBAAAAbnEbXXEcKEr7////SnARAQBNLAFlWAQAAABzYW1lcR1oB3Uu";
const protocol4 =
  "gASV/QAAAAAAAAB9lCiMBGRhdGGUjBZudW1weS5fY29yZS5tdWx0aWFycmF5lIwMX3JlY29uc3RydWN0lJOUjAVudW1weZSMB25kYXJyYXmUk5RLAIWUQwFilIeUUpQoSwFLAksDhpRoBYwFZHR5cGWUk5SMAnUxlImIh5RSlChLA4wBfJROTk5K/////0r/////SwB0lGKJQwYAAQIDBAWUdJRijAZsYWJlbHOUXZQoSwNLCWWMBG5hbWWUjAVjYWbDqZSMA3Jhd5RDAgD/lIwEbm9uZZROjAF0lCiIiUsBSwKGlCl0lIwBbpRdlChK+////0pwEQEATSwBZYwEc2FtZZRoC3Uu";

const small = pickledBatch(Uint8Array.from([1, 2, 3, 4, 5, 6]), [3, 9]);

/** A protocol 2 pickle of the given opcodes. */
const pickle = (...opcodes: number[]): Uint8Array => Uint8Array.from([0x80, 2, ...opcodes, 0x2e]);
const ascii = (text: string): number[] => [...Buffer.from(text, "latin1")];

describe("parsePickle", () => {
  test.each([
    ["3", protocol3],
    ["4", protocol4],
  ])("reads plain data of protocol %s", (_, text) => {
    const value = parsePickle(base64(text)) as Map<string, unknown>;
    expect([...value.keys()]).toEqual(["data", "labels", "name", "raw", "none", "t", "n", "same"]);
    const data = value.get("data") as PickledArray;
    expect(data).toBeInstanceOf(PickledArray);
    expect(data.shape).toEqual([2, 3]);
    expect([...data.data]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(value.get("same")).toBe(data);
    expect(value.get("labels")).toEqual([3, 9]);
    expect(value.get("name")).toBe("café");
    expect(value.get("raw")).toEqual(Uint8Array.from([0, 255]));
    expect(value.get("none")).toBe(null);
    expect(value.get("t")).toEqual(new PickledTuple([true, false, new PickledTuple([1, 2]), new PickledTuple([])]));
    expect(value.get("n")).toEqual([-5, 70000, 300]);
  });

  test("reads what Python 2 wrote", () => {
    const value = parsePickle(small) as Map<string, unknown>;
    expect([...value.keys()]).toEqual(["batch_label", "labels", "data", "filenames"]);
    expect(value.get("labels")).toEqual([3, 9]);
    expect(value.get("data")).toMatchObject({ shape: [2, 3], data: Uint8Array.from([1, 2, 3, 4, 5, 6]) });
    expect(value.get("filenames")).toEqual([..."01"].map((i) => Uint8Array.from(ascii(`image_${i}.png`))));
  });

  test("__proto__ is a key like any other", () => {
    const value = parsePickle(pickle(0x7d, ...str("__proto__"), 0x4b, 1, 0x73)) as Map<string, unknown>;
    expect([...value]).toEqual([["__proto__", 1]]);
  });

  test("a list within itself is no trouble", () => {
    const list = parsePickle(pickle(0x5d, 0x71, 0, 0x68, 0, 0x61)) as unknown[];
    expect(list[0]).toBe(list);
  });

  test.each<[string, Uint8Array, string]>([
    ["os.system (protocol 2)", base64("gAJjcG9zaXgKc3lzdGVtCnEAWAoAAABlY2hvIHB3bmVkcQGFcQJScQMu"), "posix.system"],
    [
      "os.system (protocol 4)",
      base64("gASVJQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAplY2hvIHB3bmVklIWUUpQu"),
      "posix.system",
    ],
    ["builtins.eval", pickle(...global("builtins", "eval"), ...str("1"), 0x85, 0x52), "builtins.eval"],
    ["another name of numpy", pickle(...global("numpy", "load")), "numpy.load"],
    ["an inherited name", pickle(...global("constructor", "constructor")), "constructor.constructor"],
    ["INST", pickle(0x28, ...ascii("iposix\nsystem\n")), "opcode 0x69"],
    ["OBJ", pickle(0x28, ...global("numpy", "ndarray"), 0x6f), "opcode 0x6f"],
    ["NEWOBJ", pickle(...global("numpy", "ndarray"), 0x29, 0x81), "opcode 0x81"],
    ["PERSID", pickle(...ascii("P1\n")), "opcode 0x50"],
    ["EXT1", pickle(0x82, 1), "opcode 0x82"],
    ["a float", base64("gAJHP/gAAAAAAAAu"), "opcode 0x47"],
    ["a set", base64("gASVBwAAAAAAAACPlChLAZAu"), "opcode 0x8f"],
    ["an OrderedDict", base64("gAJjY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcQApUnEBWAEAAABhcQJLAXMu"), "OrderedDict"],
    ["protocol 5", base64("gAWVFAAAAAAAAAB9lIwBeJSWAgAAAAAAAABhYpRzLg=="), "protocol 5"],
    [
      "a float32 array",
      base64(
        "gASVkQAAAAAAAACMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAUsChZRoA4wFZHR5cGWUk5SMAmY0lImIh5RSlChLA4wBPJROTk5K/////0r/////SwB0lGKJQwgAAAAAAAAAAJR0lGIu",
      ),
      "dtype f4",
    ],
    [
      "an array in Fortran order",
      base64(
        "gASVkQAAAAAAAACMFm51bXB5Ll9jb3JlLm11bHRpYXJyYXmUjAxfcmVjb25zdHJ1Y3SUk5SMBW51bXB5lIwHbmRhcnJheZSTlEsAhZRDAWKUh5RSlChLAUsCSwOGlGgDjAVkdHlwZZSTlIwCdTGUiYiHlFKUKEsDjAF8lE5OTkr/////Sv////9LAHSUYohDBgAAAAAAAJR0lGIu",
      ),
      "Fortran",
    ],
    ["a call of what is no array part", pickle(...str("f"), 0x29, 0x52), "call"],
    ["ndarray called", pickle(...global("numpy", "ndarray"), 0x29, 0x52), "call"],
    ["a state for a list", pickle(0x5d, 0x29, 0x62), "no array"],
    ["a state that is no tuple", pickle(0x5d, 0x4e, 0x62), "no tuple"],
    ["items in a list", pickle(0x5d, ...str("k"), 0x4e, 0x73), "no dict"],
    ["items appended to a dict", pickle(0x7d, 0x4e, 0x61), "no list"],
    ["a key that is a number", pickle(0x7d, 0x4b, 1, 0x4e, 0x73), "key"],
    ["a key without value", pickle(0x7d, 0x28, ...str("k"), 0x75), "without value"],
    ["an empty stack", pickle(), "stack is empty"],
    ["a mark as a value", pickle(0x28), "stack is empty"],
    ["items without a mark", pickle(0x7d, 0x75), "no mark"],
    ["an unset memo", pickle(0x68, 3), "memo 3"],
    ["a string longer than the file", pickle(0x54, 255, 255, 255, 255), "4294967295 bytes announced"],
    ["text that is not UTF-8", pickle(0x58, 1, 0, 0, 0, 0xff), "UTF-8"],
    ["a name without end", pickle(0x63, 0x61), "no end"],
    ["nothing", new Uint8Array(0), "1 bytes announced"],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parsePickle(bytes)).toThrow(DataError);
    expect(() => parsePickle(bytes)).toThrow(message);
  });

  test("refuses an array whose shape and bytes do not fit", () => {
    const bytes = small.slice();
    const shape = Buffer.from(bytes).indexOf(Uint8Array.from([...uint16(2), ...uint16(3)]));
    bytes[shape + 1] = 3;
    expect(() => parsePickle(bytes)).toThrow("array of 3 x 3 has 6 bytes");
  });

  test("refuses every truncation", () => {
    for (let length = 0; length < small.length; length++)
      expect(() => parsePickle(small.subarray(0, length))).toThrow(DataError);
  });

  test("any damage ends in plain data or a DataError", () => {
    fc.assert(
      fc.property(fc.nat({ max: small.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const bytes = small.slice();
        bytes[at] = value;
        try {
          parsePickle(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
