import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DataError } from "../errors.js";
import { PickledArray, parseNumpyPickle } from "./pickle.js";
import { global, pickledBatch, uint16 } from "./testing/pickles.js";

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

describe("parseNumpyPickle", () => {
  test.each([
    ["3", protocol3],
    ["4", protocol4],
  ])("reads plain data of protocol %s", (_, text) => {
    const value = parseNumpyPickle(base64(text)) as Map<string, unknown>;
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
    expect(value.get("t")).toEqual([true, false, [1, 2], []]);
    expect(value.get("n")).toEqual([-5, 70000, 300]);
  });

  test("reads what Python 2 wrote", () => {
    const value = parseNumpyPickle(small) as Map<string, unknown>;
    expect([...value.keys()]).toEqual(["batch_label", "labels", "data", "filenames"]);
    expect(value.get("labels")).toEqual([3, 9]);
    expect(value.get("data")).toMatchObject({ shape: [2, 3], data: Uint8Array.from([1, 2, 3, 4, 5, 6]) });
    expect(value.get("filenames")).toEqual([..."01"].map((i) => Uint8Array.from(ascii(`image_${i}.png`))));
  });

  test.each<[string, Uint8Array, string]>([
    ["os.system", base64("gASVJQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAplY2hvIHB3bmVklIWUUpQu"), "posix.system"],
    ["another name of numpy", pickle(...global("numpy", "load")), "numpy.load"],
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
    ["ndarray called", pickle(...global("numpy", "ndarray"), 0x29, 0x52), "called"],
    ["a state for a list", pickle(0x5d, 0x29, 0x62), "no array"],
    ["a state that is no tuple", pickle(0x5d, 0x4e, 0x62), "no tuple"],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => parseNumpyPickle(bytes)).toThrow(DataError);
    expect(() => parseNumpyPickle(bytes)).toThrow(message);
  });

  test("refuses an array whose shape and bytes do not fit", () => {
    const bytes = small.slice();
    const shape = Buffer.from(bytes).indexOf(Uint8Array.from([...uint16(2), ...uint16(3)]));
    bytes[shape + 1] = 3;
    expect(() => parseNumpyPickle(bytes)).toThrow("array of 3 x 3 has 6 bytes");
  });

  test("refuses every truncation", () => {
    for (let length = 0; length < small.length; length++)
      expect(() => parseNumpyPickle(small.subarray(0, length))).toThrow(DataError);
  });

  test("any damage ends in plain data or a DataError", () => {
    fc.assert(
      fc.property(fc.nat({ max: small.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const bytes = small.slice();
        bytes[at] = value;
        try {
          parseNumpyPickle(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
