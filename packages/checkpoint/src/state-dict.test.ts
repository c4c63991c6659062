import { createHash } from "node:crypto";
import { createCpuBackend } from "@striate/backend-cpu";
import {
  ArgumentError,
  type Backend,
  DisposedError,
  type DType,
  type HostArray,
  memoryUsage,
  ShapeError,
  type Tensor,
  tensor,
  UnsupportedError,
} from "@striate/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { HostTensor } from "./host-tensor.js";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.js";
import { tensorsFromHost, tensorsToHost, weightsSha256 } from "./state-dict.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});
afterEach(() => {
  vi.unstubAllGlobals();
});

const f32 = (...values: number[]): HostTensor => ({
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});

describe("tensorsToHost", () => {
  test("copies every dtype of the backend, in the order given", async () => {
    const dtypes: readonly (readonly [DType, string])[] = [
      ["uint8", "U8"],
      ["bool", "BOOL"],
      ["int32", "I32"],
      ["float64", "F64"],
      ["float32", "F32"],
    ];
    const state = dtypes.map(([dtype]) => [dtype, tensor([[1, 0, 1]], { backend, dtype })] as const);
    const host = await tensorsToHost(state);
    expect([...host].map(([name, { dtype }]) => [name, dtype])).toEqual(dtypes);
    for (const [name, { shape, data }] of host) {
      expect(shape).toEqual([1, 3]);
      expect([...data]).toEqual([1, 0, 1]);
      expect(data).toEqual(state.find(([key]) => key === name)?.[1].dataSync());
    }
  });

  test("float16 goes by its bits", async () => {
    const bits = Uint16Array.of(0x3c00, 0xc000);
    const half = tensor(bits, { backend: withFloat16(backend), dtype: "float16" });
    expect(await tensorsToHost([["h", half]])).toEqual(new Map([["h", { dtype: "F16", shape: [2], data: bits }]]));
  });

  test("is a copy of one moment: what is assigned after the call does not come in", async () => {
    const state = new Map([1, 2, 3].map((n) => [`p${n}`, tensor([n], { backend })]));
    const pending = tensorsToHost(state);
    for (const parameter of state.values()) parameter.assign(tensor([-1], { backend }));
    expect([...(await pending).values()].map(({ data }) => data[0])).toEqual([1, 2, 3]);
  });

  test("tensors of the host pass through", async () => {
    const host = f32(1, 2);
    expect((await tensorsToHost([["a", host]])).get("a")).toBe(host);
  });

  test("a name twice, a disposed tensor", async () => {
    const a = tensor([1], { backend });
    const twice: (readonly [string, Tensor])[] = [
      ["a", a],
      ["a", a],
    ];
    await expect(tensorsToHost(twice)).rejects.toThrow(ArgumentError);
    a.dispose();
    await expect(tensorsToHost([["a", a]])).rejects.toThrow(DisposedError);
  });
});

/** The CPU backend with a float16 that it keeps as the bits it was given. */
const withFloat16 = (cpu: Backend): Backend => {
  const held = new WeakMap<object, HostArray>();
  return {
    ...cpu,
    caps: { ...cpu.caps, dtypes: new Set<DType>([...cpu.caps.dtypes, "float16"]) },
    alloc: () => ({}),
    free: () => undefined,
    write: ({ storage }, data) => {
      held.set(storage, data.slice());
    },
    read: async ({ storage }) => held.get(storage) as HostArray,
    readSync: ({ storage }) => held.get(storage) as HostArray,
  };
};

