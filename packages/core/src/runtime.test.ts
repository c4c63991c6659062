import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { beforeEach, describe, expect, test } from "vitest";
import type { Call, LostInfo, OpName, OptionalKernel, TensorSpec } from "./backend.js";
import * as core from "./index.js";
import {
  ArgumentError,
  type Backend,
  BackendLostError,
  IndexError,
  KernelError,
  type Leak,
  memoryUsage,
  OutOfMemoryError,
  ones,
  reportLeaks,
  scope,
  type Tensor,
  tensor,
  UnsupportedError,
  valueAndGrad,
} from "./index.js";
import { alteredBackend } from "./testing/altered-backend.js";
import { createMinimalBackend } from "./testing/minimal-backend.js";

let minimal: Backend;
beforeEach(async () => {
  minimal = await createMinimalBackend();
});

/** A little of everything: decompositions, several outputs, a backward pass. */
const trainingStep = (backend: Backend): void => {
  scope(() => {
    const x = core.randn([2, 1, 4, 4], { backend, seed: 1 });
    const w = core.randn([3, 1, 2, 2], { backend, seed: 2, requiresGrad: true });
    const labels = tensor([0, 2], { backend, dtype: "int32" });
    return valueAndGrad(() => {
      const h = x.conv2d(w, { padding: 1 }).batchNorm({ training: true }).gelu().maxPool2d({ kernel: 2 });
      const logits = h.dropout({ p: 0.5, seed: 1 }).localResponseNorm({ size: 3 }).sum([2, 3]);
      return core.crossEntropy(logits, labels);
    }, [w]).value.shape;
  });
};

describe("memoryUsage", () => {
  test("counts handles, storages and bytes, and remembers the peak", () => {
    const backend = minimal;
    expect(memoryUsage(backend)).toEqual({ tensors: 0, storages: 0, bytes: 0, peakBytes: 0 });
    const x = ones([3], { backend });
    const y = ones([2], { backend, dtype: "bool" });
    const empty = ones([0, 5], { backend });
    expect(memoryUsage(backend)).toEqual({ tensors: 3, storages: 2, bytes: 14, peakBytes: 14 });
    for (const t of [x, y, empty]) t.dispose();
    expect(memoryUsage(backend)).toEqual({ tensors: 0, storages: 0, bytes: 0, peakBytes: 14 });
  });

  test("alloc and free come in pairs, however complicated the step", () => {
    const live = new Set<object>();
    const backend = alteredBackend(minimal, {
      alloc: (spec) => {
        const storage = minimal.alloc(spec);
        live.add(storage);
        return storage;
      },
      free: (storage) => {
        expect(live.delete(storage)).toBe(true);
        minimal.free(storage);
      },
    });
    trainingStep(backend);
    expect(live.size).toBe(0);
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
  });

  test("backends are counted apart", () => {
    ones([3], { backend: minimal });
    expect(memoryUsage(alteredBackend(minimal, {})).tensors).toBe(0);
  });
});

test("reportLeaks finds what the collector finds undisposed, and says where it was made", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const leaks: Leak[] = [];
  reportLeaks(minimal, (leak) => leaks.push(leak));
  const leakOne = (): void => {
    ones([7], { backend: minimal }).add(1).dispose();
  };
  leakOne();
  for (let i = 0; i < 50 && leaks.length === 0; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  expect(leaks).toHaveLength(1);
  expect(leaks[0]?.spec).toEqual({ shape: [7], dtype: "float32" });
  expect(leaks[0]?.stack).toContain("leakOne");
  reportLeaks(minimal, null);
});

describe("a kernel that throws", () => {
  const breaking = (op: OpName, error: unknown): Backend =>
    alteredBackend(minimal, {
      onKernel: (call) => {
        if (call.op === op) throw error;
      },
    });

  test("is reported with op and attributes, and its outputs are freed", () => {
    const cause = new RangeError("bad luck");
    const backend = breaking("reduce", cause);
    const x = ones([2, 3], { backend });
    const run = (): Tensor => x.sum(1);
    expect(run).toThrow(KernelError);
    expect(run).toThrow('reduce: kernel of backend minimal failed with attrs {"kind":"sum","axes":[1]}: bad luck');
    try {
      run();
    } catch (error) {
      expect(error).toMatchObject({ code: "kernel", op: "reduce", attrs: { kind: "sum", axes: [1] }, cause });
    }
    expect(memoryUsage(backend)).toMatchObject({ tensors: 1, storages: 1 });
  });

  test("keeps a typed error of its own", () => {
    const backend = breaking("gather", new IndexError("gather: 9"));
    const index = tensor([0], { backend, dtype: "int32" });
    expect(() => ones([1], { backend }).gather(0, index)).toThrow(IndexError);
  });

  test("wherever it is in a training step, nothing leaks", () => {
    let calls = 0;
    const counting = alteredBackend(minimal, { onKernel: () => void calls++ });
    trainingStep(counting);
    expect(calls).toBeGreaterThan(50);
    for (let fatal = 0; fatal < calls; fatal++) {
      let count = 0;
      const backend = alteredBackend(minimal, {
        onKernel: () => {
          if (count++ === fatal) throw new Error("stop");
        },
      });
      expect(() => trainingStep(backend)).toThrow(KernelError);
      expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
    }
  });

  test("a write and a read that fail are reported too", async () => {
    const backend = alteredBackend(minimal, {
      write: () => {
        throw new Error("no copy");
      },
      read: () => Promise.reject(new Error("no read")),
    });
    expect(() => tensor([1], { backend })).toThrow(/^tensor: kernel of backend minimal failed .*: no copy/);
    expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0 });
    await expect(ones([1], { backend }).data()).rejects.toThrow(/^data: kernel of backend minimal failed .*: no read/);
  });
});

