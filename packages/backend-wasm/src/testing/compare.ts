import { createCpuBackend } from "@striate/backend-cpu";
import {
  type Attrs,
  type Backend,
  bytesPerElement,
  type DType,
  type HostArray,
  hostArray,
  type Operand,
  type OpName,
  type Shape,
  sizeOf,
  type TensorSpec,
} from "@striate/core/backend";
import { expect } from "vitest";
import type { MemoryType } from "../assembler/module.js";
import { DEFAULT_TILE, type TileName, tiles } from "../kernels/tile.js";
import { arenaOf, createAllocator, GRAIN } from "../memory/allocator.js";
import { createRuntime, type Runtime } from "../runtime.js";
import type { WasmKernels, WasmOperand } from "../storage.js";
import { createPool } from "../threads/pool.js";
import { randomNumbers } from "./random.js";

export interface HostTensor extends TensorSpec {
  readonly data: HostArray;
}

/** A float32 tensor, or one of `dtype`. */
export const tensor = (shape: Shape, values: ArrayLike<number>, dtype: DType = "float32"): HostTensor => {
  const data = hostArray(dtype, sizeOf(shape));
  expect(values.length, `values for shape [${shape}]`).toBe(data.length);
  data.set(values);
  return { shape, dtype, data };
};

/** Uniform in [low, high), rounded down for integer dtypes. */
export const random = (shape: Shape, seed = 1, low = -2, high = 2, dtype: DType = "float32"): HostTensor =>
  tensor(
    shape,
    randomNumbers(sizeOf(shape), seed).map((u) => {
      const value = low + u * (high - low);
      return dtype === "float32" ? value : Math.floor(value);
    }),
    dtype,
  );

/** Integers in [-4, 4] that look random: sums of products of them are exact in any order. */
export const integers = (shape: Shape, seed = 1, dtype: DType = "float32"): HostTensor =>
  tensor(
    shape,
    randomNumbers(sizeOf(shape), seed).map((u) => Math.floor(u * 9) - 4),
    dtype,
  );

/** Sizes around those of vectors and of unrolled loops. */
export const edgeSizes = [1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 63, 64, 65, 97] as const;

/** float32 values that kernels like to get wrong. */
export const specials: readonly number[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  2 ** -149,
  -(2 ** -149),
  2 ** -126 - 2 ** -149,
  2 ** -126,
  -(2 ** -126),
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -2.5,
  2 ** 24 + 2,
  -(2 ** 24 + 2),
  (2 - 2 ** -23) * 2 ** 127,
  -(2 - 2 ** -23) * 2 ** 127,
];

/** Distance from |x| to the next larger float32. */
export const ulp = (x: number): number =>
  2 ** (Math.max(-126, Math.min(127, Math.floor(Math.log2(Math.abs(x) || 1e-300)))) - 23);

export interface ComparisonOptions {
  /** Units in the last place of the CPU's result. Default 0: bit equal, but for the payload of NaN. */
  readonly ulps?: number;
  /** Absolute error allowed on top, of element i of output `output`. */
  readonly absolute?: number | ((output: number, i: number) => number);
  /** false: 0 and -0 are equal. Default: whether no error is allowed. */
  readonly signedZero?: boolean;
}

export interface Comparison {
  /**
   * Runs one call on the CPU backend and on WebAssembly with one and with three threads. Expects equal results within
   * the tolerance, the same bits from both numbers of threads, inputs left alone, nothing written beyond outputs, and
   * all temporaries given back. Gives WebAssembly's outputs.
   */
  compare<K extends OpName>(
    op: K,
    inputs: readonly HostTensor[],
    outputs: readonly TensorSpec[],
    attrs: Attrs<K>,
    options?: ComparisonOptions,
  ): HostArray[];
  /** `compare`, without the CPU backend. */
  run<K extends OpName>(
    op: K,
    inputs: readonly HostTensor[],
    outputs: readonly TensorSpec[],
    attrs: Attrs<K>,
  ): HostArray[];
}

const MEMORY_PAGES = 4096;
const _PAGE = 2 ** 16;
/** Bytes behind each tensor that are filled with NaN, and checked. */
const GUARD = 64;
const GARBAGE = 0xff;

interface Engine {
  run(op: OpName, inputs: readonly HostTensor[], outputs: readonly TensorSpec[], attrs: object): HostArray[];
}

const bytesOf = ({ shape, dtype }: TensorSpec): number => sizeOf(shape) * bytesPerElement[dtype];

const call = (kernels: object, op: OpName, inputs: readonly Operand[], outputs: readonly Operand[], attrs: object) => {
  const kernel = (kernels as Record<string, unknown>)[op];
  expect(kernel, `kernel ${op}`).toBeDefined();
  const argument = { op, inputs, outputs, attrs };
  if (typeof kernel === "function") kernel(argument);
  else (kernel as { run(call: object): void }).run(argument);
};

