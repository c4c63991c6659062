import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CheckpointError } from "./errors.js";
import { type PickleCall, type Pickled, PickledName, type PickleRules, parsePickle } from "./pickle.js";
import { global, str, unicode } from "./testing/pickles.js";

const base64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "base64"));
const ascii = (text: string): number[] => [...Buffer.from(text, "latin1")];

/** A protocol 2 pickle of the given opcodes. */
const pickle = (...opcodes: number[]): Uint8Array => Uint8Array.from([0x80, 2, ...opcodes, 0x2e]);

class Pair {
  state: unknown;
  constructor(readonly args: readonly unknown[]) {}
}
const rules: PickleRules<Pair> = {
  names: new Map<string, PickleCall<Pair> | undefined>([
    ["m.value", undefined],
    ["m.Pair", (args) => new Pair(args)],
    [
      "_codecs.encode",
      ([text], fail) => {
        if (typeof text !== "string") throw fail("no text");
        return Uint8Array.from(text, (character) => character.charCodeAt(0));
      },
    ],
  ]),
  build: (target, state, fail) => {
    if (!(target instanceof Pair)) throw fail("state for no pair");
    target.state = state;
  },
  persistent: (id) => new Pair(["outside", id]),
};
const plain: PickleRules<never> = { names: new Map() };
const read = (bytes: Uint8Array): Pickled<Pair> => parsePickle(bytes, rules);

// {"none": None, "t": (True, False, (1, 2), ()), "n": [-5, 70000, 300, 2**40, -2**70, 1.5, -inf], "name": "café",
//  "raw": b"\0\xff", 3: "three", None: "none", 2.5: "f", "same": the list n}, as CPython 3.11 pickles it.
const samples = {
  2: "gAJ9cQAoWAQAAABub25lcQFOWAEAAAB0cQIoiIlLAUsChnEDKXRxBFgBAAAAbnEFXXEGKEr7////SnARAQBNLAGKBgAAAAAAAYoJAAAAAAAAAADARz/4AAAAAAAAR//wAAAAAAAAZVgEAAAAbmFtZXEHWAUAAABjYWbDqXEIWAMAAAByYXdxCWNfY29kZWNzCmVuY29kZQpxClgDAAAAAMO/cQtYBgAAAGxhdGluMXEMhnENUnEOSwNYBQAAAHRocmVlcQ9OaAFHQAQAAAAAAABYAQAAAGZxEFgEAAAAc2FtZXERaAZ1Lg==",
  3: "gAN9cQAoWAQAAABub25lcQFOWAEAAAB0cQIoiIlLAUsChnEDKXRxBFgBAAAAbnEFXXEGKEr7////SnARAQBNLAGKBgAAAAAAAYoJAAAAAAAAAADARz/4AAAAAAAAR//wAAAAAAAAZVgEAAAAbmFtZXEHWAUAAABjYWbDqXEIWAMAAAByYXdxCUMCAP9xCksDWAUAAAB0aHJlZXELTmgBR0AEAAAAAAAAWAEAAABmcQxYBAAAAHNhbWVxDWgGdS4=",
  4: "gASVlAAAAAAAAAB9lCiMBG5vbmWUTowBdJQoiIlLAUsChpQpdJSMAW6UXZQoSvv///9KcBEBAE0sAYoGAAAAAAABigkAAAAAAAAAAMBHP/gAAAAAAABH//AAAAAAAABljARuYW1llIwFY2Fmw6mUjANyYXeUQwIA/5RLA4wFdGhyZWWUTmgBR0AEAAAAAAAAjAFmlIwEc2FtZZRoBnUu",
} as const;

