import {
  type Backend,
  crossEntropy,
  maxPool2dWithIndices,
  randn,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@striate/core";
import { IndexError, UnsupportedError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createTfjsBackend, type TfjsBackend } from "./index.js";
import { registerRemote } from "./testing/remote.js";
import { tf } from "./testing/tfjs.js";

const create = (): Promise<TfjsBackend> => createTfjsBackend({ backend: registerRemote() });
const dataIds = (): number => (tf.engine().registry["remote"] as { numDataIds(): number }).numDataIds();

test("a backend that reads asynchronously says so", async () => {
  const backend = await create();
  expect(backend.caps).toMatchObject({ syncRead: false, precision: "glsl", floatBits: 32, integerBits: 31 });
  expect(backend.readSync).toBeUndefined();
  expect(() => tensor([1], { backend }).dataSync()).toThrow(UnsupportedError);
});

test("nothing loops on the host", async () => {
  expect((await create()).report().filter(({ status }) => status === "host")).toEqual([]);
});

describe("indices that only a read can tell to be wrong", () => {
  test("the next read throws, once, and nothing is left", async () => {
    const backend = await create();
    const before = dataIds();
    const x = tensor([1, 2, 3], { backend });
    // Not from the host: nobody knows its range.
    const index = tensor(Int32Array.of(2, 3), { backend }).add(1);
    const y = x.gather(0, index);
    await expect(y.data()).rejects.toThrow(new IndexError("gather: index 4 is outside [0, 3)"));
    expect(await x.toArray()).toEqual([1, 2, 3]);
    x.gather(0, index);
    await expect(backend.sync()).rejects.toThrow(IndexError);
    backend.dispose();
    expect(dataIds()).toBe(before);
  });

  test("labels from the host are checked at once", async () => {
    const backend = await create();
    const logits = randn([2, 3], { backend, seed: 1 });
    expect(() => crossEntropy(logits, tensor(Int32Array.of(0, 3), { backend }))).toThrow(IndexError);
  });
});

/** NaN, infinities, ties, all negative. */
const values = (count: number): number[] =>
  Array.from(
    { length: count },
    (_, i) => [-3, -1, -1, -2, 0, 0, Number.NaN, 5, Number.NEGATIVE_INFINITY][(i * 5) % 9] as number,
  );

describe("max pooling by pointwise kernels is max pooling by loops", () => {
  test.each([
    { kernel: 2 },
    { kernel: 3, stride: 2, padding: 1 },
    { kernel: [3, 2], stride: [1, 2], padding: [1, 0, 0, 1] },
    { kernel: 2, stride: 1, dilation: 2 },
    { kernel: 3, stride: 2, ceilMode: true },
  ] as const)("%j", async (options) => {
    const pool = async (backend: Backend): Promise<unknown[]> => {
      const x = tensor(values(2 * 3 * 6 * 7), { backend }).reshape([2, 3, 6, 7]);
      const { y, indices } = maxPool2dWithIndices(x, options);
      const weights = randn(y.shape, { backend, seed: 1 });
      const finite = tensor(
        values(2 * 3 * 6 * 7).map((v) => (Number.isFinite(v) ? v : -9)),
        { backend },
      )
        .reshape([2, 3, 6, 7])
        .setRequiresGrad(true);
      const { grads } = valueAndGrad(() => maxPool2dWithIndices(finite, options).y.mul(weights).sum(), [finite]);
      return Promise.all([y.data(), indices.data(), (grads[0] as Tensor).data()]);
    };
    const [remote, host] = [await pool(await create()), await pool(await createTfjsBackend({ backend: "cpu" }))];
    expect(remote[0]).toEqual(host[0]);
    expect(remote[1]).toEqual(host[1]);
    const [a, b] = [remote[2], host[2]] as [Float32Array, Float32Array];
    for (const [i, value] of a.entries()) expect(value).toBeCloseTo(b[i] as number, 5);
  });
});
