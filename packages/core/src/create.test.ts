import { describe, expect, test } from "vitest";
import {
  ArgumentError,
  arange,
  DTypeError,
  full,
  type HostArray,
  memoryUsage,
  ones,
  rand,
  randn,
  randomBits,
  randomWords,
  ShapeError,
  type StriateError,
  type Tensor,
  tensor,
  UnsupportedError,
  zeros,
} from "./index.js";
import { alteredBackend } from "./testing/altered-backend.js";
import { createMinimalBackend } from "./testing/minimal-backend.js";

const backend = await createMinimalBackend();
const o = { backend };
const describeTensor = async (t: Tensor): Promise<unknown> => [t.dtype, t.shape, await t.toArray()];

describe("tensor", () => {
  test.each<[string, Parameters<typeof tensor>[0], unknown]>([
    ["a number", 3, ["float32", [], 3]],
    ["a boolean", true, ["float32", [], 1]],
    [
      "nested numbers",
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      [
        "float32",
        [2, 3],
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ],
    ],
    ["nested booleans", [[true], [false]], ["float32", [2, 1], [[1], [0]]]],
    ["nothing", [], ["float32", [0], []]],
    ["rows of nothing", [[], []], ["float32", [2, 0], [[], []]]],
    ["a Float64Array", Float64Array.of(1, 2), ["float64", [2], [1, 2]]],
    ["an Int32Array", Int32Array.of(1, 2), ["int32", [2], [1, 2]]],
    ["a Uint8Array", Uint8Array.of(1, 2), ["uint8", [2], [1, 2]]],
    ["a Buffer", Buffer.from([1, 2]), ["uint8", [2], [1, 2]]],
  ])("from %s", async (_name, data, expected) => {
    expect(await describeTensor(tensor(data, o))).toEqual(expected);
  });

  test("with a shape and a dtype", async () => {
    expect(await describeTensor(tensor([1, 2, 3, 4], { backend, shape: [2, 2], dtype: "int32" }))).toEqual([
      "int32",
      [2, 2],
      [
        [1, 2],
        [3, 4],
      ],
    ]);
    expect(await describeTensor(tensor([true, false], { backend, dtype: "bool" }))).toEqual(["bool", [2], [1, 0]]);
  });

  test("copies data and shape", async () => {
    const [data, shape] = [Float32Array.of(1, 2), [1, 2]];
    const t = tensor(data, { backend, shape });
    data[0] = 9;
    shape[0] = 9;
    expect(await describeTensor(t)).toEqual(["float32", [1, 2], [[1, 2]]]);
  });

  test("converts numbers for float16 on the host", async () => {
    const half = alteredBackend(backend, { caps: { dtypes: new Set(["float16"]) } });
    const t = tensor([1, -2, 1 / 3], { backend: half, dtype: "float16" });
    expect(await t.data()).toEqual(Uint16Array.of(0x3c00, 0xc000, 0x3555));
    expect(await t.toArray()).toEqual([1, -2, 0.333251953125]);
    expect(await tensor(5, { backend: half, dtype: "float16" }).item()).toBe(5);
    expect(`${arange(2, { backend: half, dtype: "float16" })}`).toContain("[0., 1.]");
  });

  const bad = (data: unknown, options: Partial<Parameters<typeof tensor>[1]> = {}) => ({ data, options });
  test.each([
    ["ragged rows", bad([[1, 2], [3]]), ShapeError, /ragged, expected \[2, 2\]/],
    ["a number among rows", bad([[1], 2]), ShapeError, /ragged/],
    ["a row among numbers", bad([1, [2]]), ShapeError, /ragged/],
    ["a text", bad([1, "2"]), ArgumentError, /2 is no number/],
    ["a hole", bad([1, undefined]), ArgumentError, /undefined is no number/],
    ["null", bad(null), ArgumentError, /null is no number/],
    ["a typed array among numbers", bad([Float32Array.of(1)]), ArgumentError, /is no number/],
    ["another size", bad([1, 2, 3], { shape: [2] }), ShapeError, /shape \[2\] has 2 elements, the data 3/],
    ["no shape", bad([1], { shape: [-1] }), ShapeError, /\[-1\] is not a shape/],
    ["no carrier", bad(Int16Array.of(1)), DTypeError, /Int16Array carries no dtype/],
    ["a DataView", bad(new DataView(new ArrayBuffer(4))), DTypeError, /DataView carries no dtype/],
    [
      "another carrier",
      bad(Float64Array.of(1), { dtype: "float32" }),
      DTypeError,
      /Float64Array does not carry float32/,
    ],
    ["a fraction as int32", bad([1, 0.5], { dtype: "int32" }), ArgumentError, /0.5 is no int32/],
    ["NaN as int32", bad([Number.NaN], { dtype: "int32" }), ArgumentError, /NaN is no int32/],
    ["300 as uint8", bad([300], { dtype: "uint8" }), ArgumentError, /300 is no uint8/],
    ["2 as bool", bad([2], { dtype: "bool" }), ArgumentError, /2 is no bool/],
    ["bytes as bool", bad(Uint8Array.of(0, 7), { dtype: "bool" }), ArgumentError, /7 is no bool/],
    [
      "a dtype the backend lacks",
      bad([1], { dtype: "float16" }),
      UnsupportedError,
      /tensor: .*minimal: it has no float16/,
    ],
    ["a gradient of integers", bad([1], { dtype: "int32", requiresGrad: true }), DTypeError, /only floats/],
  ])("refuses %s, and leaks nothing", (_name, { data, options }, type, message) => {
    const before = memoryUsage(backend);
    const make = () => tensor(data as HostArray, { backend, ...options });
    expect(make).toThrow(type as typeof StriateError);
    expect(make).toThrow(message);
    expect(memoryUsage(backend)).toMatchObject({ tensors: before.tensors, storages: before.storages });
  });
});

