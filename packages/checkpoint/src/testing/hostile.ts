import { readFileSync } from "node:fs";
import fc from "fast-check";
import { encodeSafetensors } from "../safetensors.js";
import { fileOf } from "./file.js";
import { fixture } from "./fixtures.js";
import { call, dictPickle, global, int, torchTensor, tuple, unicode } from "./pickles.js";
import { zipOf } from "./zip.js";

export interface HostileFile {
  readonly what: string;
  readonly bytes: Uint8Array;
}

/** Truncated, with bytes changed, cut out or put in: the same ones in every run. */
const mutations = (whole: Uint8Array, count: number, seed: number): Uint8Array[] => {
  const at = fc.nat(whole.length - 1);
  const mutation = fc.oneof(
    at.map((end) => whole.slice(0, end)),
    fc.array(fc.tuple(at, fc.nat(255)), { minLength: 1, maxLength: 5 }).map((changes) => {
      const bytes = whole.slice();
      for (const [i, value] of changes) bytes[i] = value;
      return bytes;
    }),
    fc.tuple(at, at).map(([a, b]) => Uint8Array.from([...whole.subarray(0, a), ...whole.subarray(b)])),
    // A field of four or eight bytes becomes large.
    fc.tuple(at, fc.constantFrom(4, 8), fc.constantFrom(0x7f, 0xff)).map(([i, length, value]) => {
      const bytes = whole.slice();
      bytes.fill(value, i, i + length);
      return bytes;
    }),
  );
  return fc.sample(mutation, { numRuns: count, seed });
};

const entry = (dtype: string, shape: string, begin: number | string, end: number | string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;

/** Broken by their maker; `scale` makes those larger that are large. */
export const hostileSafetensors = (scale = 1): HostileFile[] => {
  const many = (text: (i: number) => string, count: number): string =>
    Array.from({ length: count * scale }, (_, i) => text(i)).join("");
  const headers: Record<string, string> = {
    "a size of 2^53": `{"a":${entry("F32", "[9007199254740991]", 0, 36028797018963964)}}`,
    "a product beyond all": `{"a":${entry("F32", "[4294967296,4294967296]", 0, 8)}}`,
    "a product that comes back to zero": `{"a":${entry("F32", "[4503599627370496,4503599627370496,0]", 0, 0)}}`,
    "a file of a terabyte": `{"a":${entry("U8", "[1099511627776]", 0, 1099511627776)}}`,
    "an offset with an exponent": `{"a":${entry("U8", "[8]", 0, "8e0")}}`,
    "a negative offset": `{"a":${entry("U8", "[8]", -8, 0)}}`,
    "an overlap": `{"a":${entry("U8", "[8]", 0, 8)},"b":${entry("U8", "[4]", 4, 8)}}`,
    "the same bytes twice": `{"a":${entry("U8", "[8]", 0, 8)},"b":${entry("U8", "[8]", 0, 8)}}`,
    "a hole": `{"a":${entry("U8", "[2]", 0, 2)},"b":${entry("U8", "[4]", 4, 8)}}`,
    "a trailer": `{"a":${entry("U8", "[4]", 0, 4)}}`,
    "a name twice": `{"a":${entry("U8", "[8]", 0, 8)},"a":${entry("U8", "[8]", 0, 8)}}`,
    "a field twice": `{"a":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}}`,
    "another field": `{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"stride":[1]}}`,
    "a dtype of tomorrow": `{"a":${entry("F4", "[16]", 0, 8)}}`,
    "metadata that are no text": `{"__metadata__":{"n":1},"a":${entry("U8", "[8]", 0, 8)}}`,
    "brackets without end": "[".repeat(100_000 * scale),
    "braces without end": '{"a":'.repeat(50_000 * scale),
    "a shape without end": `{"a":{"dtype":"U8","shape":[${"1,".repeat(200_000 * scale)}`,
    "a million axes": `{"a":${entry("U8", `[${"1,".repeat(500_000 * scale)}9]`, 0, 8)}}`,
    "a text without end": `{"${"\\\\".repeat(300_000 * scale)}`,
    "empty tensors by the thousand": `{${many((i) => `"${i}":${entry("U8", "[0]", 0, 0)},`, 10_000)}"a":1}`,
    "empty scalars by the thousand, one byte off": `{${many((i) => `"${i}":${entry("U8", "[0]", 1, 1)},`, 10_000)}"a":${entry("U8", "[8]", 0, 8)}}`,
    "keys by the thousand": `{"__metadata__":{${many((i) => `"${i}":"",`, 60_000)}"a":1}}`,
    "a key and a wide character": `{"${"x".repeat(600_000 * scale)}\u{1f600}":1}`,
    "fields by the thousand": `{"a":{${many((i) => `"shape":[${i}],`, 40_000)}}}`,
    "half a character": `{"\\ud800":${entry("U8", "[8]", 0, 8)}}`,
    "a list": "[]",
    "an array of texts": '["a"]',
    null: "null",
  };
  const lengths = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 100_000_001n].map((length) => {
    const bytes = fileOf(`{"a":${entry("U8", "[8]", 0, 8)}}`, Array(8).fill(0));
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return { what: `a header of ${length} bytes`, bytes };
  });
  const whole = encodeSafetensors(
    [
      ["layer.weight", { dtype: "F32", shape: [2, 3], data: new Float32Array(6) }],
      ["layer.count", { dtype: "I64", shape: [], data: new BigInt64Array(1) }],
      ["layer.mask", { dtype: "BOOL", shape: [4], data: Uint8Array.of(0, 1, 0, 1) }],
    ],
    { format: "pt" },
  );
  return [
    ...Object.entries(headers).map(([what, header]) => ({ what, bytes: fileOf(header, Array(8).fill(0)) })),
    ...lengths,
    ...mutations(whole, 120, 6).map((bytes, i) => ({ what: `mutation ${i}`, bytes })),
  ];
};

