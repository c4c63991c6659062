import { ArgumentError, type Backend, DisposedError, defineBackend, type HostArray } from "@striate/core/backend";
import { activationKernels } from "./kernels/activation.js";
import { argReduceKernels } from "./kernels/arg-reduce.js";
import { batchNormKernels } from "./kernels/batch-norm.js";
import { binaryKernels } from "./kernels/binary.js";
import { conv2dKernels } from "./kernels/conv2d.js";
import { crossEntropyKernels } from "./kernels/cross-entropy.js";
import { cumsumKernels } from "./kernels/cumsum.js";
import { fillKernels } from "./kernels/fill.js";
import { gatherKernels } from "./kernels/gather.js";
import { createGemm } from "./kernels/gemm.js";
import { localResponseNormKernels } from "./kernels/local-response-norm.js";
import { matmulKernels } from "./kernels/matmul.js";
import { movementKernels } from "./kernels/movement.js";
import { pool2dKernels } from "./kernels/pool2d.js";
import { randomBitsKernels } from "./kernels/random-bits.js";
import { reduceKernels } from "./kernels/reduce.js";
import { softmaxKernels } from "./kernels/softmax.js";
import { unaryKernels } from "./kernels/unary.js";
import { unfold2dKernels } from "./kernels/unfold2d.js";
import { whereKernels } from "./kernels/where.js";
import { createSpecialise } from "./specialise.js";
import { type CpuKernels, type CpuStorage, createAllocator, DEFAULT_POOL_BYTES, MAX_BUFFER_BYTES } from "./storage.js";

export interface CpuBackendOptions {
  /** Freed memory kept for reuse, in bytes at most. Default 256 MiB. */
  readonly poolBytes?: number;
  /**
   * Whether loops may be compiled at run time (`new Function`), which makes pointwise ops several times faster. It is
   * tried by default; where a Content Security Policy forbids it, `false` avoids the report that the try causes.
   */
  readonly codegen?: boolean;
}

const createKernels = (codegen: boolean): CpuKernels => {
  const specialise = createSpecialise(codegen);
  const gemm = createGemm();
  return {
    ...fillKernels,
    ...unaryKernels(specialise),
    ...activationKernels(specialise),
    ...binaryKernels(specialise),
    ...whereKernels,
    ...reduceKernels(specialise),
    ...argReduceKernels,
    ...matmulKernels(gemm),
    ...movementKernels,
    ...gatherKernels,
    ...unfold2dKernels,
    ...conv2dKernels(gemm),
    ...pool2dKernels,
    ...batchNormKernels,
    ...localResponseNormKernels,
    ...softmaxKernels,
    ...crossEntropyKernels,
    ...cumsumKernels,
    ...randomBitsKernels,
  };
};

/**
 * The reference backend: every kernel in plain TypeScript, on typed arrays, in the calling thread. Results do not depend
 * on the machine, save where the engine's `Math.exp` and its kin do.
 */
export const createCpuBackend = async (options: CpuBackendOptions = {}): Promise<Backend> => {
  const { poolBytes = DEFAULT_POOL_BYTES, codegen = true } = options;
  const name = "cpu";
  if (!(poolBytes >= 0))
    throw new ArgumentError(`createCpuBackend: poolBytes is ${poolBytes}, expected a number of at least 0`);
  const allocator = createAllocator(name, poolBytes);
  let disposed = false;
  const expectAlive = (what: string): void => {
    if (disposed) throw new DisposedError(`${what}: backend ${name} was disposed`);
  };
  const readSync = ({ storage }: { readonly storage: CpuStorage }): HostArray => {
    expectAlive("read");
    return storage.elements.slice();
  };
  return defineBackend<CpuStorage>({
    apiVersion: 1,
    name,
    caps: {
      dtypes: new Set(["float32", "float64", "int32", "uint8", "bool"]),
      maxBufferBytes: MAX_BUFFER_BYTES,
      syncRead: true,
      deterministic: true,
      nan: "propagates",
    },
    kernels: createKernels(codegen),
    alloc: allocator.alloc,
    free: allocator.free,
    write: ({ storage }, data) => {
      expectAlive("write");
      storage.elements.set(data);
    },
    read: async (source) => readSync(source),
    readSync,
    flush: () => {},
    sync: async () => {},
    lost: new Promise(() => {}),
    dispose: () => {
      disposed = true;
      allocator.dispose();
    },
  });
};
