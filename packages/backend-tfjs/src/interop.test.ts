import { conv2d, randn, tensor, zeros } from "@striate/core";
import { ArgumentError, DisposedError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createTfjsBackend } from "./index.js";
import { fromTfjs, toTfjs } from "./interop.js";
import { tf } from "./testing/tfjs.js";

const dataIds = (name: string): number => (tf.engine().registry[name] as { numDataIds(): number }).numDataIds();

describe.each(["cpu", "wasm"])("on %s", (name) => {
  test("there and back without a copy, each disposed on its own", async () => {
    await tf.setBackend(name);
    const backend = await createTfjsBackend({ backend: name });
    const [tensors, buffers, ids] = [tf.memory().numTensors, tf.memory().numDataBuffers, dataIds(name)];
    const t = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    const x = fromTfjs(t, { backend });
    expect(dataIds(name)).toBe(ids + 1);
    expect([x.shape, x.dtype, await x.toArray()]).toEqual([
      [2, 3],
      "float32",
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ]);
    t.dispose();
    const doubled = x.mul(2);
    const back = toTfjs<tf.Tensor>(doubled);
    expect(dataIds(name)).toBe(ids + 2);
    x.dispose();
    doubled.dispose();
    expect(await back.array()).toEqual([
      [2, 4, 6],
      [8, 10, 12],
    ]);
    back.dispose();
    expect([tf.memory().numTensors, tf.memory().numDataBuffers, dataIds(name)]).toEqual([tensors, buffers, ids]);
  });

  test("images in tfjs's order", async () => {
    await tf.setBackend(name);
    const backend = await createTfjsBackend({ backend: name });
    const t = tf.tensor4d([1, 10, 2, 20, 3, 30, 4, 40], [1, 2, 2, 2]);
    const x = fromTfjs(t, { backend, layout: "NHWC" });
    expect(await x.toArray()).toEqual([
      [
        [
          [1, 2],
          [3, 4],
        ],
        [
          [10, 20],
          [30, 40],
        ],
      ],
    ]);
    const y = conv2d(x, tensor([1, 1], { backend, shape: [1, 2, 1, 1] }));
    const ids = dataIds(name);
    const back = toTfjs<tf.Tensor>(y, { layout: "NHWC" });
    expect(dataIds(name)).toBe(ids);
    expect([back.shape, await back.data()]).toEqual([[1, 2, 2, 1], Float32Array.of(11, 22, 33, 44)]);
    for (const disposable of [t, x, y, back]) disposable.dispose();
  });

  test("tidy scopes dispose what passed into tfjs", async () => {
    const backend = await createTfjsBackend({ backend: name });
    const x = randn([3], { backend, seed: 1 });
    const ids = dataIds(name);
    tf.tidy(() => void toTfjs(x));
    expect(dataIds(name)).toBe(ids);
    expect((await x.data()).length).toBe(3);
    x.dispose();
  });

  test("int32 and bool pass too; bytes arrive as int32", async () => {
    const backend = await createTfjsBackend({ backend: name });
    await tf.setBackend(name);
    const flags = fromTfjs(tf.tensor1d([true, false]), { backend });
    expect([flags.dtype, await flags.toArray()]).toEqual(["bool", [1, 0]]);
    const bytes = toTfjs<tf.Tensor>(tensor(Uint8Array.of(1, 255), { backend }));
    expect([bytes.dtype, await bytes.data()]).toEqual(["int32", Int32Array.of(1, 255)]);
  });
});

test("a tensor of another of tfjs's backends is copied", async () => {
  await tf.setBackend("cpu");
  const backend = await createTfjsBackend({ backend: "wasm" });
  const t = tf.tensor1d([1, 2, 3]);
  const x = fromTfjs(t, { backend });
  t.dispose();
  expect(await x.toArray()).toEqual([1, 2, 3]);
});

test("data that tfjs moved to another of its backends comes back", async () => {
  const backend = await createTfjsBackend({ backend: "wasm" });
  const ids = [dataIds("wasm"), dataIds("cpu")];
  await tf.setBackend("cpu");
  const x = tensor([1, 2, 3], { backend });
  const t = toTfjs<tf.Tensor>(x);
  const sum = tf.add(t, 1);
  expect(await sum.data()).toEqual(Float32Array.of(2, 3, 4));
  const y = x.add(10);
  expect(await y.toArray()).toEqual([11, 12, 13]);
  for (const disposable of [t, sum, x, y]) disposable.dispose();
  expect([dataIds("wasm"), dataIds("cpu")]).toEqual(ids);
});

test("bad input is refused", async () => {
  const backend = await createTfjsBackend({ backend: "cpu" });
  const gone = tf.tensor1d([1]);
  gone.dispose();
  expect(() => fromTfjs(gone, { backend })).toThrow(DisposedError);
  expect(() => fromTfjs(tf.tensor1d(["a"]), { backend })).toThrow("fromTfjs: the tfjs tensor is string, expected");
  expect(() => fromTfjs(tf.tensor1d([1]), { backend, layout: "NHWC" })).toThrow(ArgumentError);
  const x = tensor([1, 2], { backend });
  expect(() => toTfjs(x, { layout: "NHWC" })).toThrow("toTfjs: [2] is no image [N, C, H, W]");
  x.dispose();
  expect(() => toTfjs(x)).toThrow(DisposedError);
  expect(() => toTfjs(zeros([0], { backend }))).toThrow(ArgumentError);
});
