import { conv2d, maxPool2d, memoryUsage, randn, scope, type Tensor, tensor, valueAndGrad } from "@striate/core";
import { ArgumentError, DisposedError, IndexError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createTfjsBackend, type TfjsBackend } from "./index.js";
import { globalState, tf } from "./testing/tfjs.js";

const names = ["cpu", "wasm"] as const;

/** tfjs's own count of what is allocated on its instance of a backend: no engine in between. */
const dataIds = (name: string): number => (tf.engine().registry[name] as { numDataIds(): number }).numDataIds();

const image = (backend: TfjsBackend, shape: readonly number[], seed: number): Tensor => randn(shape, { backend, seed });

/** One pass forward and backward through what has layouts of its own. */
const step = (backend: TfjsBackend): Promise<number> => {
  const loss = scope(() => {
    const x = image(backend, [2, 3, 6, 6], 1);
    const w = image(backend, [4, 3, 3, 3], 2).setRequiresGrad(true);
    const b = image(backend, [4], 3).setRequiresGrad(true);
    const f = (): Tensor =>
      maxPool2d(conv2d(x, w, { bias: b, padding: 1 }).relu(), { kernel: 2 })
        .flatten(1)
        .sum();
    return valueAndGrad(f, [w, b]).value;
  });
  return loss.item().finally(() => loss.dispose());
};