const pt = (pickle: Uint8Array, storage: Uint8Array = new Uint8Array(8)): Uint8Array =>
  zipOf([
    { name: "net/data.pkl", bytes: pickle },
    { name: "net/data/0", bytes: storage },
    { name: "net/version", bytes: Uint8Array.of(0x33, 0x0a) },
  ]);
const opcodes = (...codes: (number | Iterable<number>)[]): Uint8Array =>
  Buffer.concat([0x80, 2, ...codes, 0x2e].map((code) => Uint8Array.from(typeof code === "number" ? [code] : code)));

export const hostilePt = (scale = 1): HostileFile[] => {
  const repeated = (count: number, ...codes: number[]): Uint8Array =>
    new Uint8Array(count * scale * codes.length).map((_, i) => codes[i % codes.length] as number);
  /** What the reader may build, with an opcode at its end that no plain data has. */
  const manyOf = (...codes: (number | Iterable<number>)[]): Uint8Array => opcodes(...codes, 0x81);
  const one = dictPickle({ a: torchTensor() });
  const pickles: Record<string, Uint8Array> = {
    "os.system": dictPickle({ a: call("posix", "system", unicode("true")) }),
    eval: dictPickle({ a: call("builtins", "eval", unicode("1")) }),
    "getattr of what is allowed": dictPickle({
      a: call("builtins", "getattr", global("torch", "float32"), unicode("x")),
    }),
    "nothing on the stack": opcodes(),
    "no end": new Uint8Array(1000),
    "lists in lists": opcodes(repeated(300_000, 0x5d), repeated(299_998, 0x61), 0x73),
    "dicts upon dicts": opcodes(repeated(600_000, 0x7d)),
    "memos upon memos": opcodes(0x4e, repeated(600_000, 0x94)),
    "marks without end": opcodes(repeated(1_000_000, 0x28)),
    "a text of 4 GiB": opcodes(0x58, 0xff, 0xff, 0xff, 0xff),
    "bytes of 2 GiB": opcodes(0x42, 0xff, 0xff, 0xff, 0x7f),
    "a frame of 2^64 bytes": opcodes(0x95, repeated(8, 0xff)),
    "a memo far away": opcodes(0x4e, 0x72, repeated(4, 0xff), 0x6a, repeated(4, 0xfe)),
    "lists of one each": manyOf(repeated(150_000, 0x5d, 0x4e, 0x61)),
    "dicts of one each": manyOf(repeated(150_000, 0x7d, 0x4e, 0x4e, 0x73)),
    "tuples of one each": manyOf(repeated(300_000, 0x4e, 0x85)),
    "tuples of tuples": manyOf(0x4e, repeated(600_000, 0x85)),
    "floats upon floats": manyOf(repeated(60_000, 0x47, ...Array(7).fill(0x3f), 1)),
    "integers upon integers": manyOf(repeated(60_000, 0x8a, 8, ...Array(8).fill(0x7f))),
    "long integers": manyOf(repeated(2000, 0x8a, 255, ...Array(255).fill(0x7f))),
    "texts of one letter": manyOf(repeated(200_000, 0x8c, 1, 0x78)),
    "texts of one wide letter": manyOf(repeated(150_000, 0x8c, 2, 0xd0, 0xb0)),
    "bytes of none": manyOf(repeated(300_000, 0x43, 0)),
    "keys of bytes": manyOf(0x7d, 0x28, repeated(100_000, 0x43, 1, 0xff, 0x4e), 0x75),
    "keys of one text": manyOf(0x7d, 0x28, repeated(100_000, 0x4a, 1, 2, 3, 4, 0x4e), 0x75),
    "a list of many": manyOf(0x5d, 0x28, repeated(600_000, 0x4e), 0x65),
    "names upon names": manyOf(repeated(30_000, ...global("torch", "float32"))),
    "a name without end": manyOf(0x63, repeated(600_000, 0x78)),
    "a name of many letters": manyOf(0x63, repeated(600_000, 0x78), 0x0a, 0x78, 0x0a),
    "dicts by call": manyOf(repeated(15_000, ...call("collections", "OrderedDict"))),
    "sizes by call": manyOf(repeated(20_000, ...call("torch", "Size", tuple(int(1))))),
    "memos that nobody asks for": manyOf(0x4e, repeated(600_000, 0x71, 1)),
    "one text and a wide letter": manyOf(
      0x58,
      Uint8Array.of(...[0, 8, 16, 24].map((shift) => ((600_000 * scale + 2) >> shift) & 0xff)),
      repeated(600_000, 0x78),
      [0xd0, 0xb0],
      0x61,
    ),
    "tensors by the thousand": manyOf(0x5d, 0x28, repeated(4000, ...torchTensor()), 0x65, 0x61),
    "doubled again and again": opcodes(unicode("lol"), repeated(60, 0x71, 0, 0x68, 0, 0x86), 0x62),
    "doubled as arguments": opcodes(
      int(1),
      repeated(40, 0x71, 0, 0x68, 0, 0x86),
      0x71,
      0,
      global("torch", "Size"),
      0x68,
      0,
      0x52,
    ),
    "a large text encoded often": opcodes(
      tuple(unicode("x".repeat(100_000)), unicode("latin1")),
      [0x71, 0, 0x5d, 0x28],
      repeated(500, ...global("_codecs", "encode"), 0x68, 0, 0x52),
      0x65,
    ),
    "a rank of thousands": dictPickle({ a: torchTensor({ shape: Array(5000).fill(1), stride: Array(5000).fill(1) }) }),
    "a size beyond all": dictPickle({ a: torchTensor({ shape: Array(20).fill(2 ** 30), stride: Array(20).fill(0) }) }),
    "a terabyte of one element": dictPickle({ a: torchTensor({ shape: [2 ** 20, 2 ** 20], stride: [0, 0] }) }),
    "a storage of gigabytes": dictPickle({ a: torchTensor({ count: 2 ** 31 - 1 }) }),
    "past the end": dictPickle({ a: torchTensor({ offset: 2 ** 31 - 1 }) }),
    "strides past the end": dictPickle({ a: torchTensor({ stride: [2 ** 31 - 1] }) }),
    "another storage": dictPickle({ a: torchTensor({ key: "../../etc/passwd" }) }),
    "half a tensor": dictPickle({ a: call("torch._utils", "_rebuild_tensor_v2") }),
  };
  const mask = torchTensor({ storage: "BoolStorage", count: 2 ** 20, shape: [2 ** 20] });
  const masks = dictPickle(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`mask${i}`, mask])));
  const entries = (name: string, size = 8, offset?: number): Uint8Array =>
    zipOf([
      { name: "net/data.pkl", bytes: one },
      { name: "net/data/0", bytes: new Uint8Array(8) },
      { name, bytes: new Uint8Array(8), size, ...(offset === undefined ? {} : { offset }) },
    ]);
  const archives: Record<string, Uint8Array> = {
    "a way out": entries("../../x"),
    "an absolute path": entries("/x"),
    "an entry of 4 GiB": entries("net/data/1", 0xfffffff0),
    "an entry that zip64 has to size": entries("net/data/1", 0xffffffff),
    "an entry over others": entries("net/data/1", 8, 0),
    "an entry past the end": entries("net/data/1", 8, 0xfffffff0),
    "thousands of masks on one storage": pt(masks, new Uint8Array(2 ** 20).fill(2, -1)),
    "a checkpoint within itself": pt(pt(one)),
    "a directory of thousands": zipOf([
      { name: "net/data.pkl", bytes: one },
      ...Array.from({ length: 5000 }, (_, i) => ({ name: `net/data/${i}`, bytes: one, offset: 0 })),
    ]),
    "a directory of tens of thousands": zipOf(
      Array.from({ length: Math.min(65_000, 5000 * scale) }, (_, i) => ({ name: `${i}`, bytes: new Uint8Array(0) })),
    ),
    "long names": zipOf(
      Array.from({ length: 10 * scale }, (_, i) => ({ name: `${i}/${"x".repeat(60_000)}é`, bytes: one })),
    ),
  };
  const zip64 = Buffer.from(zipOf([{ name: "net/data.pkl", bytes: one }], { zip64: true }));
  const record = zip64.indexOf("PK\x06\x06");
  const lies = [24, 32, 40, 48].flatMap((field) =>
    [0xffffffffffffffffn, 2n ** 53n, 2n ** 40n].map((value) => {
      const bytes = Buffer.from(zip64);
      bytes.writeBigUInt64LE(value, record + field);
      return { what: `zip64 with ${value} at ${field}`, bytes };
    }),
  );
  const locator = zip64.indexOf("PK\x06\x07");
  zip64.writeBigUInt64LE(0xffffffffffffffffn, locator + 8);
  const real = new Uint8Array(readFileSync(fixture("views.pt")));
  return [
    ...Object.entries(pickles).map(([what, pickle]) => ({ what, bytes: pt(pickle) })),
    ...Object.entries(archives).map(([what, bytes]) => ({ what, bytes })),
    ...lies,
    { what: "a locator that points nowhere", bytes: zip64 },
    ...mutations(real, 100, 7).map((bytes, i) => ({ what: `mutated file ${i}`, bytes })),
    // With the right checksum, so that it comes to the reader of the pickle.
    ...mutations(one, 100, 8).map((bytes, i) => ({ what: `mutated pickle ${i}`, bytes: pt(bytes) })),
  ];
};