describe("memory that runs out", () => {
  test("is reported, leaks nothing, and the backend goes on", () => {
    let calls = 0;
    const counting = (spec: TensorSpec): object => {
      calls++;
      return minimal.alloc(spec);
    };
    trainingStep(alteredBackend(minimal, { alloc: counting }));
    for (let fatal = 0; fatal < calls; fatal++) {
      let count = 0;
      const backend = alteredBackend(minimal, {
        alloc: (spec) => {
          if (count++ === fatal) throw new OutOfMemoryError("minimal", 8, "full");
          return minimal.alloc(spec);
        },
      });
      expect(() => trainingStep(backend)).toThrow("backend minimal could not allocate 8 bytes: full");
      expect(memoryUsage(backend)).toMatchObject({ tensors: 0, storages: 0, bytes: 0 });
      expect(() => trainingStep(backend)).not.toThrow();
    }
  });

  test("running statistics move together or not at all", async () => {
    let left = Number.POSITIVE_INFINITY;
    const backend = alteredBackend(minimal, {
      alloc: (spec) => {
        if (left-- <= 0) throw new OutOfMemoryError("minimal", 8);
        return minimal.alloc(spec);
      },
    });
    const [runningMean, runningVar] = [core.zeros([2], { backend }), core.zeros([2], { backend })];
    const x = core.randn([4, 2], { backend, seed: 1 });
    for (let room = 0; ; room++) {
      left = room;
      try {
        x.batchNorm({ runningMean, runningVar, training: true });
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
        expect(await Promise.all([runningMean.toArray(), runningVar.toArray()])).toEqual([
          [0, 0],
          [0, 0],
        ]);
      }
    }
    expect(await runningVar.toArray()).not.toEqual([0, 0]);
  });

  test("a tensor larger than the largest storage is refused", () => {
    const backend = alteredBackend(minimal, { caps: { maxBufferBytes: 16 } });
    ones([4], { backend });
    expect(() => ones([5], { backend })).toThrow(OutOfMemoryError);
    expect(() => ones([5], { backend })).toThrow(/could not allocate 20 bytes: fill: its largest storage has 16/);
    expect(memoryUsage(backend).bytes).toBe(16);
  });
});

describe("a backend that is lost", () => {
  const losable = (changes: Partial<Backend> = {}): { backend: Backend; lose: () => void } => {
    let lose: (info: LostInfo) => void = () => {};
    const lost = new Promise<LostInfo>((resolve) => {
      lose = resolve;
    });
    return {
      backend: alteredBackend(minimal, { ...changes, lost }),
      lose: () => lose({ reason: "unknown", message: "the cable was pulled" }),
    };
  };

  test("refuses every later call, and dispose still works without touching it", async () => {
    const freed: object[] = [];
    const { backend, lose } = losable({ free: (storage) => void freed.push(storage) });
    const x = ones([2], { backend, requiresGrad: true });
    const y = x.exp().sum();
    lose();
    await backend.lost;
    const calls: (() => unknown)[] = [
      () => x.add(1),
      () => x.reshape([2, 1]),
      () => y.backward(),
      () => ones([1], { backend }),
      () => tensor([1], { backend }),
      () => x.dataSync(),
      () => valueAndGrad(() => x.sum(), [x]),
    ];
    for (const call of calls) expect(call).toThrow(BackendLostError);
    await expect(x.data()).rejects.toThrow("backend minimal was lost (unknown): the cable was pulled");
    expect(`${x}`).toBe("float32 [2] on minimal (lost)");
    for (const t of [x, y]) t.dispose();
    expect(freed).toHaveLength(0);
  });

  test("fails the reads in flight, whether they resolve or reject", async () => {
    for (const settle of [() => Promise.resolve(Float32Array.of(7)), () => Promise.reject(new Error("device gone"))]) {
      let go: () => void = () => {};
      const gate = new Promise<void>((resolve) => {
        go = resolve;
      });
      const { backend, lose } = losable({ read: () => gate.then(settle) });
      const pending = ones([1], { backend }).item();
      lose();
      go();
      await expect(pending).rejects.toThrow(BackendLostError);
    }
  });

  test("fails a read that rejects just before the loss is known", async () => {
    let fail: (error: Error) => void = () => {};
    const read = (): Promise<never> =>
      new Promise((_, reject) => {
        fail = reject;
      });
    const { backend, lose } = losable({ read });
    const pending = ones([1], { backend }).item();
    fail(new Error("device gone"));
    lose();
    await expect(pending).rejects.toThrow(BackendLostError);
  });
});

