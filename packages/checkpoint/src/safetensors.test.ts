import { ArgumentError, DTypeError, ShapeError } from "@striate/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CheckpointError, type CheckpointErrorCode } from "./errors.js";
import { carriers, type HostTensor, type SafetensorsDType } from "./host-tensor.js";
import { decodeSafetensors, encodeSafetensors, type Metadata, safetensorsChunks } from "./safetensors.js";
import { fileOf } from "./testing/file.js";

const f32 = (shape: readonly number[], ...values: number[]): HostTensor => ({
  dtype: "F32",
  shape,
  data: Float32Array.from(values),
});

/** The error of reading `file`. */
const refusal = (file: Uint8Array): CheckpointError => {
  try {
    decodeSafetensors(file);
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
  throw new Error("the file was accepted");
};

// ---------------------------------------------------------------------------------------------------------------
// Golden files, byte by byte

const goldenHeader =
  '{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}';
const golden = Uint8Array.of(
  // 144, the length of the header with its padding
  ...[0x90, 0, 0, 0, 0, 0, 0, 0],
  ...Buffer.from(goldenHeader.padEnd(144, " "), "latin1"),
  // 1 and -2 in float32, little-endian
  ...[0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0xc0],
  ...[7, 8, 9],
);
const goldenTensors: readonly (readonly [string, HostTensor])[] = [
  ["b", { dtype: "U8", shape: [3], data: Uint8Array.of(7, 8, 9) }],
  ["w", f32([1, 2], 1, -2)],
];

describe("encodeSafetensors", () => {
  test("writes the golden file: header in the caller's order, elements widest first, header padded to 8 bytes", () => {
    expect(goldenHeader.length).toBeGreaterThan(136);
    expect(encodeSafetensors(goldenTensors, { format: "pt" })).toEqual(golden);
  });

  test("no tensors, no metadata: an empty header", () => {
    expect(encodeSafetensors([])).toEqual(fileOf("{}      "));
  });

  test("metadata may be a Map, as it was read; an empty one leaves no trace", () => {
    expect(encodeSafetensors(goldenTensors, new Map([["format", "pt"]]))).toEqual(golden);
    expect(encodeSafetensors([], new Map())).toEqual(encodeSafetensors([]));
  });

  test("keeps the order of names and keys that an object would sort", () => {
    const metadata = new Map([
      ["9", "a"],
      ["1", "b"],
    ]);
    const names = ["10", "2", "a", "__proto__", "constructor", ""];
    const read = decodeSafetensors(
      encodeSafetensors(
        names.map((name, i) => [name, f32([], i)] as const),
        metadata,
      ),
    );
    expect([...read.tensors.keys()]).toEqual(names);
    expect([...read.tensors.values()].map(({ data }) => data[0])).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...read.metadata]).toEqual([...metadata]);
  });

  test("one tensor under two names is written twice", () => {
    const tied = f32([2], 1, 2);
    const { tensors } = decodeSafetensors(
      encodeSafetensors([
        ["a", tied],
        ["b", tied],
      ]),
    );
    expect([...tensors]).toEqual([
      ["a", tied],
      ["b", tied],
    ]);
  });

  test("takes Node's Buffer and views into larger buffers", () => {
    const { tensors } = decodeSafetensors(
      encodeSafetensors([
        ["buffer", { dtype: "U8", shape: [2], data: Buffer.from([1, 2]) }],
        ["view", { dtype: "F32", shape: [1], data: Float32Array.of(1, 2, 3).subarray(1, 2) }],
      ]),
    );
    expect(tensors.get("buffer")?.data).toEqual(Uint8Array.of(1, 2));
    expect(tensors.get("view")?.data).toEqual(Float32Array.of(2));
  });

  type ErrorType = new (message: string) => Error;
  const wrong = (tensor: object): HostTensor => tensor as HostTensor;
  const refused: readonly [string, ErrorType, RegExp, Iterable<readonly [string, HostTensor]>, Metadata?][] = [
    [
      "a name twice",
      ArgumentError,
      /"a" is there twice/,
      [
        ["a", f32([], 1)],
        ["a", f32([], 2)],
      ],
    ],
    ["the metadata's name", ArgumentError, /__metadata__/, [["__metadata__", f32([], 1)]]],
    ["a name with half a surrogate pair", ArgumentError, /"a\\ud800"/, [["a\ud800", f32([], 1)]]],
    ["a name that is no string", ArgumentError, /a name is a number/, [[1 as unknown as string, f32([], 1)]]],
    [
      "an unknown dtype",
      DTypeError,
      /"a" is float32, expected one of F64/,
      [["a", wrong({ dtype: "float32", shape: [], data: Float32Array.of(1) })]],
    ],
    [
      "a dtype that every object has",
      DTypeError,
      /constructor/,
      [["a", wrong({ dtype: "constructor", shape: [], data: Float32Array.of(1) })]],
    ],
    [
      "an array that does not carry the dtype",
      DTypeError,
      /Float64Array, but F32/,
      [["a", wrong({ dtype: "F32", shape: [1], data: Float64Array.of(1) })]],
    ],
    ["no array", DTypeError, /data is Array/, [["a", wrong({ dtype: "F32", shape: [1], data: [1] })]]],
    ["a shape of another size", ShapeError, /\[2, 2\].*3 elements/, [["a", f32([2, 2], 1, 2, 3)]]],
    ["65 axes", ShapeError, /\[1, 1.*…\] is no shape of any file/, [["a", f32(Array(65).fill(1), 1)]]],
    ["a negative dimension", ShapeError, /\[-1\]/, [["a", f32([-1], 1)]]],
    ["a fractional dimension", ShapeError, /\[0\.5, 2\]/, [["a", f32([0.5, 2], 1)]]],
    ["a BOOL of 2", ArgumentError, /element 1 is 2/, [["a", { dtype: "BOOL", shape: [2], data: Uint8Array.of(1, 2) }]]],
    ["metadata other than text", ArgumentError, /metadata "step" is a number/, [], { step: 1 as unknown as string }],
    ["metadata with half a surrogate pair", ArgumentError, /metadata "k"/, [], { k: "\udc00" }],
    ["a metadata key with half a surrogate pair", ArgumentError, /a metadata key/, [], { "\udc00": "v" }],
    [
      "a header beyond the reference implementation's limit",
      ArgumentError,
      /at most 100000000/,
      [],
      { k: "x".repeat(1e8) },
    ],
    [
      "a header that could not be read again",
      ArgumentError,
      /could not be read again: .*too much for so few elements/,
      [["a", f32([1], 1)]],
      { k: "x".repeat(3e6) },
    ],
  ];
  test.each([...refused])("refuses %s", (_, type, message, tensors, metadata) => {
    const encode = () => encodeSafetensors(tensors, metadata);
    expect(encode).toThrow(type);
    expect(encode).toThrow(message);
  });
});