describe("tensorsFromHost", () => {
  const read = (name: string, host: HostTensor, dtype?: "float32" | "float64"): readonly [DType, HostArray] => {
    const made = tensorsFromHost([[name, host]], { backend, dtype }).get(name) as Tensor;
    expect(made.shape).toEqual(host.shape);
    return [made.dtype, made.dataSync()];
  };

  test("undoes tensorsToHost", async () => {
    const state = new Map([
      ["w", tensor([[1.5, -2]], { backend })],
      ["n", tensor(7, { backend, dtype: "int32" })],
      ["d", tensor([0.1], { backend, dtype: "float64" })],
      ["m", tensor([true, false], { backend, dtype: "bool" })],
      ["u", tensor([255], { backend, dtype: "uint8" })],
      ["e", tensor(new Float32Array(0), { backend, shape: [0, 3] })],
    ]);
    const back = tensorsFromHost(decodeSafetensors(encodeSafetensors(await tensorsToHost(state))).tensors, { backend });
    expect([...back.keys()]).toEqual([...state.keys()]);
    for (const [name, after] of back) {
      const before = state.get(name) as Tensor;
      expect([after.shape, after.dtype, after.requiresGrad]).toEqual([before.shape, before.dtype, false]);
      expect(after.dataSync()).toEqual(before.dataSync());
    }
  });

  test("BF16 becomes float32; other integers int32, with the same values", () => {
    expect(read("b", { dtype: "BF16", shape: [2], data: Uint16Array.of(0x3f80, 0xc040) })).toEqual([
      "float32",
      Float32Array.of(1, -3),
    ]);
    const integers: readonly HostTensor[] = [
      { dtype: "I8", shape: [2], data: Int8Array.of(-128, 127) },
      { dtype: "I16", shape: [2], data: Int16Array.of(-32768, 32767) },
      { dtype: "U16", shape: [2], data: Uint16Array.of(0, 65535) },
      { dtype: "U32", shape: [2], data: Uint32Array.of(0, 2 ** 31 - 1) },
      { dtype: "I64", shape: [2], data: BigInt64Array.of(-(2n ** 31n), 2n ** 31n - 1n) },
      { dtype: "U64", shape: [2], data: BigUint64Array.of(0n, 2n ** 31n - 1n) },
    ];
    for (const host of integers) expect(read("i", host)).toEqual(["int32", Int32Array.from(host.data, Number)]);
  });

  test("integers beyond int32 are refused, not wrapped", () => {
    const beyond: readonly HostTensor[] = [
      { dtype: "U32", shape: [2], data: Uint32Array.of(0, 2 ** 31) },
      { dtype: "I64", shape: [2], data: BigInt64Array.of(0n, 2n ** 31n) },
      { dtype: "I64", shape: [2], data: BigInt64Array.of(0n, -(2n ** 31n) - 1n) },
      { dtype: "I64", shape: [2], data: BigInt64Array.of(0n, 2n ** 53n + 1n) },
      { dtype: "U64", shape: [2], data: BigUint64Array.of(0n, 2n ** 64n - 1n) },
    ];
    for (const host of beyond) {
      expect(() => read("i", host)).toThrow(ArgumentError);
      expect(() => read("i", host)).toThrow(`tensor "i": element 1 is ${host.data[1]}, beyond int32`);
    }
  });

  test("dtype turns every float, and nothing else", () => {
    const half: HostTensor = { dtype: "F16", shape: [1], data: Uint16Array.of(0x3555) };
    const bfloat: HostTensor = { dtype: "BF16", shape: [1], data: Uint16Array.of(0x4049) };
    const double: HostTensor = { dtype: "F64", shape: [1], data: Float64Array.of(0.1) };
    expect(read("h", half, "float32")).toEqual(["float32", Float32Array.of(0.333251953125)]);
    expect(read("h", half, "float64")).toEqual(["float64", Float64Array.of(0.333251953125)]);
    expect(read("b", bfloat, "float64")).toEqual(["float64", Float64Array.of(3.140625)]);
    expect(read("d", double, "float32")).toEqual(["float32", Float32Array.of(0.1)]);
    expect(read("d", double, "float64")).toEqual(["float64", Float64Array.of(0.1)]);
    expect(read("f", f32(0.5), "float64")).toEqual(["float64", Float64Array.of(0.5)]);
    expect(read("i", { dtype: "I32", shape: [1], data: Int32Array.of(3) }, "float64")[0]).toBe("int32");
    expect(read("u", { dtype: "U8", shape: [1], data: Uint8Array.of(3) }, "float32")[0]).toBe("uint8");
    expect(read("m", { dtype: "BOOL", shape: [1], data: Uint8Array.of(1) }, "float32")[0]).toBe("bool");
  });

  test("F16 stays float16 where the backend has it, and is refused with advice where it has not", () => {
    const half: HostTensor = { dtype: "F16", shape: [1], data: Uint16Array.of(0x3c00) };
    const made = tensorsFromHost([["h", half]], { backend: withFloat16(backend) }).get("h") as Tensor;
    expect([made.dtype, made.dataSync()]).toEqual(["float16", half.data]);
    expect(() => read("h", half)).toThrow(UnsupportedError);
    expect(() => read("h", half)).toThrow(/tensor "h" \(F16\) needs float16; ask for another with the option dtype/);
  });

  test("the tensors are copies", () => {
    const data = Float32Array.of(1, 2);
    const made = tensorsFromHost([["a", { dtype: "F32", shape: [2], data }]], { backend }).get("a") as Tensor;
    data.fill(0);
    expect(made.dataSync()).toEqual(Float32Array.of(1, 2));
  });

  test("a failure leaves nothing on the backend", () => {
    const before = memoryUsage(backend).tensors;
    const good = ["a", f32(1)] as const;
    const ragged: HostTensor = { dtype: "F32", shape: [3], data: Float32Array.of(1) };
    expect(() => tensorsFromHost([good, ["b", ragged]], { backend })).toThrow(ShapeError);
    expect(() => tensorsFromHost([good, good], { backend })).toThrow(ArgumentError);
    expect(memoryUsage(backend).tensors).toBe(before);
  });
});