describe("createTfjsBackend", () => {
  test.each([["cuda"], [""], ["__proto__"], ["webgl"]])("says what tfjs has where it has no %j", async (backend) => {
    await expect(createTfjsBackend({ backend })).rejects.toThrow(ArgumentError);
    await expect(createTfjsBackend({ backend })).rejects.toThrow(
      `tfjs has no backend ${JSON.stringify(backend)} here, it has cpu, wasm`,
    );
  });

  test("takes the tfjs that it is given", async () => {
    const asked: string[] = [];
    const own = new Proxy(tf, {
      get: (target, key, receiver) => {
        asked.push(String(key));
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
    await createTfjsBackend({ backend: "cpu", tf: own });
    expect(asked).toContain("engine");
  });

  test("several are made at once, of one instance of tfjs's backend", async () => {
    const backends = await Promise.all(
      names.flatMap((backend) => [createTfjsBackend({ backend }), createTfjsBackend({ backend })]),
    );
    expect(new Set(backends).size).toBe(4);
    const losses = await Promise.all(backends.map(step));
    expect(losses[0]).toBeCloseTo(losses[2] as number, 3);
    expect(losses[1]).toBe(losses[0]);
    expect(losses[3]).toBe(losses[2]);
  });

  test("calls on several interleave, within a tidy scope and on a tape of the application's", async () => {
    const [cpu, wasm] = await Promise.all(names.map((backend) => createTfjsBackend({ backend })));
    await tf.setBackend("cpu");
    const outside = tf.memory().numTensors;
    const [a, b] = [tensor([1, 2], { backend: cpu as TfjsBackend }), tensor([3, 4], { backend: wasm as TfjsBackend })];
    const sums: Tensor[] = [];
    const gradient = tf.tidy(() =>
      tf.grad((x) => {
        sums.push(a.add(1), b.add(1));
        return tf.customGrad((v) => ({ value: tf.mul(v as never, 1), gradFunc: (dy) => tf.mul(dy, 6) }))(x);
      })(tf.scalar(3)),
    );
    expect(await gradient.data()).toEqual(Float32Array.of(6));
    gradient.dispose();
    expect(await Promise.all(sums.map((t) => t.toArray()))).toEqual([
      [2, 3],
      [4, 5],
    ]);
    for (const t of [a, b, ...sums]) t.dispose();
    expect(tf.memory().numTensors).toBe(outside);
  });
});

describe.each(names)("on tfjs:%s", (name) => {
  test("tfjs is left as it was", async () => {
    await tf.setBackend(name === "cpu" ? "wasm" : "cpu");
    const before = globalState();
    const backend = await createTfjsBackend({ backend: name });
    expect(globalState()).toEqual(before);
    await step(backend);
    expect(globalState()).toEqual(before);
    backend.dispose();
    expect(globalState()).toEqual(before);
  });

  test("nothing is left behind: by creation, by steps, by calls that fail", async () => {
    const backend = await createTfjsBackend({ backend: name });
    const before = dataIds(name);
    await createTfjsBackend({ backend: name });
    expect(dataIds(name)).toBe(before);
    for (let i = 0; i < 3; i++) await step(backend);
    expect(dataIds(name)).toBe(before);
    const x = tensor([1, 2, 3], { backend });
    const index = tensor(Int32Array.of(3), { backend });
    expect(() => x.gather(0, index)).toThrow(new IndexError("gather: index 3 is outside [0, 3)"));
    const negative = tensor(Int32Array.of(-1), { backend });
    expect(() => x.scatterAdd(0, negative, tensor([1], { backend }))).toThrow(IndexError);
    backend.dispose();
    expect(dataIds(name)).toBe(before);
  });

  test("NaN is NaN with its sign bit too, as Infinity - Infinity has it on x86", async () => {
    const backend = await createTfjsBackend({ backend: name });
    const x = tensor(new Float32Array(Int32Array.of(-1 << 22).buffer), { backend });
    for (const y of [x.relu(), x.clamp({ min: -1, max: 1 }), x.maximum(0), x.sign()])
      expect(await y.toArray()).toEqual([Number.NaN]);
    backend.dispose();
  });

  test("dispose frees what is left, leaves tfjs's instance in use, and ends the rest", async () => {
    const before = dataIds(name === "cpu" ? "cpu" : "wasm");
    const [backend, other] = [await createTfjsBackend({ backend: name }), await createTfjsBackend({ backend: name })];
    const x = tensor([1, 2], { backend });
    const y = tensor([3, 4], { backend: other });
    backend.dispose();
    backend.dispose();
    expect(() => x.add(1)).toThrow(DisposedError);
    await expect(x.data()).rejects.toThrow(DisposedError);
    expect(await y.toArray()).toEqual([3, 4]);
    y.dispose();
    expect(dataIds(name)).toBe(before);
  });

  test("views share data, and images are laid out anew only where an op needs it", async () => {
    const backend = await createTfjsBackend({ backend: name });
    const before = dataIds(name);
    const x = image(backend, [2, 3, 4, 4], 1);
    const w = image(backend, [5, 3, 1, 1], 2);
    const y = conv2d(x, w);
    const z = y.relu().reshape([2, 80]);
    // x and w in two layouts each, y and its rectified values in tfjs's.
    expect(dataIds(name) - before).toBe(6);
    const back = z.reshape([2, 5, 4, 4]);
    expect(memoryUsage(backend).storages).toBe(4);
    back.dispose();
    backend.dispose();
    expect(dataIds(name)).toBe(before);
  });

  test("report: every row says what is done, and why not by tfjs", async () => {
    const rows = (await createTfjsBackend({ backend: name })).report();
    expect(rows.filter(({ status }) => status === "wrong")).toEqual([]);
    const of = (op: string) => rows.find((row) => row.op === op);
    expect(of("conv2d")).toEqual({ op: "conv2d", dtype: "float32", kernel: "Conv2D", status: "native" });
    expect(of("argReduce.argmax")).toMatchObject({
      status: "composed",
      reason: { kind: "wrong", code: 'tf.argMax(tf.tensor1d([1, NaN, 3], "float32"))', expected: "1", got: "2" },
    });
    if (name === "wasm") {
      expect(of("conv2dGradWeight")).toMatchObject({ status: "composed", reason: { kind: "missing" } });
      expect(of("maxPool2dGrad")).toMatchObject({
        status: "host",
        reason: { kind: "wrong", expected: "[0, 5, 0, 0]", got: "[5, 0, 0, 0]" },
      });
    } else expect(of("conv2dGradWeight")).toMatchObject({ status: "composed", reason: { kind: "passed over" } });
  });

  test("preferOwn: the same gradients by tfjs's kernels where they are right", async () => {
    const gradients = async (preferOwn: boolean): Promise<number[]> => {
      const backend = await createTfjsBackend({ backend: name, preferOwn });
      const x = image(backend, [1, 2, 5, 5], 1).setRequiresGrad(true);
      const w = image(backend, [2, 2, 3, 3], 2).setRequiresGrad(true);
      const { grads } = valueAndGrad(() => conv2d(x, w, { padding: 1 }).square().sum(), [x, w]);
      return (await Promise.all(grads.map((g) => g.data()))).flatMap((values) => [...values]);
    };
    const [own, composed] = [await gradients(true), await gradients(false)];
    for (const [i, value] of own.entries()) expect(Math.abs(value - (composed[i] as number))).toBeLessThan(1e-3);
  });

  test("a thousand training steps leave as many tensors as there were", { timeout: 60_000 }, async () => {
    const backend = await createTfjsBackend({ backend: name });
    await step(backend);
    const before = [dataIds(name), tf.memory().numTensors, memoryUsage(backend).storages];
    for (let i = 0; i < 1000; i++) await step(backend);
    expect([dataIds(name), tf.memory().numTensors, memoryUsage(backend).storages]).toEqual(before);
  });
});

/** A tfjs whose backend has other kernels under some names. */
const withKernels = async (replaced: Readonly<Record<string, unknown>>): Promise<ReturnType<TfjsBackend["report"]>> => {
  const altered = new Proxy(tf, {
    get: (target, key) =>
      key === "getKernel"
        ? (kernel: string, backend: string) =>
            kernel in replaced ? replaced[kernel] : target.getKernel(kernel, backend)
        : (Reflect.get(target, key) as unknown),
  });
  return (await createTfjsBackend({ backend: "wasm", tf: altered })).report();
};

/** A backend of tfjs as far as data is concerned. */
interface Memory {
  write(values: unknown, shape: readonly number[], dtype: string): object;
  readSync(dataId: object): unknown;
}

describe("probes, not names, decide", () => {
  test("a max pool and its gradient that are right are used", async () => {
    // tfjs's CPU kernels, made right about NaN, in place of those of WebAssembly.
    const cpu = (kernel: string, fix?: (x: Float32Array, y: Float32Array) => void) => ({
      kernelFunc: ({ inputs, attrs, backend }: { inputs: Record<string, never>; attrs: never; backend: never }) => {
        const host = tf.engine().registry["cpu"] as unknown as Memory;
        const wasm = backend as unknown as Memory;
        const moved = Object.fromEntries(
          Object.entries(inputs as Record<string, tf.TensorInfo>).map(([key, t]) => [
            key,
            { ...t, dataId: host.write(wasm.readSync(t.dataId), t.shape, t.dtype) },
          ]),
        );
        const output = tf.getKernel(kernel, "cpu").kernelFunc({ inputs: moved as never, attrs, backend: host });
        return [output].flat().map((t) => {
          const values = host.readSync(t.dataId) as Float32Array;
          fix?.(host.readSync((moved["x"] as tf.TensorInfo).dataId) as Float32Array, values);
          return { ...t, dataId: wasm.write(values, t.shape, t.dtype) };
        })[kernel === "MaxPoolWithArgmax" ? (undefined as never) : 0];
      },
    });
    await createTfjsBackend({ backend: "cpu" });
    const nanAnywhere = (x: Float32Array, y: Float32Array): void => {
      if (y.length === 1 && x.some(Number.isNaN)) y[0] = Number.NaN;
    };
    const rows = await withKernels({ MaxPool: cpu("MaxPool", nanAnywhere), MaxPoolGrad: cpu("MaxPoolGrad") });
    expect(rows.find(({ op }) => op === "maxPool2dGrad")?.reason).toBeUndefined();
  });

  test("a kernel that is missing, wrong or throws is replaced", async () => {
    const broken = {
      kernelFunc: () => {
        throw new Error("out of order");
      },
    };
    const rows = await withKernels({
      FusedConv2D: undefined,
      FusedBatchNorm: broken,
      Relu: tf.getKernel("Neg", "wasm"),
    });
    const of = (op: string) => rows.find((row) => row.op === op);
    expect(of("conv2d.bias")).toMatchObject({ status: "composed", reason: { kind: "missing" } });
    expect(of("batchNorm")).toMatchObject({
      status: "composed",
      reason: { kind: "wrong", got: "an error: out of order" },
    });
    expect(of("unary.relu")).toMatchObject({ status: "composed", reason: { kind: "wrong" } });
  });
});
