import {
  ArgumentError,
  type Backend,
  bytesPerElement,
  DisposedError,
  defineBackend,
  type HostArray,
  hostArray,
  type Operand,
  OutOfMemoryError,
  sizeOf,
  UnsupportedError,
} from "@striate/core/backend";
import type { MemoryType } from "./assembler/module.js";
import { createKernels } from "./kernels/index.js";
import { DEFAULT_TILE, isTileName, type TileName, tiles } from "./kernels/tile.js";
import { arenaOf, createAllocator, GRAIN, PAGE } from "./memory/allocator.js";
import { availableThreads } from "./platform.js";
import { createRuntime } from "./runtime.js";
import { simdIsThere } from "./simd.js";
import type { WasmStorage } from "./storage.js";
import { createPool, type Pool } from "./threads/pool.js";
import { chooseTile, type TileCache } from "./tile-choice.js";

export type { TileName } from "./kernels/tile.js";
export type { TileCache } from "./tile-choice.js";

export interface WasmBackendOptions {
  /**
   * Threads that compute, the caller's included. Default: as many as the machine offers, at most 8; one where there is no
   * SharedArrayBuffer. The results are the same for every number.
   */
  readonly threads?: number;
  /** Bound of the memory, in bytes, rounded down to pages of 64 KiB. Default and maximum: 4 GiB. */
  readonly maxMemoryBytes?: number;
  /**
   * Rows and columns of a product that stay in registers. "measured" takes the fastest of all for this engine and processor, by
   * 0.2 seconds of measurement in the calling thread. Default: "4x8", everywhere and without measuring. The results are the
   * same for every tile.
   */
  readonly tile?: TileName | "measured";
  /** Where a measured tile is kept, so that the next backend on this machine need not measure: `localStorage`, for instance. */
  readonly tileCache?: TileCache;
}

export interface WasmBackend extends Backend<WasmStorage> {
  /** Threads that compute, the caller's included. */
  readonly threads: number;
  /** Why there is one thread only, where more were to be expected; else empty. */
  readonly threadsNote: string;
  /** Given, measured or the default. */
  readonly tile: TileName;
  /** Size of the WebAssembly memory, in bytes; it never shrinks. */
  readonly memoryBytes: number;
}

const NAME = "wasm";
const MAX_PAGES = 2 ** 16;
const MAX_THREADS = 8;
/** Kernels load whole vectors, and so may read (never write) this far behind a tensor's end. */
const SLACK = 64;

const checkOptions = ({ threads, maxMemoryBytes, tile, tileCache }: WasmBackendOptions): void => {
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 256))
    throw new ArgumentError(`createWasmBackend: threads is ${threads}, expected an integer from 1 to 256`);
  if (maxMemoryBytes !== undefined && !(maxMemoryBytes >= 2 ** 20 && maxMemoryBytes <= MAX_PAGES * PAGE))
    throw new ArgumentError(
      `createWasmBackend: maxMemoryBytes is ${maxMemoryBytes}, expected from ${2 ** 20} to ${MAX_PAGES * PAGE}`,
    );
  if (tile !== undefined && tile !== "measured" && !isTileName(tile))
    throw new ArgumentError(
      `createWasmBackend: tile is ${JSON.stringify(tile)}, expected measured or one of ${Object.keys(tiles).join(", ")}`,
    );
  if (tileCache !== undefined && !(typeof tileCache?.getItem === "function" && typeof tileCache.setItem === "function"))
    throw new ArgumentError("createWasmBackend: tileCache has no getItem or no setItem, expected both as functions");
};

/** Why there can be no threads here, or "". */
const obstacle = (): string => {
  if (typeof SharedArrayBuffer === "undefined")
    return "one thread: no SharedArrayBuffer here (a page needs cross-origin isolation, by COOP and COEP headers)";
  return "";
};

/**
 * The WebAssembly backend: SIMD kernels that are assembled at run time and specialised on shapes, on all cores. Results do
 * not depend on the number of threads, nor on the tile. Calls compute at once, in the calling thread and its workers: in a page, use it
 * from a worker.
 * @throws UnsupportedError where the engine has no WebAssembly SIMD; ArgumentError; OutOfMemoryError
 */