describe("safetensorsChunks", () => {
  test("are the file, and views of the tensors' own data", () => {
    const chunks = safetensorsChunks(goldenTensors, { format: "pt" });
    expect(new Uint8Array(Buffer.concat(chunks))).toEqual(golden);
    expect(chunks.slice(1).map(({ buffer }) => buffer)).toEqual([
      goldenTensors[1]?.[1].data.buffer,
      goldenTensors[0]?.[1].data.buffer,
    ]);
    expect(chunks[1]?.buffer).toBe(goldenTensors[1]?.[1].data.buffer);
  });
});

// ---------------------------------------------------------------------------------------------------------------

describe("decodeSafetensors", () => {
  test("reads the golden file in the header's order", () => {
    const { tensors, metadata } = decodeSafetensors(golden);
    expect([...tensors]).toEqual(goldenTensors);
    expect([...metadata]).toEqual([["format", "pt"]]);
  });

  test("reads every dtype", () => {
    const one: Readonly<Record<SafetensorsDType, readonly [readonly number[], number | bigint]>> = {
      F64: [[0, 0, 0, 0, 0, 0, 0xf8, 0xbf], -1.5],
      F32: [[0, 0, 0xc0, 0xbf], -1.5],
      F16: [[0x00, 0xbe], 0xbe00],
      BF16: [[0xc0, 0xbf], 0xbfc0],
      I64: [[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -2n],
      U64: [[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0xfffffffffffffffen],
      I32: [[0xfe, 0xff, 0xff, 0xff], -2],
      U32: [[0xfe, 0xff, 0xff, 0xff], 0xfffffffe],
      I16: [[0xfe, 0xff], -2],
      U16: [[0xfe, 0xff], 0xfffe],
      I8: [[0xfe], -2],
      U8: [[0xfe], 0xfe],
      BOOL: [[1], 1],
    };
    expect(Object.keys(one)).toEqual(Object.keys(carriers));
    for (const [dtype, [bytes, value]] of Object.entries(one)) {
      const header = `{"x":{"dtype":"${dtype}","shape":[],"data_offsets":[0,${bytes.length}]}}`;
      const x = decodeSafetensors(fileOf(header, bytes)).tensors.get("x");
      expect(x?.dtype).toBe(dtype);
      expect(x?.shape).toEqual([]);
      expect(x?.data).toBeInstanceOf(carriers[dtype as SafetensorsDType]);
      expect([...(x as HostTensor).data]).toEqual([value]);
    }
  });

  test("what carries a tensor follows from its dtype", () => {
    const w = decodeSafetensors(golden).tensors.get("w");
    const values: Float32Array | undefined = w?.dtype === "F32" ? w.data : undefined;
    expect(values).toEqual(Float32Array.of(1, -2));
  });

  test("gives views where the alignment permits", () => {
    const bytes = golden.slice();
    for (const { data } of decodeSafetensors(bytes).tensors.values()) expect(data.buffer).toBe(bytes.buffer);
  });

  test("copies where it does not: a file at an odd place of its buffer, a header of odd length, a Buffer", () => {
    const shifted = new Uint8Array(golden.length + 1).subarray(1);
    shifted.set(golden);
    const odd = fileOf('{"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}\n', golden.subarray(152, 160));
    const buffer = Buffer.alloc(golden.length + 1).subarray(1);
    buffer.set(golden);
    for (const bytes of [shifted, odd, buffer]) {
      const { data } = decodeSafetensors(bytes).tensors.get("w") as HostTensor;
      expect(data).toEqual(Float32Array.of(1, -2));
      expect(data.buffer).not.toBe(bytes.buffer);
      bytes.fill(0);
      expect(data).toEqual(Float32Array.of(1, -2));
    }
  });

  test("every tensor of a file written here is a view", () => {
    const tensors: [string, HostTensor][] = [
      ["a", { dtype: "BOOL", shape: [1], data: Uint8Array.of(1) }],
      ["b", { dtype: "I16", shape: [1], data: Int16Array.of(1) }],
      ["c", f32([1], 1)],
      ["d", { dtype: "F64", shape: [1], data: Float64Array.of(1) }],
    ];
    const bytes = encodeSafetensors(tensors);
    const read = decodeSafetensors(bytes).tensors;
    expect([...read]).toEqual(tensors);
    for (const { data } of read.values()) expect(data.buffer).toBe(bytes.buffer);
  });

  test("takes what is unusual but right", () => {
    const zero = '"dtype":"F32","shape":[0,7],"data_offsets":[4,4]';
    const header = `{ "b" :{"data_offsets":[4,8],"shape" : [ 1 ,1 ] , "dtype":"F3\\u0032"},\t"z":{${zero}},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}, "__metadata__": {}, "\\ud83d\\ude00":{${zero}}} \r\n`;
    const { tensors, metadata } = decodeSafetensors(fileOf(header, new Uint8Array(8)));
    expect([...tensors.keys()]).toEqual(["b", "z", "a", "😀"]);
    expect(tensors.get("b")?.shape).toEqual([1, 1]);
    expect(tensors.get("z")).toEqual({ dtype: "F32", shape: [0, 7], data: new Float32Array(0) });
    expect(metadata.size).toBe(0);
  });

  test("__proto__ is a name like others, for tensors and metadata", () => {
    const header =
      '{"__metadata__":{"__proto__":"polluted"},"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}';
    const { tensors, metadata } = decodeSafetensors(fileOf(header, [5]));
    expect(tensors.get("__proto__")?.data).toEqual(Uint8Array.of(5));
    expect([...metadata]).toEqual([["__proto__", "polluted"]]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  // -------------------------------------------------------------------------------------------------------------

  const x = '"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}';
  const four = [1, 2, 3, 4];
  const withLength = (length: bigint, file: Uint8Array): Uint8Array => {
    const bytes = file.slice();
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };
  /** A tensor `x` with these fields, in front of four bytes. */
  const fields = (text: string): Uint8Array => fileOf(`{"x":{${text}}}`, four);
  /** A tensor of this shape and these data_offsets. */
  const u8 = (shape: string, offsets: string): Uint8Array =>
    fields(`"dtype":"U8","shape":${shape},"data_offsets":${offsets}`);
  /** Two tensors with these data_offsets, in front of four bytes. */
  const pair = (a: readonly [number, number], b: readonly [number, number]): Uint8Array =>
    fileOf(
      `{${[a, b].map(([begin, end], i) => `"${i}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`)}}`,
      four,
    );
  const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

  const malformed: readonly [string, Uint8Array, RegExp, CheckpointErrorCode?][] = [
    // The length of the header
    ["nothing", new Uint8Array(0), /has 0 bytes, expected at least 8/],
    ["7 bytes", new Uint8Array(7), /has 7 bytes/],
    ["a header of 0 bytes", fileOf(""), /expected "\{" at character 0, found its end/],
    ["a header longer than the file", withLength(58n, fileOf(`{${x}}`)), /header has 58 bytes/],
    ["a header of 2^63 bytes", withLength(2n ** 63n, fileOf(`{${x}}`, four)), /header has 9223372036854775808 bytes/],
    [
      "a header of 2^64 - 1 bytes",
      withLength(2n ** 64n - 1n, fileOf(`{${x}}`, four)),
      /header has 18446744073709551615/,
    ],
    [
      "a length that 32 bits would take for right",
      withLength(2n ** 32n + 57n, fileOf(`{${x}}`, four)),
      /header has 4294967/,
    ],
    ["a header beyond 100 MB, all there", fileOf(new Uint8Array(100_000_001)), /at most 100000000/],
    [
      "a header far larger than its elements",
      fileOf(`{${x}${" ".repeat(9e6)}}`, four),
      /header has 90000\d\d bytes, expected at most 8388609/,
      "checkpoint-unsupported",
    ],
    [
      "entries beyond what its elements bear out",
      fileOf(
        `{${Array.from({ length: 20_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`).join("")}${x}}`,
        four,
      ),
      /too much for so few elements/,
      "checkpoint-unsupported",
    ],
    [
      "metadata beyond what its elements bear out",
      fileOf(`{"__metadata__":{"a":"${"x".repeat(3e6)}"},${x}}`, four),
      /too much for so few elements/,
      "checkpoint-unsupported",
    ],
    ["a header cut short", withLength(40n, fileOf(`{${x}}`, four)), /header/],
    // Encoding
    ["bytes that are no UTF-8", fileOf(latin1(`{"\xe4":1}`)), /not UTF-8/],
    ["an overlong encoding", fileOf(latin1('{"\xc0\xaf":1}')), /not UTF-8/],
    ["half a surrogate pair in UTF-8", fileOf(latin1('{"\xed\xa0\x80":1}')), /not UTF-8/],
    ["UTF-16", fileOf(Buffer.from(`{${x}}`, "utf16le"), four), /header/],
    ["a byte order mark", fileOf(`\ufeff{${x}}`, four), /expected "\{" at character 0/],
    ["half a surrogate pair as an escape", fileOf('{"\\ud800":{}}'), /whole characters/],
    // JSON
    ["space in front", fileOf(` {${x}}`, four), /expected "\{" at character 0/],
    ["an array", fileOf("[]"), /expected "\{"/],
    ["null", fileOf("null"), /expected "\{"/],
    ["an open object", fileOf(`{${x}`, four), /expected "\}" at character 52, found its end/],
    ["a second object", fileOf(`{${x}}{}`, four), /expected nothing more/],
    ["NUL behind the header", fileOf(`{${x}}\0`, four), /expected nothing more/],
    ["a comma too many", fileOf(`{${x},}`, four), /expected a string/],
    ["a comma too few", fileOf(`{${x} "y":{}}`, four), /expected "\}"/],
    ["a comment", fileOf(`{/**/${x}}`, four), /expected a string/],
    ["a key without quotes", fileOf("{x:{}}"), /expected a string/],
    ["a key in single quotes", fileOf("{'x':{}}"), /expected a string/],
    ["an open string", fileOf('{"x'), /string of JSON/],
    ["a string that ends in a backslash", fileOf('{"x\\'), /string of JSON/],
    ["an unknown escape", fileOf('{"\\x41":{}}'), /string of JSON/],
    ["a control character in a string", fileOf('{"a\nb":{}}'), /string of JSON/],
    ["space that JSON does not know", fileOf(`{\u00a0${x}}`, four), /expected a string/],
    ["deep nesting", fileOf(`{"x":${"[".repeat(1e6)}`), /expected "\{"/],
    // Keys
    ["a tensor twice", fileOf(`{${x},${x}}`, four), /has the key "x" twice/],
    ["a tensor twice, once escaped", fileOf(`{${x},${x.replace("x", "\\u0078")}}`, four), /has the key "x" twice/],
    ["the metadata twice", fileOf(`{"__metadata__":{},"__metadata__":{},${x}}`, four), /"__metadata__" twice/],
    ["a metadata key twice", fileOf(`{"__metadata__":{"a":"1","a":"2"},${x}}`, four), /has the key "a" twice/],
    [
      "a field twice",
      fields('"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]'),
      /has the key "dtype" twice/,
    ],
    ["__proto__ twice", fileOf('{"__metadata__":{"__proto__":"1","__proto__":"2"}}'), /"__proto__" twice/],
    // Metadata
    ["metadata that is no object", fileOf('{"__metadata__":"a"}'), /expected "\{"/],
    ["null for metadata", fileOf('{"__metadata__":null}'), /expected "\{"/],
    ["a number in the metadata", fileOf('{"__metadata__":{"step":1}}'), /expected a string/],
    ["null in the metadata", fileOf('{"__metadata__":{"step":null}}'), /expected a string/],
    ["an object in the metadata", fileOf('{"__metadata__":{"a":{}}}'), /expected a string/],
    // Fields
    ["a tensor that is no object", fileOf('{"x":[]}'), /expected "\{"/],
    ["no fields", fields(""), /expected dtype, shape and data_offsets/],
    ["no dtype", fields('"shape":[4],"data_offsets":[0,4]'), /has only shape, data_offsets/],
    ["no shape", fields('"dtype":"U8","data_offsets":[0,4]'), /has only dtype, data_offsets/],
    ["no data_offsets", fields('"dtype":"U8","shape":[4]'), /has only dtype, shape/],
    [
      "an unknown field",
      fields('"dtype":"U8","shape":[4],"data_offsets":[0,4],"strides":[1]'),
      /unknown field "strides"/,
    ],
    // Dtypes
    [
      "an unknown dtype",
      fields('"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]'),
      /unknown dtype "F8_E4M3"/,
      "checkpoint-unsupported",
    ],
    [
      "a dtype in lower case",
      fields('"dtype":"u8","shape":[4],"data_offsets":[0,4]'),
      /unknown dtype "u8"/,
      "checkpoint-unsupported",
    ],
    [
      "a dtype that every object has",
      fields('"dtype":"__proto__","shape":[4],"data_offsets":[0,4]'),
      /unknown dtype/,
      "checkpoint-unsupported",
    ],
    ["a dtype that is no string", fields('"dtype":8,"shape":[4],"data_offsets":[0,4]'), /expected a string/],
    // Shapes
    ["a shape that is no array", u8("4", "[0,4]"), /expected "\["/],
    ["a negative dimension", u8("[-4]", "[0,4]"), /expected an integer/],
    ["two negative dimensions", u8("[-2,-2]", "[0,4]"), /expected an integer/],
    ["a dimension of -0", u8("[-0,4]", "[0,0]"), /expected an integer/],
    ["a fractional dimension", u8("[4.0]", "[0,4]"), /expected an integer/],
    ["a dimension with an exponent", u8("[4e0]", "[0,4]"), /expected an integer/],
    ["a dimension with a leading zero", u8("[04]", "[0,4]"), /expected an integer/],
    ["a dimension as text", u8('["4"]', "[0,4]"), /expected an integer/],
    ["null for a dimension", u8("[null]", "[0,4]"), /expected an integer/],
    ["a nested shape", u8("[[4]]", "[0,4]"), /expected an integer/],
    ["a dimension beyond the safe integers", u8("[9007199254740992]", "[0,4]"), /2\^53 - 1/],
    ["a dimension of 17 digits", u8("[10000000000000000]", "[0,4]"), /2\^53 - 1/],
    ["a dimension of a thousand digits", u8(`[${"9".repeat(1000)}]`, "[0,4]"), /2\^53 - 1/],
    ["a comma too many in the shape", u8("[4,]", "[0,4]"), /expected an integer/],
    ["an open shape", fileOf('{"x":{"dtype":"U8","shape":[4'), /expected "\]"/],
    ["65 axes", u8(`[4${",1".repeat(64)}]`, "[0,4]"), /expected at most 64 integers/],
    ["a product beyond the safe integers", u8("[4194304,4294967296]", "[0,4]"), /too large/],
    ["a product that 64 bits would wrap to 4", u8("[968973220,19037413721]", "[0,4]"), /too large/],
    ["a product that overflows before a zero", u8("[4503599627370496,4503599627370496,0]", "[0,0]"), /too large/],
    [
      "elements that overflow only with their size",
      fields('"dtype":"F64","shape":[2251799813685248],"data_offsets":[0,4]'),
      /too large/,
    ],
    ["a shape larger than the data", u8("[5]", "[0,4]"), /has 5 bytes/],
    ["a shape smaller than the data", u8("[3]", "[0,4]"), /has 3 bytes/],
    ["a dtype wider than the data", fields('"dtype":"F32","shape":[4],"data_offsets":[0,4]'), /has 16 bytes/],
    // Offsets
    ["one offset", u8("[4]", "[4]"), /has 1 data_offsets, expected 2/],
    ["three offsets", u8("[4]", "[0,4,4]"), /has 3 data_offsets/],
    ["no offsets", u8("[0]", "[]"), /has 0 data_offsets/],
    ["a negative offset", u8("[4]", "[-4,0]"), /expected an integer/],
    ["a fractional offset", u8("[4]", "[0.0,4]"), /expected an integer/],
    ["an offset beyond the safe integers", u8("[4]", "[9007199254740992,9007199254740996]"), /2\^53 - 1/],
    ["offsets the wrong way round", u8("[4]", "[4,0]"), /data_offsets 4 to 0/],
    ["offsets behind the file", u8("[4]", "[4,8]"), /begins at byte 4, expected 0: a hole/],
    ["a hole in front", u8("[3]", "[1,4]"), /a hole/],
    ["a hole between", pair([0, 1], [2, 4]), /"1" begins at byte 2, expected 1: a hole/],
    ["a hole between, in reverse order", pair([2, 4], [0, 1]), /"0" begins at byte 2, expected 1: a hole/],
    ["an overlap", pair([0, 3], [2, 4]), /"1" begins at byte 2, expected 3: an overlap/],
    ["the same bytes twice", pair([0, 4], [0, 4]), /an overlap/],
    ["a tensor within another", pair([0, 4], [1, 2]), /an overlap/],
    ["an empty tensor within another", pair([0, 4], [2, 2]), /an overlap/],
    ["an empty tensor behind the file", pair([0, 4], [9, 9]), /a hole/],
    ["a trailer", fileOf(`{${x}}`, [1, 2, 3, 4, 5]), /have 4 bytes, the file 5/],
    ["a trailer without tensors", fileOf("{}", [0]), /have 0 bytes, the file 1/],
    ["a missing last byte", fileOf(`{${x}}`, [1, 2, 3]), /have 4 bytes, the file 3/],
    ["no data", fileOf(`{${x}}`), /have 4 bytes, the file 0/],
    // Elements
    ["a BOOL of 2", fields('"dtype":"BOOL","shape":[4],"data_offsets":[0,4]'), /element 1 of BOOL is 2/],
  ];
  test.each(malformed)("refuses %s", (_, file, message, code = "checkpoint-corrupt") => {
    const error = refusal(file);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^safetensors: /);
    expect(error.code).toBe(code);
    expect(error.name).toBe("CheckpointError");
  });

  test("the messages stay short, whatever the file has in it", () => {
    const long = "n".repeat(1e6);
    const ones = Array.from({ length: 1e6 }, () => 1);
    for (const text of [
      `{"${long}":{"dtype":"${long}","shape":[],"data_offsets":[0,0]}}`,
      `{"${long}":{"dtype":"F32","shape":[${ones}],"data_offsets":[0,0]}}`,
      `{"${long}":{"${long}":[]}}`,
    ])
      expect(refusal(fileOf(text)).message.length).toBeLessThan(500);
  });

  test("refuses every truncation", () => {
    for (let length = 0; length < golden.length; length++)
      expect(refusal(golden.subarray(0, length)).code).toMatch(/^checkpoint-/);
  });
});

// ---------------------------------------------------------------------------------------------------------------
// Laws

const dtypes = Object.keys(carriers) as SafetensorsDType[];
const hostTensor: fc.Arbitrary<HostTensor> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.nat({ max: 4 }), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const carrier = carriers[dtype];
    const size = shape.reduce((product, n) => product * n, 1);
    const bytes = size * carrier.BYTES_PER_ELEMENT;
    const byte = fc.nat({ max: dtype === "BOOL" ? 1 : 255 });
    return fc
      .array(byte, { minLength: bytes, maxLength: bytes })
      .map((list) => ({ dtype, shape, data: new carrier(Uint8Array.from(list).buffer, 0, size) }) as HostTensor);
  });
const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("__proto__", "0", "1", "toString", '"\\\n'));
const tensorName = text.filter((name) => name !== "__metadata__");
const file = fc.record({
  tensors: fc.uniqueArray(fc.tuple(tensorName, hostTensor), { maxLength: 6, selector: ([name]) => name }),
  metadata: fc.uniqueArray(fc.tuple(text, text), { maxLength: 4, selector: ([key]) => key }),
});

const bitsOf = ({ data }: HostTensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

describe("laws", () => {
  test("reading gives back what was written: names, order, dtypes, shapes, every bit, metadata", () => {
    fc.assert(
      fc.property(file, ({ tensors, metadata }) => {
        const bytes = encodeSafetensors(tensors, new Map(metadata));
        const read = decodeSafetensors(bytes);
        expect([...read.metadata]).toEqual(metadata);
        expect([...read.tensors.keys()]).toEqual(tensors.map(([name]) => name));
        for (const [name, tensor] of tensors) {
          const back = read.tensors.get(name) as HostTensor;
          expect({ dtype: back.dtype, shape: back.shape }).toEqual({ dtype: tensor.dtype, shape: tensor.shape });
          expect(bitsOf(back).equals(bitsOf(tensor))).toBe(true);
          expect(back.data.buffer).toBe(bytes.buffer);
        }
        expect(encodeSafetensors(read.tensors, read.metadata)).toEqual(bytes);
      }),
    );
  });

  test("the header is what any parser of JSON reads, at a multiple of 8", () => {
    fc.assert(
      fc.property(file, ({ tensors, metadata }) => {
        const bytes = encodeSafetensors(tensors, new Map(metadata));
        const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
        expect(length % 8).toBe(0);
        const header: Record<string, unknown> = JSON.parse(Buffer.from(bytes.buffer, 8, length).toString("utf8"));
        expect(new Set(Object.keys(header))).toEqual(
          new Set([...(metadata.length > 0 ? ["__metadata__"] : []), ...tensors.map(([name]) => name)]),
        );
      }),
    );
  });

  test("any bytes are read or refused with a CheckpointError", () => {
    fc.assert(
      fc.property(file, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }), (content, edits) => {
        const bytes = encodeSafetensors(content.tensors, new Map(content.metadata));
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        try {
          // What is read must be consistent enough to write.
          const { tensors, metadata } = decodeSafetensors(bytes);
          encodeSafetensors(tensors, metadata);
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