describe("weightsSha256", () => {
  test("is sha256sum of the file that holds the tensors by name, without metadata", async () => {
    const header =
      '{"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}';
    const file = Buffer.concat([
      Uint8Array.of(112, 0, 0, 0, 0, 0, 0, 0),
      Buffer.from(header.padEnd(112, " ")),
      Uint8Array.of(5, 0, 0, 0, 0, 0, 0x80, 0x3f),
    ]);
    const expected = createHash("sha256").update(file).digest("hex");
    const a = tensor(5, { backend, dtype: "int32" });
    const b = tensor([1], { backend });
    expect(await weightsSha256(new Map(Object.entries({ b, a })))).toBe(expected);
    expect(
      await weightsSha256(
        await tensorsToHost([
          ["a", a],
          ["b", b],
        ]),
      ),
    ).toBe(expected);
  });

  test("of nothing: the file of eight bytes of length and an empty header", async () => {
    expect(await weightsSha256([])).toBe(createHash("sha256").update("\x08\0\0\0\0\0\0\0{}      ").digest("hex"));
  });

  test("sees names, dtypes, shapes and every bit", async () => {
    const variants: readonly (readonly [string, HostTensor])[] = [
      ["a", f32(0)],
      ["b", f32(0)],
      ["a", f32(-0)],
      ["a", { dtype: "F32", shape: [], data: Float32Array.of(0) }],
      ["a", { dtype: "F32", shape: [1, 1], data: Float32Array.of(0) }],
      ["a", { dtype: "I32", shape: [1], data: Int32Array.of(0) }],
    ];
    const hashes = await Promise.all(variants.map((variant) => weightsSha256([variant])));
    expect(new Set(hashes).size).toBe(variants.length);
  });

  test("says so where there is no Web Crypto", async () => {
    vi.stubGlobal("crypto", undefined);
    await expect(weightsSha256([])).rejects.toMatchObject({ name: "CheckpointError", code: "checkpoint-unsupported" });
    vi.stubGlobal("crypto", {});
    await expect(weightsSha256([])).rejects.toMatchObject({ code: "checkpoint-unsupported" });
  });
});