describe("constants", () => {
  test("zeros, ones, full, arange", async () => {
    expect(await describeTensor(zeros([2], o))).toEqual(["float32", [2], [0, 0]]);
    expect(await describeTensor(ones([1, 2], { backend, dtype: "int32" }))).toEqual(["int32", [1, 2], [[1, 1]]]);
    expect(await describeTensor(full([], -0.5, { backend, dtype: "float64" }))).toEqual(["float64", [], -0.5]);
    expect(await describeTensor(arange(3, { backend, dtype: "uint8" }))).toEqual(["uint8", [3], [0, 1, 2]]);
    expect(ones([2], { backend, requiresGrad: true }).requiresGrad).toBe(true);
  });

  test.each<[string, () => Tensor, unknown, RegExp]>([
    ["full", () => full([2], 0.5, { backend, dtype: "int32" }), ArgumentError, /^full: 0.5 is no int32/],
    ["full's shape", () => full([-2], 0, o), ShapeError, /^full: \[-2\]/],
    ["arange", () => arange(257, { backend, dtype: "uint8" }), ArgumentError, /^arange: 256 is no uint8/],
    ["arange's count", () => arange(-1, o), ShapeError, /^arange: \[-1\]/],
    ["zeros' gradient", () => zeros([1], { backend, dtype: "bool", requiresGrad: true }), DTypeError, /only floats/],
    [
      "fullLike",
      () => zeros([1], { backend, dtype: "uint8" }).fullLike(-1),
      ArgumentError,
      /^fullLike: -1 is no uint8/,
    ],
  ])("%s refuses what does not fit", (_name, make, type, message) => {
    expect(make).toThrow(type as typeof StriateError);
    expect(make).toThrow(message);
  });

  test("the shape is copied", () => {
    const shape = [2];
    const all = [zeros(shape, o), rand(shape, { backend, seed: 1 }), randomBits(shape, { backend, seed: 1 })];
    const [x] = all as [Tensor];
    all.push(x.reshape(shape), x.expand(shape));
    shape[0] = 5;
    for (const t of all) expect(t.shape).toEqual([2]);
  });
});

