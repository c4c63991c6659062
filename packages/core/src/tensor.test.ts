import { beforeEach, describe, expect, test } from "vitest";
import {
  ArgumentError,
  type Backend,
  batchNorm,
  concat,
  conv2d,
  crossEntropy,
  DisposedError,
  DTypeError,
  GradientError,
  memoryUsage,
  ones,
  ShapeError,
  type Tensor,
  tensor,
  UnsupportedError,
  valueAndGrad,
  zeros,
} from "./index.js";
import { alteredBackend } from "./testing/altered-backend.js";
import { createMinimalBackend } from "./testing/minimal-backend.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createMinimalBackend();
});
const vector = (...values: number[]): Tensor => tensor(values, { backend });

describe("reading", () => {
  test("data, item, toArray, dataSync", async () => {
    const x = tensor(
      [
        [1, 2],
        [3, 4],
      ],
      { backend },
    );
    expect(await x.data()).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(x.dataSync()).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(await x.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(await x.sum().item()).toBe(10);
    expect([x.rank, x.size, x.backend]).toEqual([2, 4, backend]);
  });

  test("without elements", async () => {
    const x = zeros([2, 0], { backend, dtype: "int32" });
    expect(await x.data()).toEqual(new Int32Array(0));
    expect(x.dataSync()).toEqual(new Int32Array(0));
    expect(await x.toArray()).toEqual([[], []]);
  });

  test("as text", async () => {
    const x = tensor([[1, 2.5]], { backend });
    const text = "float32 [1, 2] on minimal\n[[ 1., 2.5]]";
    expect(`${x}`).toBe(text);
    expect(await x.format()).toBe(text);
    expect(await x.format({ precision: 1 })).toContain("[[1., 3.]]");
    expect((await import("node:util")).inspect(x)).toBe(text);
    x.dispose();
    expect(`${x}`).toBe("float32 [1, 2] on minimal (disposed)");
  });

  test("where the backend reads asynchronously only", () => {
    const asynchronous = alteredBackend(backend, { caps: { syncRead: false } });
    const x = ones([2], { backend: asynchronous });
    expect(() => x.dataSync()).toThrow(UnsupportedError);
    expect(`${x}`).toBe("float32 [2] on minimal");
  });

  test("item refuses several elements", async () => {
    await expect(vector(1, 2).item()).rejects.toThrow(/^item: the tensor is \[2\], expected one element/);
  });
});

describe("dispose", () => {
  test("frees once, whoever calls it how often", () => {
    const x = vector(1);
    const y = x.detach();
    x.dispose();
    x[Symbol.dispose]();
    expect([x.isDisposed, y.isDisposed]).toEqual([true, false]);
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1, bytes: 4 });
    y.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
  });

  test("at the end of a block, by using", () => {
    {
      using x = vector(1);
      expect(x.isDisposed).toBe(false);
    }
    expect(memoryUsage(backend).tensors).toBe(0);
  });

  test("takes the gradient along", () => {
    const x = vector(2).setRequiresGrad(true);
    x.square().backward();
    const { grad } = x;
    x.dispose();
    expect(grad?.isDisposed).toBe(true);
  });

  test("a view keeps the storage", async () => {
    const x = vector(1, 2);
    const y = x.reshape([2, 1]);
    expect(memoryUsage(backend)).toMatchObject({ tensors: 2, storages: 1 });
    x.dispose();
    expect(await y.toArray()).toEqual([[1], [2]]);
  });

  test.each<[string, (x: Tensor, y: Tensor) => unknown, RegExp]>([
    ["a unary op", (x) => x.exp(), /^exp: x \(float32 \[2, 2\]\) was disposed/],
    ["a binary op", (x, y) => y.add(x), /^add: b \(/],
    ["a binary op with a number", (x) => x.mul(2), /^mul: a \(/],
    ["a number and a tensor", (x) => x.fullLike(2), /^fullLike: x \(/],
    ["a comparison", (x) => x.gt(1), /^gt: a \(/],
    ["where", (x, y) => y.gt(0).where(y, x), /^where: b \(/],
    ["a reduction", (x) => x.max(), /^max: x \(/],
    ["mean", (x) => x.mean(), /^mean: x \(/],
    ["argmax", (x) => x.argmax(), /^argmax: x \(/],
    ["reshape", (x) => x.reshape([4]), /^reshape: x \(/],
    ["an idle permute", (x) => x.permute([0, 1]), /^permute: x \(/],
    ["an idle slice", (x) => x.slice({}), /^slice: x \(/],
    ["an idle pad", (x) => x.pad({ before: [0, 0], after: [0, 0] }), /^pad: x \(/],
    ["an idle cast", (x) => x.cast("float32"), /^cast: x \(/],
    ["matmul", (x, y) => y.matmul(x), /^matmul: b \(/],
    ["linear", (x, y) => y.linear(x), /^linear: weight \(/],
    ["concat", (x, y) => concat([y, x], 0), /^concat: tensor 1 \(/],
    ["conv2d", (x, y) => conv2d(y.reshape([1, 1, 2, 2]), x.reshape([1, 1, 2, 2])), /^reshape: x \(/],
    ["batchNorm", (x, y) => batchNorm(x, { weight: y, training: true }), /^batchNorm: x \(/],
    ["gelu", (x) => x.gelu(), /^gelu: x \(/],
    ["softmax", (x) => x.softmax(), /^softmax: x \(/],
    ["crossEntropy", (x, y) => crossEntropy(x, y.sum(1).cast("int32")), /^crossEntropy: logits \(/],
    ["data", (x) => x.dataSync(), /^dataSync: the tensor \(/],
    ["detach", (x) => x.detach(), /^detach: the tensor \(/],
    ["assign", (x, y) => x.assign(y), /^assign: the tensor \(/],
    ["assign of it", (x, y) => y.assign(x), /^assign: value \(/],
    ["setRequiresGrad", (x) => x.setRequiresGrad(true), /^setRequiresGrad: the tensor \(/],
  ])("after it %s throws", (_name, use, message) => {
    const [x, y] = [ones([2, 2], { backend }), ones([2, 2], { backend })];
    x.dispose();
    expect(() => use(x, y)).toThrow(DisposedError);
    expect(() => use(x, y)).toThrow(message);
  });

  test("after it reading rejects", async () => {
    const x = vector(1);
    x.dispose();
    for (const read of [() => x.data(), () => x.item(), () => x.toArray(), () => x.format()])
      await expect(read()).rejects.toThrow(DisposedError);
  });
});

describe("assign", () => {
  test("rebinds this handle only, and shares the storage", async () => {
    const [x, y] = [vector(1, 2), vector(3, 4)];
    const before = x.detach();
    x.assign(y);
    y.dispose();
    expect([await x.toArray(), await before.toArray()]).toEqual([
      [3, 4],
      [1, 2],
    ]);
    before.dispose();
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
  });

  test("to itself changes nothing", async () => {
    const x = vector(1, 2);
    x.assign(x);
    expect(await x.toArray()).toEqual([1, 2]);
  });

  test("what was recorded keeps the old elements", async () => {
    const x = vector(3).setRequiresGrad(true);
    const y = x.square();
    x.assign(vector(100));
    y.backward();
    expect(await x.grad?.toArray()).toEqual([6]);
    expect(x.requiresGrad).toBe(true);
  });

  test("inside a function that is differentiated", async () => {
    const x = vector(3);
    const { grads } = valueAndGrad(() => {
      const y = x.square();
      x.assign(vector(5));
      return y.add(x.square());
    }, [x]);
    expect(await grads[0]?.toArray()).toEqual([2 * 3 + 2 * 5]);
  });

  test("refuses other shapes, dtypes and backends, and results of recorded ops", async () => {
    const x = vector(1, 2);
    expect(() => x.assign(vector(1))).toThrow(/^assign: value is \[1\], the tensor \[2\]/);
    expect(() => x.assign(vector(1))).toThrow(ShapeError);
    expect(() => x.assign(x.cast("int32"))).toThrow(DTypeError);
    expect(() => x.assign(ones([2], { backend: alteredBackend(backend, {}) }))).toThrow(ArgumentError);
    expect(() => x.setRequiresGrad(true).mul(2).assign(x)).toThrow(GradientError);
  });
});

describe("setRequiresGrad", () => {
  test("makes a leaf, and a constant again", () => {
    const x = vector(1);
    expect(x.setRequiresGrad(true)).toBe(x);
    expect(x.mul(2).requiresGrad).toBe(true);
    expect(x.setRequiresGrad(false).mul(2).requiresGrad).toBe(false);
    x.dispose();
  });

  test("refuses integers and results of recorded ops", () => {
    expect(() => tensor([1], { backend, dtype: "int32" }).setRequiresGrad(true)).toThrow(DTypeError);
    const y = vector(1).setRequiresGrad(true).mul(2);
    expect(y.setRequiresGrad(true)).toBe(y);
    expect(() => y.setRequiresGrad(false)).toThrow(GradientError);
  });

  test("detach and integers cut the history, casts to floats do not", () => {
    const x = vector(1).setRequiresGrad(true);
    expect(x.detach().requiresGrad).toBe(false);
    expect(x.cast("int32").requiresGrad).toBe(false);
    expect(x.cast("float64").requiresGrad).toBe(true);
    expect(x.gt(0).requiresGrad).toBe(false);
  });
});
