import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, memoryUsage, type Tensor, tensor } from "@striate/core";
import { beforeEach, describe, expect, test } from "vitest";
import type { HostTensor } from "./host-tensor.js";
import { type LoadWeightsOptions, loadWeights } from "./index.js";
import type { TensorReader } from "./tensor-reader.js";

let backend: Backend;
let state: Map<string, Tensor>;
beforeEach(async () => {
  backend = await createCpuBackend();
  state = new Map([
    ["conv.weight", tensor([1, 2], { backend, requiresGrad: true })],
    ["conv.bias", tensor([3], { backend, requiresGrad: true })],
    ["bn.num_batches_tracked", tensor(4, { backend, dtype: "int32" })],
    ["fc.weight", tensor([5], { backend, requiresGrad: true })],
  ]);
});
const module = { stateDict: () => state };

const f32 = (...values: number[]): HostTensor => ({
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const count = (value: bigint): HostTensor => ({ dtype: "I64", shape: [], data: BigInt64Array.of(value) });
const weights = (): Map<string, HostTensor> =>
  new Map([
    ["fc.weight", f32(50)],
    ["conv.weight", f32(10, 20)],
    ["conv.bias", f32(30)],
    ["bn.num_batches_tracked", count(40n)],
  ]);
const values = (): Record<string, number[]> =>
  Object.fromEntries([...state].map(([name, value]) => [name, [...value.dataSync()]]));
const before = { "conv.weight": [1, 2], "conv.bias": [3], "bn.num_batches_tracked": [4], "fc.weight": [5] };
const after = { "conv.weight": [10, 20], "conv.bias": [30], "bn.num_batches_tracked": [40], "fc.weight": [50] };
const renamed = (rename: (name: string) => string): Map<string, HostTensor> =>
  new Map([...weights()].map(([name, value]) => [rename(name), value]));

/** The weights do not fit: the message, with nothing changed and nothing left on the backend. */
const refusal = async (given: Map<string, HostTensor>, options?: LoadWeightsOptions): Promise<string> => {
  const usage = memoryUsage(backend);
  const error = await loadWeights(module, given, options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ArgumentError);
  expect(values()).toEqual(before);
  expect({ ...memoryUsage(backend), peakBytes: 0 }).toEqual({ ...usage, peakBytes: 0 });
  return (error as Error).message;
};

describe("loadWeights", () => {
  test("all of them, by name; the handles stay trainable, nothing is left over", async () => {
    const usage = memoryUsage(backend);
    expect(await loadWeights(module, weights())).toEqual({
      loaded: ["conv.weight", "conv.bias", "bn.num_batches_tracked", "fc.weight"],
      missing: [],
      unexpected: [],
      skipped: [],
    });
    expect(values()).toEqual(after);
    expect(state.get("conv.bias")?.requiresGrad).toBe(true);
    expect({ ...memoryUsage(backend), peakBytes: 0 }).toEqual({ ...usage, peakBytes: 0 });
  });

  test("one tensor at a time from a reader, floats last, with one buffer", async () => {
    const given = weights();
    const asked: string[] = [];
    const buffers = new Set<ArrayBuffer | undefined>();
    const reader: TensorReader = {
      tensors: given,
      read: async (name, buffer) => {
        asked.push(name);
        if (given.get(name)?.dtype === "F32") buffers.add(buffer);
        return given.get(name) as HostTensor;
      },
    };
    await loadWeights(module, reader);
    expect(asked).toEqual(["bn.num_batches_tracked", "conv.weight", "conv.bias", "fc.weight"]);
    expect([...buffers].map((buffer) => buffer?.byteLength)).toEqual([8]);
    expect(values()).toEqual(after);
  });

  test.each<[string, HostTensor]>([
    ["F64", { dtype: "F64", shape: [1], data: Float64Array.of(50) }],
    ["F16", { dtype: "F16", shape: [1], data: Uint16Array.of(0x5240) }],
    ["BF16", { dtype: "BF16", shape: [1], data: Uint16Array.of(0x4248) }],
  ])("%s becomes the module's float32", async (_, fc) => {
    await loadWeights(module, weights().set("fc.weight", fc));
    expect(values()).toEqual(after);
  });

  test("into float64", async () => {
    const w = tensor(Float64Array.of(0), { backend });
    await loadWeights({ stateDict: () => [["w", w]] }, [["w", f32(0.5)]]);
    expect(w.dtype).toBe("float64");
    expect([...w.dataSync()]).toEqual([0.5]);
  });

  test("strict: what is missing, what is too much, all of it", async () => {
    const given = weights();
    given.delete("conv.bias");
    given.set("conv.bais", f32(1)).set("fc.weight", f32(1, 2));
    expect(await refusal(given)).toBe(
      "loadWeights: the weights do not fit the module\n" +
        '  1 missing: "conv.bias" (is it "conv.bais"?)\n' +
        '  1 unexpected: "conv.bais"\n' +
        '  "fc.weight" is F32 [2], expected F32 [1]',
    );
  });

  test("not strict: names may differ, shapes may not", async () => {
    const given = weights();
    given.delete("conv.bias");
    given.set("other", f32(1));
    expect(await loadWeights(module, given, { strict: false })).toMatchObject({
      missing: ["conv.bias"],
      unexpected: ["other"],
    });
    expect(values()).toEqual({ ...after, "conv.bias": [3] });
  });

  test("not strict: the message names only what is wrong then", async () => {
    const given = weights().set("other", f32(1)).set("fc.weight", f32(1, 2));
    expect(await refusal(given, { strict: false })).toBe(
      'loadWeights: the weights do not fit the module\n  "fc.weight" is F32 [2], expected F32 [1]',
    );
  });

  test("prefix: those of a part, without it", async () => {
    const given = renamed((name) => `model.${name}`).set("optimizer.lr", f32(1));
    expect(await refusal(weights(), { prefix: "model." })).toContain(
      'no name begins with "model."; the first is "fc.weight"',
    );
    expect(await refusal(renamed((name) => `model.${name}`))).toContain('{ prefix: "model." } takes it away');
    await loadWeights(module, given, { prefix: "model." });
    expect(values()).toEqual(after);
  });

  test("rename, after the prefix", async () => {
    const given = renamed((name) => `m.${name.replace("conv", "c")}`);
    await loadWeights(module, given, { prefix: "m.", rename: (name) => name.replace(/^c\./, "conv.") });
    expect(values()).toEqual(after);
  });

  test("two names that become one", async () => {
    expect(await refusal(weights(), { rename: () => "x" })).toBe(
      'loadWeights: "fc.weight" and "conv.weight" both become "x"',
    );
  });

  test("skip: a new head stays, whatever the weights have for it", async () => {
    const skip = (name: string): boolean => name.startsWith("fc.");
    const given = weights()
      .set("fc.weight", f32(1, 2, 3))
      .set("fc.bias", f32(1));
    expect(await loadWeights(module, given, { skip })).toMatchObject({ skipped: ["fc.weight"], unexpected: [] });
    expect(values()).toEqual({ ...after, "fc.weight": [5] });
  });

  test("an integer beyond int32: nothing is changed", async () => {
    expect(await refusal(weights().set("bn.num_batches_tracked", count(2n ** 40n)))).toContain("beyond int32");
  });

  test("what the reader throws before any float comes out with nothing changed", async () => {
    const mine = new Error("mine");
    await expect(loadWeights(module, { tensors: weights(), read: () => Promise.reject(mine) })).rejects.toBe(mine);
    expect(values()).toEqual(before);
  });

  test("no weights at all", async () => {
    expect(await refusal(new Map())).toContain("4 missing");
  });
});