const cpuEngine = (backend: Backend): Engine => ({
  run: (op, inputs, outputs, attrs) => {
    const operand = ({ shape, dtype }: TensorSpec): Operand => ({
      shape,
      dtype,
      storage: backend.alloc({ shape, dtype }),
    });
    const sources = inputs.map((x) => {
      const source = operand(x);
      backend.write(source, x.data);
      return source;
    });
    const results = outputs.map(operand);
    call(backend.kernels, op, sources, results, attrs);
    const data = results.map((y) => (backend.readSync as NonNullable<Backend["readSync"]>)(y));
    for (const { storage } of [...sources, ...results]) backend.free(storage);
    return data;
  },
});

const wasmEngine = async (
  createKernels: (runtime: Runtime) => Partial<WasmKernels>,
  threads: number,
  tile: TileName,
): Promise<Engine> => {
  const memoryType: MemoryType = { initial: 16, maximum: MEMORY_PAGES, shared: threads > 1 };
  const memory = new WebAssembly.Memory(memoryType);
  const pool = threads > 1 ? await createPool({ memory, workers: threads - 1, onZombiesGone: () => {} }) : undefined;
  const allocator = createAllocator(arenaOf(memory, GUARD), GRAIN);
  const runtime = createRuntime({ name: "wasm", memory, memoryType, allocator, pool, threads, tile: tiles[tile] });
  const kernels = createKernels(runtime);
  const view = (address: number, bytes: number) => new Uint8Array(memory.buffer, address, bytes);

  const place = (spec: TensorSpec, data?: HostArray): WasmOperand => {
    const bytes = bytesOf(spec);
    const address = runtime.alloc(bytes + GUARD);
    view(address, bytes + GUARD).fill(GARBAGE);
    if (data) view(address, bytes).set(new Uint8Array(data.buffer, data.byteOffset, bytes));
    return { shape: spec.shape, dtype: spec.dtype, storage: { address } };
  };
  const read = ({ shape, dtype, storage }: WasmOperand): HostArray => {
    const data = hostArray(dtype, sizeOf(shape));
    new Uint8Array(data.buffer).set(view(storage.address, data.byteLength));
    return data;
  };

  return {
    run: (op, inputs, outputs, attrs) => {
      const sources = inputs.map((x) => place(x, x.data));
      const results = outputs.map((y) => place(y));
      try {
        call(kernels, op, sources, results, attrs);
        const used = allocator.used();
        call(kernels, op, sources, results, attrs);
        expect(allocator.used(), `${op}: memory in use after a second call`).toBe(used);
        sources.forEach((source, i) => {
          const same = sameBits(read(source), inputs[i]?.data as HostArray);
          expect(same, `${op}: input ${i} is as it was before the call`).toBe(true);
        });
        for (const operand of [...sources, ...results]) {
          const behind = view(operand.storage.address + bytesOf(operand), GUARD);
          expect(
            behind.every((byte) => byte === GARBAGE),
            `${op}: nothing is written behind a tensor`,
          ).toBe(true);
        }
        return results.map(read);
      } finally {
        for (const { storage } of [...sources, ...results]) runtime.free(storage.address);
      }
    },
  };
};

const bitsOf = (data: HostArray): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

export const sameBits = (a: HostArray, b: HostArray): boolean => {
  const [x, y] = [bitsOf(a), bitsOf(b)];
  // A plain loop: tensors under test may have millions of elements.
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return x.length === y.length;
};

/** `createKernels` gives the kernels under test: a family's, usually. */
export const createComparison = async (
  createKernels: (runtime: Runtime) => Partial<WasmKernels>,
  tile: TileName = DEFAULT_TILE,
): Promise<Comparison> => {
  const cpu = cpuEngine(await createCpuBackend());
  const one = await wasmEngine(createKernels, 1, tile);
  const three = await wasmEngine(createKernels, 3, tile);

  const run: Comparison["run"] = (op, inputs, outputs, attrs) => {
    const results = one.run(op, inputs, outputs, attrs);
    three.run(op, inputs, outputs, attrs).forEach((result, k) => {
      expect(sameBits(result, results[k] as HostArray), `${op}: the same bits from 1 and from 3 threads`).toBe(true);
    });
    return results;
  };

  return {
    run,
    compare: (op, inputs, outputs, attrs, { ulps = 0, absolute = 0, signedZero } = {}) => {
      const expected = cpu.run(op, inputs, outputs, attrs);
      const actual = run(op, inputs, outputs, attrs);
      const strict = signedZero ?? (ulps === 0 && absolute === 0);
      expected.forEach((want, k) => {
        const got = actual[k] as HostArray;
        for (let i = 0; i < want.length; i++) {
          const [g, w] = [got[i] as number, want[i] as number];
          if (Object.is(g, w) || (!strict && g === w)) continue;
          const allowed = ulps * ulp(w) + (typeof absolute === "number" ? absolute : absolute(k, i));
          if (Math.abs(g - w) <= allowed) continue;
          expect.fail(
            `${op} ${JSON.stringify(attrs)} [${inputs.map(({ shape }) => `[${shape}]`)}]: output ${k}[${i}] is ${g}, ` +
              `the CPU's ${w}, ${Math.abs(g - w) / ulp(w)} ulp; inputs there: ${inputs.map(({ data }) => data[i])}`,
          );
        }
      });
      return actual;
    },
  };
};
