import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hostIsLittleEndian, reverseElements } from "../byte-order.js";
import type { HostTensor } from "../host-tensor.js";
import { PickledName } from "../pickle.js";
import { bitsOf, expectedBits, fixture } from "../testing/fixtures.js";
import { call, dictPickle, global, int, torchTensor, tuple, unicode } from "../testing/pickles.js";
import { type ZipEntry, zipOf } from "../testing/zip.js";
import { torchStateDict } from "../torch-state-dict.js";
import { loadPt, openPt } from "./pt-file.js";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-pt-"));
  path = join(folder, "net.pt");
});
afterEach(() => fs.rm(folder, { recursive: true }));

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, "latin1"));
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** Entries in the folder `net`, storage 0 with the floats 1 and 2 among them. */
const archive = (
  pickle: Uint8Array,
  more: readonly ZipEntry[] = [],
  storage: Partial<ZipEntry> = {},
): readonly ZipEntry[] => [
  { name: "net/data.pkl", bytes: pickle },
  { name: "net/data/0", bytes: floats(1, 2), ...storage },
  ...more,
];
const write = (entries: readonly ZipEntry[], options = {}): Promise<void> =>
  fs.writeFile(path, zipOf(entries, options));

const one = dictPickle({ a: torchTensor() });
const a: HostTensor = { dtype: "F32", shape: [2], data: Float32Array.of(1, 2) };

