import { memoryUsage, tensor, zeros } from "@striate/core";
import { ArgumentError, DisposedError, OutOfMemoryError, UnsupportedError } from "@striate/core/backend";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createWasmBackend, type TileCache, type WasmBackend, type WasmBackendOptions } from "./index.js";
import { train } from "./testing/train.js";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("1, 2 and 4 threads give the same bits, run after run", async () => {
  const results: Float32Array[][] = [];
  for (const threads of [1, 2, 4, 2]) {
    const backend = await createWasmBackend({ threads });
    expect(backend.threads).toBe(threads);
    results.push(await train(backend, 3));
    backend.dispose();
  }
  for (const other of results.slice(1))
    other.forEach((weights, i) => {
      const first = results[0] as Float32Array[];
      expect(new Uint32Array(weights.buffer)).toEqual(new Uint32Array((first[i] as Float32Array).buffer));
    });
});

const full = process.env["STRIATE_FULL"] === "1";

test(`memory stops growing in a training loop of ${full ? 10_000 : 100} steps`, {
  timeout: full ? 3_600_000 : 60_000,
}, async () => {
  const backend = await createWasmBackend({ threads: 2 });
  await train(backend, 3);
  const { memoryBytes } = backend;
  const usage = memoryUsage(backend);
  await train(backend, full ? 10_000 : 100);
  expect(backend.memoryBytes).toBe(memoryBytes);
  expect(memoryUsage(backend)).toMatchObject({ tensors: usage.tensors, storages: usage.storages, bytes: usage.bytes });
  backend.dispose();
});

describe("memory", () => {
  test("what does not fit is an OutOfMemoryError, and the backend goes on", async () => {
    const backend = await createWasmBackend({ threads: 1, maxMemoryBytes: 2 ** 22 });
    const kept = tensor([1, 2, 3], { backend });
    expect(() => zeros([2 ** 20], { backend })).toThrow(OutOfMemoryError);
    expect(() => zeros([2 ** 20], { backend })).toThrow(/could not allocate 4194304 bytes/);
    expect(await kept.mul(2).toArray()).toEqual([2, 4, 6]);
    expect(memoryUsage(backend).storages).toBe(2);
    backend.dispose();
  });

  test("a kernel that finds no temporary memory leaves the backend usable", async () => {
    const backend = await createWasmBackend({ threads: 1, maxMemoryBytes: 2 ** 22 });
    const a = zeros([512, 512], { backend });
    const b = zeros([512, 512], { backend });
    expect(() => a.matmul(b)).toThrow(OutOfMemoryError);
    b.dispose();
    a.dispose();
    const x = tensor([[2]], { backend });
    expect(await x.matmul(x).toArray()).toEqual([[4]]);
    backend.dispose();
  });

  test("addresses beyond 2 GiB work", async () => {
    const backend = await createWasmBackend({ threads: 2 });
    // Never touched, so that no memory is really used.
    const low = backend.alloc({ shape: [2 ** 31 + 2 ** 20], dtype: "uint8" });
    const x = tensor(
      Float32Array.from({ length: 2 * 3 * 9 * 9 }, (_, i) => (i % 7) - 3),
      { backend, shape: [2, 3, 9, 9] },
    );
    const w = tensor(
      Float32Array.from({ length: 4 * 3 * 9 }, (_, i) => (i % 5) - 2),
      { backend, shape: [4, 3, 3, 3] },
    );
    const high = await x.conv2d(w, { padding: 1 }).relu().maxPool2d({ kernel: 2 }).sum([0, 2]).toArray();
    backend.free(low);
    const other = await createWasmBackend({ threads: 1 });
    const [x2, w2] = [
      tensor(await x.data(), { backend: other, shape: x.shape }),
      tensor(await w.data(), { backend: other, shape: w.shape }),
    ];
    expect(high).toEqual(await x2.conv2d(w2, { padding: 1 }).relu().maxPool2d({ kernel: 2 }).sum([0, 2]).toArray());
    backend.dispose();
    other.dispose();
  });
});