describe("what a backend lacks", () => {
  test("a dtype", () => {
    const backend = alteredBackend(minimal, { caps: { dtypes: new Set(["float32"]) } });
    const x = ones([2], { backend });
    expect(x.add(1).dtype).toBe("float32");
    for (const [make, message] of [
      [() => x.cast("float64"), /^cast: not supported by backend minimal: it has no float64/],
      [() => x.gt(0), /^compare: not supported by backend minimal: it has no bool/],
      [() => x.argmax(), /^argReduce: .* it has no int32/],
      [() => core.zeros([0], { backend, dtype: "uint8" }), /it has no uint8/],
    ] as const) {
      expect(make).toThrow(UnsupportedError);
      expect(make).toThrow(message);
    }
  });

  test("an interface that core does not speak", () => {
    const backend = { ...minimal, apiVersion: 2 } as unknown as Backend;
    expect(() => ones([1], { backend })).toThrow(/its apiVersion is 2, core speaks 1/);
  });
});

describe("optional kernels", () => {
  const softmax = (supports: boolean | undefined) => {
    const seen: Call<"softmax">[] = [];
    const kernel: OptionalKernel<"softmax"> = {
      ...(supports !== undefined && { supports: ({ inputs }) => supports && inputs[0].shape.length === 2 }),
      run: (call) => {
        seen.push(call);
        minimal.kernels.fill({ op: "fill", inputs: [], outputs: call.outputs, attrs: { value: 0.25 } });
      },
    };
    return { backend: alteredBackend(minimal, { kernels: { softmax: kernel } }), seen };
  };

  test("run where they are, with plain shapes and attributes", async () => {
    const { backend, seen } = softmax(undefined);
    expect(await ones([1, 4], { backend }).softmax(-1).toArray()).toEqual([[0.25, 0.25, 0.25, 0.25]]);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ op: "softmax", attrs: { axis: 1 }, inputs: [{ shape: [1, 4], dtype: "float32" }] });
  });

  test("that decline a call leave it to the decomposition", async () => {
    const { backend, seen } = softmax(true);
    expect(await ones([2], { backend }).softmax().toArray()).toEqual([0.5, 0.5]);
    expect(seen).toHaveLength(0);
    ones([1, 2], { backend }).softmax();
    expect(seen).toHaveLength(1);
  });

  test("may read their own object", () => {
    class Kernel implements OptionalKernel<"softmax"> {
      calls = 0;
      supports(): boolean {
        return this.calls < 1;
      }
      run(): void {
        this.calls++;
      }
    }
    const kernel = new Kernel();
    const backend = alteredBackend(minimal, { kernels: { softmax: kernel } });
    ones([2], { backend }).softmax();
    ones([2], { backend }).softmax();
    expect(kernel.calls).toBe(1);
  });
});

describe("tensors of another backend", () => {
  test.each<[string, (here: Tensor, there: Tensor) => unknown, RegExp]>([
    ["add", (x, y) => x.add(y), /^add: b is on backend minimal, a on minimal \(another instance/],
    ["matmul", (x, y) => x.matmul(y), /^matmul: b is on backend/],
    ["where", (x, y) => x.gt(0).where(x, y), /^where: b is on backend/],
    ["stack", (x, y) => core.stack([x, y]), /^stack: tensor 1 is on backend/],
    ["concat of nothing", (x, y) => core.concat([x, y.slice({ end: [0] })], 0), /^concat: tensor 1 is on backend/],
    ["mseLoss", (x, y) => core.mseLoss(x, y), /^mseLoss: target is on backend/],
    ["layerNorm", (x, y) => x.layerNorm({ bias: y.sum(0) }), /^layerNorm: bias is on backend/],
    ["scatterAdd", (x, y) => x.scatterAdd(0, x.cast("int32"), y), /^scatterAdd: source is on backend/],
  ])("%s refuses them", (_name, use, message) => {
    const [here, there] = [ones([2, 2], { backend: minimal }), ones([2, 2], { backend: alteredBackend(minimal, {}) })];
    expect(() => use(here, there)).toThrow(ArgumentError);
    expect(() => use(here, there)).toThrow(message);
  });
});