describe("parsePickle", () => {
  test.each([2, 3, 4] as const)("reads plain data of protocol %s", (protocol) => {
    const value = read(base64(samples[protocol])) as Map<unknown, unknown>;
    expect([...value]).toEqual([
      ["none", null],
      ["t", [true, false, [1, 2], []]],
      ["n", [-5, 70000, 300, 2 ** 40, -(2n ** 70n), 1.5, Number.NEGATIVE_INFINITY]],
      ["name", "café"],
      ["raw", Uint8Array.of(0, 255)],
      [3, "three"],
      [null, "none"],
      [2.5, "f"],
      ["same", value.get("n")],
    ]);
    expect(value.get("same")).toBe(value.get("n"));
    expect([value.get("t"), value.get("n")].map(Object.isFrozen)).toEqual([true, false]);
  });

  test("bytes are keys by their text; __proto__ is a key like any other", () => {
    const value = read(pickle(0x7d, ...str("__proto__"), 0x4b, 1, 0x73)) as Map<string, unknown>;
    expect([...value]).toEqual([["__proto__", 1]]);
  });

  test("a list within itself is no trouble", () => {
    const list = read(pickle(0x5d, 0x71, 0, 0x68, 0, 0x61)) as unknown[];
    expect(list[0]).toBe(list);
  });

  test("deep nesting is no trouble", () => {
    const depth = 100_000;
    const nested = Uint8Array.from([0x80, 2].concat(Array(depth).fill(0x5d), Array(depth - 1).fill(0x61), 0x2e));
    expect(parsePickle(nested, plain, { memory: 2 ** 26 })).toHaveLength(1);
  });

  test("names that the rules list: values, calls, states, what lies outside", () => {
    expect(read(pickle(...global("m", "value")))).toEqual(new PickledName("m.value"));
    expect(read(pickle(...global("m", "Pair"), 0x4b, 1, 0x4b, 2, 0x86, 0x52, 0x4e, 0x62))).toEqual(
      Object.assign(new Pair([1, 2]), { state: null }),
    );
    expect(read(pickle(0x4b, 7, 0x51))).toEqual(new Pair(["outside", 7]));
  });

  test.each<[string, Uint8Array, string]>([
    ["os.system (protocol 2)", base64("gAJjcG9zaXgKc3lzdGVtCnEAWAoAAABlY2hvIHB3bmVkcQGFcQJScQMu"), "posix.system"],
    [
      "os.system (protocol 4)",
      base64("gASVJQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAplY2hvIHB3bmVklIWUUpQu"),
      "posix.system",
    ],
    ["builtins.eval", pickle(...global("builtins", "eval"), ...str("1"), 0x85, 0x52), "builtins.eval"],
    ["another name of a listed module", pickle(...global("m", "load")), "m.load"],
    ["an inherited name", pickle(...global("constructor", "constructor")), "constructor.constructor"],
    ["a name of JavaScript's objects", pickle(...global("m", "__proto__")), "m.__proto__"],
    ["INST", pickle(0x28, ...ascii("iposix\nsystem\n")), "opcode 0x69"],
    ["OBJ", pickle(0x28, ...global("m", "Pair"), 0x6f), "opcode 0x6f"],
    ["NEWOBJ", pickle(...global("m", "Pair"), 0x29, 0x81), "opcode 0x81"],
    ["PERSID", pickle(...ascii("P1\n")), "opcode 0x50"],
    ["EXT1", pickle(0x82, 1), "opcode 0x82"],
    ["LONG4, whose integers have no limit", pickle(0x8b, 1, 0, 0, 0, 1), "opcode 0x8b"],
    ["a set", base64("gASVBwAAAAAAAACPlChLAZAu"), "opcode 0x8f"],
    ["protocol 5", base64("gAWVFAAAAAAAAAB9lIwBeJSWAgAAAAAAAABhYpRzLg=="), "protocol 5"],
    ["a key that is a tuple", base64("gAJ9cQBLAUsChnEBSwNzLg=="), "dict key is neither"],
  ])("does not support %s", (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(
      expect.objectContaining({
        name: "CheckpointError",
        code: "checkpoint-unsupported",
        message: expect.stringContaining(message),
      }),
    );
  });

  test.each<[string, Uint8Array, string]>([
    ["a call of what is no name", pickle(...str("f"), 0x29, 0x52), "something that is no name"],
    ["a call of what is a value only", pickle(...global("m", "value"), 0x29, 0x52), "m.value is called"],
    ["arguments in a list", pickle(...global("m", "Pair"), 0x5d, 0x52), "no tuple"],
    ["a state that the rules refuse", pickle(0x5d, 0x29, 0x62), "BUILD at byte 4: state for no pair"],
    ["items in a list", pickle(0x5d, ...str("k"), 0x4e, 0x73), "no dict"],
    ["items appended to a dict", pickle(0x7d, 0x4e, 0x61), "no list"],
    ["items appended to a tuple", pickle(0x29, 0x4e, 0x61), "no list"],
    ["a key without value", pickle(0x7d, 0x28, ...str("k"), 0x75), "without value"],
    ["an empty stack", pickle(), "stack is empty"],
    ["a mark as a value", pickle(0x28), "stack is empty"],
    ["items without a mark", pickle(0x7d, 0x75), "no mark"],
    ["an unset memo", pickle(0x68, 3), "memo 3"],
    ["a string longer than the file", pickle(0x54, 255, 255, 255, 255), "4294967295 bytes announced"],
    ["text that is not UTF-8", pickle(0x58, 1, 0, 0, 0, 0xff), "UTF-8"],
    ["a name without end", pickle(0x63, 0x61), "no end"],
    ["no end", Uint8Array.of(0x80, 2, 0x4e), "1 bytes announced"],
    ["nothing", new Uint8Array(0), "1 bytes announced"],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(
      expect.objectContaining({
        name: "CheckpointError",
        code: "checkpoint-corrupt",
        message: expect.stringContaining(message),
      }),
    );
  });

  test("without rules for them: no state, nothing outside", () => {
    expect(() => parsePickle(pickle(0x5d, 0x29, 0x62), plain)).toThrow("a state is given");
    expect(() => parsePickle(pickle(0x4b, 7, 0x51), plain)).toThrow("outside the pickle");
  });

  const many = 2 ** 20;
  test.each<[string, number[]]>([
    ["dicts", Array(many).fill(0x7d)],
    ["empty tuples", Array(many).fill(0x29)],
    ["memo entries", [0x4e, ...Array(many).fill(0x94)]],
  ])("a byte makes an object, but not without limit: %s", (_, opcodes) => {
    expect(() => read(Uint8Array.from([0x80, 2].concat(opcodes)))).toThrow("takes more memory than");
  });

  test("memory is a number of bytes, by default 8 MiB and a quarter of the pickle", () => {
    const dicts = pickle(...Array(1000).fill(0x7d));
    expect(read(dicts)).toEqual(new Map());
    expect(() => parsePickle(dicts, plain, { memory: 200_000 })).toThrow("takes more memory than 200000 bytes");
    expect(() => parsePickle(pickle(...unicode("x".repeat(60_000))), plain, { memory: 100_000 })).toThrow("memory");
  });

  test("a memo may have gaps, as writers other than Python's leave them", () => {
    // 5 at 7, 6 at 0, MEMOIZE 7 at 2, which is how many there are; then a tuple of 7, 0 and 2.
    const memos = [0x4b, 5, 0x71, 7, 0x4b, 6, 0x71, 0, 0x4b, 7, 0x94, 0x68, 7, 0x68, 0, 0x68, 2, 0x87];
    expect(read(pickle(...memos))).toEqual([5, 6, 7]);
    expect(() => read(pickle(...memos, 0x68, 1))).toThrow("memo 1 is asked for before it is set");
    // What is set again is what it was set to last.
    expect(read(pickle(0x4e, 0x71, 0, 0x4b, 9, 0x71, 0, 0x68, 0))).toBe(9);
  });

  test("integers of every length", () => {
    for (const [bytes, value] of [
      [[], 0],
      [[0xff], -1],
      [[0x80, 0], 128],
      [[0, 0, 0, 0, 0, 0, 0x20, 0], 2n ** 53n],
      [Array(255).fill(0xff), -1],
      [[...Array(254).fill(0), 0x40], 2n ** 2038n],
    ] as const)
      expect(read(pickle(0x8a, bytes.length, ...bytes))).toBe(value);
  });

  test("a long key of bytes, which each use would copy", () => {
    const key = [0x42, 0, 2, 0, 0, ...Array(512).fill(0x61)];
    expect(() => read(pickle(0x7d, ...key, 0x4e, 0x73))).toThrow("dict key");
  });

  test("refuses every truncation", () => {
    const whole = base64(samples[4]);
    for (let length = 0; length < whole.length; length++)
      expect(() => read(whole.subarray(0, length))).toThrow(CheckpointError);
  });

  test("any damage ends in plain data or a CheckpointError", () => {
    const whole = [...base64(samples[2]), ...unicode("tail")];
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (flips) => {
          const bytes = Uint8Array.from(whole);
          for (const [at, value] of flips) bytes[at] = value;
          try {
            read(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(CheckpointError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