describe("options", () => {
  test.each([0, -1, 1.5, 257, Number.NaN])("threads %d is refused", async (threads) => {
    await expect(createWasmBackend({ threads })).rejects.toThrow(ArgumentError);
    await expect(createWasmBackend({ threads })).rejects.toThrow(`createWasmBackend: threads is ${threads}`);
  });

  test.each([0, 2 ** 33, Number.NaN])("maxMemoryBytes %d is refused", async (maxMemoryBytes) => {
    await expect(createWasmBackend({ maxMemoryBytes })).rejects.toThrow(ArgumentError);
  });

  test.each(["4x9", "MEASURED", "", "toString", null, { rows: 4, vectors: 2 }])("tile %j is refused", async (tile) => {
    const created = createWasmBackend({ tile: tile as "4x8" });
    await expect(created).rejects.toThrow(ArgumentError);
    await expect(created).rejects.toThrow(
      `createWasmBackend: tile is ${JSON.stringify(tile)}, expected measured or one of 4x8, 4x12, 4x16`,
    );
  });

  test.each([null, {}, { getItem: () => null }])("tileCache %j is refused", async (cache) => {
    const created = createWasmBackend({ tile: "measured", tileCache: cache as unknown as TileCache });
    await expect(created).rejects.toThrow(ArgumentError);
    await expect(created).rejects.toThrow("createWasmBackend: tileCache");
  });

  test("an engine without SIMD is refused", async () => {
    vi.spyOn(WebAssembly, "validate").mockReturnValue(false);
    await expect(createWasmBackend()).rejects.toThrow(UnsupportedError);
    await expect(createWasmBackend()).rejects.toThrow("no WebAssembly SIMD");
  });

  const expectOneThread = async (backend: WasmBackend, note: RegExp): Promise<void> => {
    expect(backend.threads).toBe(1);
    expect(backend.threadsNote).toMatch(note);
    expect(await tensor([1, 2], { backend }).add(1).toArray()).toEqual([2, 3]);
    backend.dispose();
  };

  test("without SharedArrayBuffer there is one thread, and it says so", async () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    await expectOneThread(await createWasmBackend({ threads: 4 }), /no SharedArrayBuffer/);
  });

  test("where workers cannot be started there is one thread, and it says so", async () => {
    vi.spyOn(process, "getBuiltinModule").mockImplementation(((name: string) =>
      name === "node:worker_threads"
        ? {
            MessageChannel,
            Worker: class {
              constructor() {
                throw new Error("forbidden by policy");
              }
            },
          }
        : undefined) as typeof process.getBuiltinModule);
    await expectOneThread(await createWasmBackend({ threads: 2 }), /could not be started: forbidden by policy/);
  });

  test("one thread on purpose needs no note", async () => {
    const backend = await createWasmBackend({ threads: 1 });
    expect(backend.threadsNote).toBe("");
    backend.dispose();
  });
});

describe("the tile", () => {
  /** As the backend tells it, and the weights of a training. */
  const trained = async (options: WasmBackendOptions) => {
    const backend = await createWasmBackend({ threads: 2, ...options });
    const weights = (await train(backend, 2)).map(({ buffer }) => new Uint32Array(buffer));
    const { tile, description } = backend;
    backend.dispose();
    return { tile, description, weights };
  };

  test("is a fixed one by default; others are told of, and train to the same bits", async () => {
    const { weights, ...told } = await trained({});
    expect(told).toEqual({ tile: "4x8", description: "2 threads" });
    for (const tile of ["4x8", "4x12", "4x16"] as const)
      expect(await trained({ tile })).toEqual({ tile, description: `2 threads, tile ${tile}`, weights });
  });

  test("is measured on demand, and kept", async () => {
    const entries = new Map<string, string>();
    const tileCache: TileCache = {
      getItem: (key) => entries.get(key) ?? null,
      setItem: (key, value) => void entries.set(key, value),
    };
    const { tile, description, dispose } = await createWasmBackend({ threads: 1, tile: "measured", tileCache });
    dispose();
    expect([...entries.values()]).toEqual([tile]);
    expect(description).toBe(`1 thread, tile ${tile} (measured)`);
    for (const kept of ["4x12", "4x16"] as const) {
      for (const key of entries.keys()) entries.set(key, kept);
      const next = await createWasmBackend({ threads: 1, tile: "measured", tileCache });
      expect([next.tile, next.description]).toEqual([kept, `1 thread, tile ${kept} (measured)`]);
      next.dispose();
    }
  });
});

test("a disposed backend refuses work, and disposing twice does nothing", async () => {
  const backend = await createWasmBackend({ threads: 2 });
  const spec = { shape: [2], dtype: "float32" } as const;
  const storage = backend.alloc(spec);
  backend.dispose();
  backend.dispose();
  expect(() => backend.alloc(spec)).toThrow(DisposedError);
  expect(() => backend.write({ ...spec, storage }, new Float32Array(2))).toThrow(DisposedError);
  await expect(backend.read({ ...spec, storage })).rejects.toThrow(DisposedError);
  expect(() => backend.free(storage)).not.toThrow();
});
