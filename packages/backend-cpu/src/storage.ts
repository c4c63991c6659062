import {
  bytesPerElement,
  DisposedError,
  type DType,
  hostArray,
  type Kernels,
  type Operand,
  OutOfMemoryError,
  sizeOf,
  type TensorSpec,
} from "@striate/core/backend";

/** The elements of a tensor, row-major. `bool` is a Uint8Array of 0 and 1. */
export type Elements = Float32Array | Float64Array | Int32Array | Uint8Array;

/** What core holds for a tensor. */
export interface CpuStorage {
  /** Exactly the tensor's elements; empty once freed, so that a late use cannot touch the array's next owner. */
  elements: Elements;
}

export type CpuKernels = Kernels<CpuStorage>;
export type CpuOperand = Operand<CpuStorage>;

/**
 * Largest storage. Typed arrays may be larger in today's engines, but below 2^31 bytes every element's index is an
 * int32, which keeps all index arithmetic in machine integers.
 */
export const MAX_BUFFER_BYTES = 2 ** 31 - 1;

/**
 * Default bound on freed memory kept for reuse. It holds what one training step of a LeNet or a small ResNet frees.
 * Beyond, a step computes for seconds, and the page faults of fresh memory (some 0.1 ms a MiB) no longer matter.
 */
export const DEFAULT_POOL_BYTES = 256 * 2 ** 20;

export interface Allocator {
  alloc(spec: TensorSpec): CpuStorage;
  free(storage: CpuStorage): void;
  dispose(): void;
}

const NO_ELEMENTS = new Uint8Array(0);

const arrayKinds: Readonly<Record<Exclude<DType, "float16">, number>> = {
  float32: 0,
  float64: 1,
  int32: 2,
  uint8: 3,
  bool: 3,
};

const kindOf = (elements: Elements): number =>
  elements instanceof Float32Array ? 0 : elements instanceof Float64Array ? 1 : elements instanceof Int32Array ? 2 : 3;

/**
 * Allocation from free lists by array type and length: the engine would zero every new array, and collect it long after
 * it was freed. A training step asks for the same sizes again and again, so exact sizes are reused nearly always.
 */
export const createAllocator = (name: string, poolBytes: number): Allocator => {
  const lists = new Map<number, Elements[]>();
  let pooledBytes = 0;
  let disposed = false;

  const drain = (limit: number): void => {
    for (const [key, list] of lists) {
      while (pooledBytes > limit && list.length > 0) pooledBytes -= (list.pop() as Elements).byteLength;
      if (list.length > 0) return;
      lists.delete(key);
    }
  };

  const create = (dtype: DType, size: number): Elements => {
    try {
      return hostArray(dtype, size) as Elements;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new OutOfMemoryError(name, size * bytesPerElement[dtype], error.message, { cause: error });
    }
  };

  return {
    alloc: ({ shape, dtype }) => {
      if (disposed) throw new DisposedError(`alloc: backend ${name} was disposed`);
      const size = sizeOf(shape);
      const bytes = size * bytesPerElement[dtype];
      if (bytes > MAX_BUFFER_BYTES)
        throw new OutOfMemoryError(name, bytes, `a single tensor may have at most ${MAX_BUFFER_BYTES} bytes`);
      const reused = lists.get(size * 4 + arrayKinds[dtype as Exclude<DType, "float16">])?.pop();
      if (reused) {
        pooledBytes -= bytes;
        return { elements: reused };
      }
      try {
        return { elements: create(dtype, size) };
      } catch (error) {
        if (!(error instanceof OutOfMemoryError) || pooledBytes === 0) throw error;
        drain(0);
        return { elements: create(dtype, size) };
      }
    },
    free: (storage) => {
      const { elements } = storage;
      storage.elements = NO_ELEMENTS;
      if (disposed || elements.length === 0 || elements.byteLength > poolBytes) return;
      const key = elements.length * 4 + kindOf(elements);
      const list = lists.get(key);
      if (list) list.push(elements);
      else lists.set(key, [elements]);
      pooledBytes += elements.byteLength;
      // Oldest sizes go first, so that sizes no longer in use cannot fill the pool for good.
      if (pooledBytes > poolBytes) drain(poolBytes);
    },
    dispose: () => {
      disposed = true;
      lists.clear();
      pooledBytes = 0;
    },
  };
};