export const createWasmBackend = async (options: WasmBackendOptions = {}): Promise<WasmBackend> => {
  checkOptions(options);
  if (!simdIsThere()) throw new UnsupportedError("createWasmBackend", NAME, "this engine has no WebAssembly SIMD");
  const tile = options.tile === "measured" ? chooseTile(options.tileCache) : (options.tile ?? DEFAULT_TILE);
  let threadsNote = options.threads === 1 ? "" : obstacle();
  let threads = threadsNote === "" ? (options.threads ?? Math.min(MAX_THREADS, availableThreads())) : 1;
  const maximum = Math.floor((options.maxMemoryBytes ?? MAX_PAGES * PAGE) / PAGE);
  const initial = Math.min(16, maximum);

  const start = async (): Promise<{ memory: WebAssembly.Memory; memoryType: MemoryType; pool: Pool | undefined }> => {
    const memoryType = { initial, maximum, shared: threads > 1 };
    let memory: WebAssembly.Memory;
    try {
      memory = new WebAssembly.Memory(memoryType);
    } catch (error) {
      throw new OutOfMemoryError(NAME, maximum * PAGE, "the engine refused the memory", { cause: error });
    }
    if (threads === 1) return { memory, memoryType, pool: undefined };
    try {
      const pool = await createPool({ memory, workers: threads - 1, onZombiesGone: () => freeDeferred() });
      return { memory, memoryType, pool };
    } catch (error) {
      threadsNote = `one thread: workers could not be started: ${error instanceof Error ? error.message : error}`;
      threads = 1;
      return start();
    }
  };
  const { memory, memoryType, pool } = await start();

  const blocks = createAllocator(arenaOf(memory, SLACK), GRAIN);
  /** What was freed while a thread that was given up might still write to it. */
  let deferred: number[] = [];
  const freeDeferred = (): void => {
    for (const address of deferred) blocks.free(address);
    deferred = [];
  };
  const allocator = {
    ...blocks,
    free: (address: number) => {
      if (pool !== undefined && pool.zombies > 0) deferred.push(address);
      else blocks.free(address);
    },
  };
  const runtime = createRuntime({ name: NAME, memory, memoryType, allocator, pool, threads, tile: tiles[tile] });

  let disposed = false;
  const expectAlive = (what: string): void => {
    if (disposed) throw new DisposedError(`${what}: backend ${NAME} was disposed`);
  };
  const bytesOf = ({ shape, dtype }: { shape: readonly number[]; dtype: keyof typeof bytesPerElement }): number =>
    sizeOf(shape) * bytesPerElement[dtype];
  const readSync = (source: Operand<WasmStorage>): HostArray => {
    expectAlive("read");
    const data = hostArray(source.dtype, sizeOf(source.shape));
    new Uint8Array(data.buffer).set(new Uint8Array(memory.buffer, source.storage.address, data.byteLength));
    return data;
  };

  const backend = defineBackend<WasmStorage>({
    apiVersion: 1,
    name: NAME,
    caps: {
      dtypes: new Set(["float32", "int32", "uint8", "bool"]),
      maxBufferBytes: maximum * PAGE - 2 * PAGE,
      syncRead: true,
      deterministic: true,
      nan: "propagates",
    },
    kernels: createKernels(runtime),
    alloc: (spec) => {
      expectAlive("alloc");
      return { address: runtime.alloc(bytesOf(spec)) };
    },
    free: ({ address }) => {
      if (!disposed) allocator.free(address);
    },
    write: (destination, data) => {
      expectAlive("write");
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      new Uint8Array(memory.buffer, destination.storage.address, data.byteLength).set(bytes);
    },
    read: async (source) => readSync(source),
    readSync,
    flush: () => {},
    sync: async () => {},
    lost: new Promise(() => {}),
    dispose: () => {
      disposed = true;
      pool?.dispose();
    },
  });
  return {
    ...backend,
    description: [
      threadsNote || `${threads} thread${threads === 1 ? "" : "s"}`,
      ...(options.tile === undefined ? [] : [`tile ${tile}${options.tile === "measured" ? " (measured)" : ""}`]),
    ].join(", "),
    tile,
    get threads() {
      return pool === undefined ? 1 : pool.workers + 1;
    },
    threadsNote,
    get memoryBytes() {
      return memory.buffer.byteLength;
    },
  };
};