describe("loadPt", () => {
  test.each(["dtypes", "views", "state-dict", "checkpoint", "parameters", "protocol4"])(
    "%s: every element as PyTorch reads it",
    async (name) => {
      expect(bitsOf(torchStateDict(await loadPt(fixture(`${name}.pt`))))).toEqual(await expectedBits(name));
    },
  );

  test("what else is in a checkpoint", async () => {
    const checkpoint = (await loadPt(fixture("checkpoint.pt"))) as Map<string, unknown>;
    expect(Object.fromEntries(checkpoint)).toMatchObject({
      epoch: 2,
      best: 0.75,
      big: 2n ** 70n,
      negative: -(2 ** 40),
      name: "réseau",
      raw: Uint8Array.of(0, 255),
      nothing: null,
      flags: [true, false],
      losses: [0.5, -1.25, Number.NaN],
      dtype: new PickledName("torch.bfloat16"),
      size: [2, 3],
    });
    const optimizer = checkpoint.get("optimizer") as Map<string, Map<number, Map<string, unknown>>>;
    expect(optimizer.get("state")?.get(0)?.get("momentum_buffer")).toMatchObject({ dtype: "F32", shape: [4, 3, 3, 3] });
    const schedule = checkpoint.get("schedule") as Map<string, unknown>;
    expect(schedule.get("milestones")).toEqual(
      new Map([
        [3, 1],
        [5, 2],
      ]),
    );
  });

  test("tensors that share a storage share elements; what is not contiguous is a copy", async () => {
    const views = torchStateDict(await loadPt(fixture("views.pt")));
    const bufferOf = (name: string): unknown => views.get(name)?.data.buffer;
    expect(bufferOf("tied")).toBe(bufferOf("base"));
    expect(bufferOf("rows")).toBe(bufferOf("base"));
    expect(bufferOf("transposed")).not.toBe(bufferOf("base"));
  });

  test.each<[string, RegExp]>([
    ["legacy.pt", /before 1\.6.*torch\.save\(torch\.load/],
    ["module.pt", /"torch\.nn\.modules\.container\.Sequential" is not plain data/],
    ["complex.pt", /"torch\.ComplexFloatStorage" is not plain data/],
    ["expanded.pt", /repeats elements of its storage/],
    ["numpy.pt", /"numpy\.core\.multiarray\.scalar" is not plain data/],
    ["sparse.pt", /"torch\._utils\._rebuild_sparse_tensor" is not plain data/],
    ["script.pt", /TorchScript/],
  ])("does not support what PyTorch wrote into %s", async (name, message) => {
    const act = loadPt(fixture(name));
    await expect(act).rejects.toMatchObject({ name: "CheckpointError", code: "checkpoint-unsupported" });
    await expect(act).rejects.toThrow(message);
    await expect(act).rejects.toThrow(fixture(name));
  });

  test("an archive made by hand, which the refused ones below differ from", async () => {
    await write(archive(one));
    expect(await loadPt(path)).toEqual(new Map([["a", a]]));
  });

  test("zip64, folders, other entries", async () => {
    const more = [
      { name: "net/data/", bytes: text("") },
      { name: "net/.data/serialization_id", bytes: text("0") },
    ];
    await write(archive(one, more), { zip64: true });
    expect(await loadPt(path)).toEqual(new Map([["a", a]]));
  });

  test("the byte order of another machine", async () => {
    const swapped = reverseElements(floats(1, 2), 4);
    const order = (name: string): ZipEntry => ({ name: "net/byteorder", bytes: text(name) });
    const [own, other] = hostIsLittleEndian ? ["little", "big"] : ["big", "little"];
    await write(archive(one, [order(other)], { bytes: swapped }));
    expect(await loadPt(path)).toEqual(new Map([["a", a]]));
    await write(archive(one, [order(own)]));
    expect(await loadPt(path)).toEqual(new Map([["a", a]]));
  });

  const storage = (type: readonly number[], key: string, count: number): number[] => [
    ...tuple(unicode("storage"), type, unicode(key), unicode("cpu"), int(count)),
    0x51,
  ];
  const untyped = storage(global("torch.storage", "UntypedStorage"), "0", 8);

  test("an untyped storage, whose tensors have the dtype", async () => {
    const v3 = call(
      "torch._utils",
      "_rebuild_tensor_v3",
      ...[untyped, int(1), tuple(int(2)), tuple(int(2)), [0x89], call("collections", "OrderedDict")],
      global("torch", "uint16"),
    );
    await write(archive(dictPickle({ a: v3 }), [], { bytes: Uint8Array.of(1, 0, 2, 0, 3, 0, 4, 1) }));
    expect(await loadPt(path)).toEqual(new Map([["a", { dtype: "U16", shape: [2], data: Uint16Array.of(2, 260) }]]));
    const other = hostIsLittleEndian ? "big" : "little";
    await write(archive(dictPickle({ a: v3 }), [{ name: "net/byteorder", bytes: text(other) }]));
    await expect(loadPt(path)).rejects.toMatchObject({ code: "checkpoint-unsupported" });
  });

  const hooks = [0x7d, ...unicode("k"), 0x4e, 0x73];
  const tensorOf = (...args: number[][]): Uint8Array =>
    dictPickle({ a: call("torch._utils", "_rebuild_tensor_v2", ...args) });
  test.each<[string, string, RegExp, readonly ZipEntry[]]>([
    ["no data.pkl", "corrupt", /0 entries are called data\.pkl/, [{ name: "net/version", bytes: text("3") }]],
    ["two", "corrupt", /2 entries are called data\.pkl/, archive(one, [{ name: "b/data.pkl", bytes: one }])],
    [
      "a name twice",
      "corrupt",
      /"net\/data\/0" is there twice/,
      archive(one, [{ name: "net/data/0", bytes: text("") }]),
    ],
    ["a way out", "corrupt", /relative path/, archive(one, [{ name: "net/../../x", bytes: text("") }])],
    ["an absolute path", "corrupt", /absolute path/, archive(one, [{ name: "/x", bytes: text("") }])],
    ["a compressed storage", "unsupported", /compressed/, archive(one, [], { method: 8 })],
    ["an encrypted storage", "unsupported|corrupt", /encrypted|mismatch/, archive(one, [], { flags: 1 })],
    ["strong encryption", "corrupt", /encryption/, archive(one, [], { flags: 0x40 })],
    ["a wrong checksum", "corrupt", /"net\/data\/0" is damaged/, archive(one, [], { crc: 1 })],
    ["a size beyond the file", "corrupt", /the file has/, archive(one, [], { size: 1e9 })],
    ["an offset beyond the file", "corrupt", /the file has/, archive(one, [], { offset: 0xfffffff0 })],
    ["entries over each other", "corrupt", /lies over another/, archive(one, [], { offset: 3 })],
    ["no storage", "corrupt", /"1" has no entry/, archive(dictPickle({ a: torchTensor({ key: "1" }) }))],
    ["a short storage", "corrupt", /has 8 bytes, expected 12/, archive(dictPickle({ a: torchTensor({ count: 3 }) }))],
    [
      "no byte order",
      "corrupt",
      /byteorder is "middle"/,
      archive(one, [{ name: "net/byteorder", bytes: text("middle") }]),
    ],
    [
      "a tensor past its storage",
      "corrupt",
      /reaches to element 2/,
      archive(dictPickle({ a: torchTensor({ offset: 1 }) })),
    ],
    ["a stride past it", "corrupt", /reaches to element 9/, archive(dictPickle({ a: torchTensor({ stride: [9] }) }))],
    ["strides of another rank", "corrupt", /0 strides/, archive(dictPickle({ a: torchTensor({ stride: [] }) }))],
    [
      "a negative stride",
      "corrupt",
      /no tuple of up to 64 counts/,
      archive(dictPickle({ a: torchTensor({ stride: [-1] }) })),
    ],
    [
      "a rank beyond PyTorch's",
      "corrupt",
      /no tuple of up to 64 counts/,
      archive(dictPickle({ a: torchTensor({ shape: Array(65).fill(1), stride: Array(65).fill(1) }) })),
    ],
    [
      "a size beyond any file",
      "corrupt",
      /too large/,
      archive(dictPickle({ a: torchTensor({ shape: Array(9).fill(2 ** 30), stride: Array(9).fill(0) }) })),
    ],
    [
      "repeated elements",
      "unsupported",
      /repeats/,
      archive(dictPickle({ a: torchTensor({ shape: [9], stride: [0] }) })),
    ],
    ["hooks", "unsupported", /hooks/, archive(dictPickle({ a: torchTensor({ hooks }) }))],
    ["a lazy conjugate", "unsupported", /metadata/, archive(dictPickle({ a: torchTensor({ more: [hooks] }) }))],
    [
      "a storage in two ways",
      "unsupported",
      /two ways/,
      archive(dictPickle({ a: torchTensor(), b: torchTensor({ storage: "IntStorage" }) })),
    ],
    [
      "a quantised storage",
      "unsupported",
      /QInt8Storage/,
      archive(dictPickle({ a: torchTensor({ storage: "QInt8Storage" }) })),
    ],
    ["a tensor of nothing", "corrupt", /no storage/, archive(tensorOf())],
    ["an untyped tensor", "unsupported", /dtype/, archive(tensorOf(untyped, int(0), tuple(), tuple()))],
    [
      "a foreign persistent id",
      "corrupt",
      /no storage/,
      archive(dictPickle({ a: [...tuple(unicode("module")), 0x51] })),
    ],
    [
      "a storage without size",
      "corrupt",
      /no key or no size/,
      archive(dictPickle({ a: storage(global("torch", "FloatStorage"), "0", -1) })),
    ],
    [
      "a dtype for a storage",
      "corrupt",
      /no storage/,
      archive(dictPickle({ a: storage(global("torch", "float32"), "0", 2) })),
    ],
    [
      "an attribute",
      "unsupported",
      /state/,
      archive(dictPickle({ a: [0x7d, 0x7d, ...unicode("x"), 0x4e, 0x73, 0x62] })),
    ],
    [
      "an OrderedDict of pairs",
      "corrupt",
      /arguments/,
      archive(dictPickle({ a: call("collections", "OrderedDict", [0x5d]) })),
    ],
    ["a Counter of none", "corrupt", /Counter/, archive(dictPickle({ a: call("collections", "Counter", [0x4e]) }))],
    [
      "an encoding",
      "corrupt",
      /latin1/,
      archive(dictPickle({ a: call("_codecs", "encode", unicode("x"), unicode("rot13")) })),
    ],
    [
      "os.system",
      "unsupported",
      /"posix\.system"/,
      archive(dictPickle({ a: call("posix", "system", unicode("true")) })),
    ],
    [
      "a bool that is none",
      "corrupt",
      /bool tensor has 3 as element 1/,
      archive(dictPickle({ a: torchTensor({ storage: "BoolStorage" }) }), [], { bytes: Uint8Array.of(1, 3) }),
    ],
  ])("refuses %s", async (_, code, message, entries) => {
    await write(entries);
    await expect(loadPt(path)).rejects.toMatchObject({
      name: "CheckpointError",
      code: expect.stringMatching(`^checkpoint-(${code})$`),
      message: expect.stringMatching(message),
    });
  });

  test("a shape that grows after it was checked", async () => {
    const shape = [0x5d, ...int(2), 0x61, 0x71, 0];
    const args = [...[untyped, int(0), shape, tuple(int(1)), [0x89], [0x4e]], global("torch", "float32")];
    const grow = [0x68, 0, ...int(2 ** 30), 0x61];
    const list = [0x5d, 0x28, ...call("torch._utils", "_rebuild_tensor_v3", ...args), ...grow, 0x65];
    await write(archive(Uint8Array.from([0x80, 2, ...list, 0x2e])));
    await expect(loadPt(path)).rejects.toThrow("shape of a tensor is no tuple of up to 64 counts");
  });

  test("a text that is encoded again and again", async () => {
    const again = [...global("_codecs", "encode"), 0x68, 0, 0x52];
    const latin = tuple(unicode("x".repeat(10_000)), unicode("latin1"));
    const list = [...latin, 0x71, 0, 0x5d, 0x28, ...Array(1000).fill(again).flat(), 0x65];
    await write(archive(Uint8Array.from([0x80, 2, ...list, 0x2e])));
    await expect(loadPt(path)).rejects.toThrow("takes more memory than");
  });

  test("tensors that together are far larger than what they are windows on", async () => {
    const side = 512;
    const transposed = torchTensor({ count: side * side, shape: [side, side], stride: [1, side] });
    const pickle = dictPickle(Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`t${i}`, transposed])));
    await write(archive(pickle, [], { bytes: new Uint8Array(4 * side * side) }));
    await expect(loadPt(path)).rejects.toMatchObject({
      code: "checkpoint-unsupported",
      message: expect.stringContaining("20971520 bytes apart from their storages, which have 1048576"),
    });
    // One by one they are no trouble.
    await using file = await openPt(path);
    expect((await file.read("t19")).data).toHaveLength(side * side);
  });

  test("thousands of small tensors: more memory than their elements, and yet read", async () => {
    const keys = Array.from({ length: 3000 }, (_, i) => `${i}`);
    const storages = keys.map((key) => ({ name: `net/data/${key}`, bytes: floats(1, 2) }));
    const pickle = dictPickle(Object.fromEntries(keys.map((key) => [`layer${key}.weight`, torchTensor({ key })])));
    await fs.writeFile(path, zipOf([{ name: "net/data.pkl", bytes: pickle }, ...storages]));
    expect(torchStateDict(await loadPt(path)).size).toBe(3000);
  });

  test.each<[string, string, RegExp, readonly ZipEntry[]]>([
    [
      "more entries than its size bears out",
      "unsupported",
      /entries are too many for its size/,
      Array.from({ length: 40_000 }, (_, i) => ({ name: `${i}`, bytes: new Uint8Array(0) })),
    ],
    [
      "a name of a thousand letters",
      "corrupt",
      /is described by 1025 bytes/,
      [{ name: "x".repeat(1025), bytes: new Uint8Array(0) }],
    ],
  ])("refuses %s", async (_, code, message, entries) => {
    await write(entries);
    await expect(loadPt(path)).rejects.toMatchObject({
      code: `checkpoint-${code}`,
      message: expect.stringMatching(message),
    });
  });

  test("deflate is not undone, so that nothing is larger than the file", async () => {
    const bytes = deflateRawSync(new Uint8Array(1e6));
    await write(archive(one, [], { bytes, method: 8, size: 8 }));
    await expect(loadPt(path)).rejects.toMatchObject({ code: expect.stringMatching(/corrupt|unsupported/) });
  });

  test.each([
    ["nothing", ""],
    ["one byte", "P"],
    ["the beginning of a zip", "PK\x03\x04"],
    ["text", "a model"],
  ])("refuses %s", async (_, contents) => {
    await fs.writeFile(path, contents);
    await expect(loadPt(path)).rejects.toMatchObject({ code: "checkpoint-corrupt" });
  });

  test("no file, a folder", async () => {
    await expect(loadPt(path)).rejects.toMatchObject({ code: "checkpoint-missing" });
    await expect(loadPt(folder)).rejects.toMatchObject({ code: "checkpoint-read" });
  });
});