describe("random tensors", () => {
  const moments = (data: HostArray): number[] => {
    const values = Float64Array.from(data);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const central = (k: number): number => values.reduce((a, b) => a + (b - mean) ** k, 0) / values.length;
    return [mean, central(2), central(3), central(4)];
  };

  test.each(["float32", "float64"] as const)("rand is uniform in [0, 1) in %s", async (dtype) => {
    const values = await rand([40_000], { backend, seed: 1, dtype }).data();
    expect(values.every((v) => v >= 0 && v < 1)).toBe(true);
    const [mean, variance, skew] = moments(values);
    expect(mean).toBeCloseTo(1 / 2, 1.8);
    expect(variance).toBeCloseTo(1 / 12, 2);
    expect(skew).toBeCloseTo(0, 2);
  });

  test.each(["float32", "float64"] as const)("randn is standard normal in %s", async (dtype) => {
    const [mean, variance, skew, kurtosis] = moments(await randn([400_000], { backend, seed: 1, dtype }).data());
    expect(mean).toBeCloseTo(0, 1.5);
    expect(variance).toBeCloseTo(1, 1.5);
    expect(skew).toBeCloseTo(0, 1);
    expect(kurtosis).toBeCloseTo(3, 0.7);
  });

  test("are functions of their address", async () => {
    for (const make of [rand, randn]) {
      const at = (address: object): Promise<unknown> => make([5], { backend, seed: 1, ...address }).toArray();
      expect(await at({ stream: 0, offset: 0 })).toEqual(await at({}));
      for (const other of [{ seed: 2 }, { seed: 1 + 2 ** 32 }, { stream: 1 }, { offset: 1 }])
        expect(await at(other)).not.toEqual(await at({}));
    }
  });

  test("randn of an odd count is the beginning of an even one", async () => {
    const draw = async (n: number): Promise<number[]> => [...(await randn([n], { backend, seed: 1 }).data())];
    expect(await draw(5)).toEqual((await draw(6)).slice(0, 5));
  });

  test("randomBits are the upper 24 bits of the words", async () => {
    const bits = await randomBits([3, 2], { backend, seed: 5, stream: 1, offset: 2 }).data();
    expect([...bits]).toEqual([...randomWords(5, 1, 2, 6)].map((word) => word >>> 8));
  });

  test.each<[string, () => Tensor, unknown, RegExp]>([
    ["rand's seed", () => rand([1], { backend, seed: -1 }), ArgumentError, /^rand: seed is -1/],
    ["randn's stream", () => randn([1], { backend, seed: 1, stream: 0.5 }), ArgumentError, /^randn: stream is 0.5/],
    ["rand's dtype", () => rand([1], { backend, seed: 1, dtype: "int32" }), DTypeError, /^rand: dtype is int32/],
    ["randn's shape", () => randn([1.5], { backend, seed: 1 }), ShapeError, /^randn: \[1.5\]/],
    [
      "randomBits' offset",
      () => randomBits([1], { backend, seed: 1, offset: -1 }),
      ArgumentError,
      /^randomBits: offset/,
    ],
    [
      "dropout's seed",
      () => ones([1], o).dropout({ p: 0.5, seed: Number.NaN }),
      ArgumentError,
      /^dropout: seed is NaN/,
    ],
    ["dropout's p", () => ones([1], o).dropout({ p: 1.5, seed: 1 }), ArgumentError, /^dropout: p is 1.5/],
  ])("%s", (_name, make, type, message) => {
    expect(make).toThrow(type as typeof StriateError);
    expect(make).toThrow(message);
  });

  test("dropout keeps a share of 1 - p, scaled; nothing for p = 1, all for p = 0", async () => {
    const x = ones([10_000], o);
    const kept = (await x.dropout({ p: 0.3, seed: 1 }).data()).filter((v) => v !== 0);
    expect(kept.length / 10_000).toBeCloseTo(0.7, 1.5);
    expect(new Set(kept)).toEqual(new Set([Math.fround(1 / Math.fround(0.7))]));
    expect(await x.dropout({ p: 1, seed: 1 }).sum().item()).toBe(0);
    expect(await x.dropout({ p: 0, seed: 1 }).sum().item()).toBe(10_000);
  });
});