describe("openPt", () => {
  test.each(["dtypes", "views", "checkpoint"])("%s: tensor by tensor, with one buffer or without", async (name) => {
    await using file = await openPt(fixture(`${name}.pt`));
    const expected = await expectedBits(name);
    expect([...file.tensors.keys()]).toEqual(Object.keys(expected));
    const buffer = new ArrayBuffer(1024);
    for (const key of file.tensors.keys())
      for (const use of [buffer, undefined, buffer])
        expect(bitsOf([[key, await file.read(key, use)]])).toEqual({ [key]: expected[key] });
  });

  test("what was read without a buffer is the caller's own, also where tensors share a storage", async () => {
    await using file = await openPt(fixture("views.pt"));
    for (const [first, second] of [
      ["base", "tied"],
      ["base", "base"],
      ["transposed", "transposed"],
      ["base", "rows"],
    ] as const) {
      const { data } = await file.read(first);
      const other = await file.read(second);
      const before = [...other.data];
      data.fill(7 as never);
      expect([...other.data]).toEqual(before);
      expect([...(await file.read(second)).data]).toEqual(before);
    }
    await fs.writeFile(path, zipOf(archive(one)));
    await using own = await openPt(path);
    (await own.read("a")).data.fill(7 as never);
    expect([...(await own.read("a")).data]).toEqual([1, 2]);
  });

  test("what was read without a buffer stays as it is", async () => {
    await using file = await openPt(fixture("views.pt"));
    const expected = await expectedBits("views");
    const buffer = new ArrayBuffer(1024);
    await file.read("base", buffer);
    const kept = await file.read("rows");
    await file.read("channels_last", buffer);
    expect(bitsOf([["rows", kept]])).toEqual({ rows: expected["rows"] });
  });

  test("by key; a name that is not there", async () => {
    await using file = await openPt(fixture("checkpoint.pt"), { key: "state_dict" });
    expect(file.tensors.get("0.weight")).toMatchObject({ dtype: "F32", shape: [4, 3, 3, 3] });
    await expect(file.read("0.wieght")).rejects.toThrow('there is no tensor "0.wieght"; is it "0.weight"?');
    await expect(openPt(fixture("checkpoint.pt"), { key: "model" })).rejects.toMatchObject({ code: "argument" });
  });

  test("a damaged storage is found when it is read", async () => {
    await write(archive(one, [], { crc: 1 }));
    await using file = await openPt(path);
    await expect(file.read("a")).rejects.toMatchObject({
      code: "checkpoint-corrupt",
      message: expect.stringContaining(path),
    });
  });
});
