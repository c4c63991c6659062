import {
  ArgumentError,
  type Backend,
  DisposedError,
  type DType,
  defineBackend,
  type HostArray,
  hostArray,
  OutOfMemoryError,
  sizeOf,
} from "@striate/core/backend";
import { openDevice } from "./device.js";
import { BACKEND } from "./errors.js";
import { findGpu } from "./gpu.js";
import { activationKernels } from "./kernels/activation.js";
import { batchNormKernels } from "./kernels/batch-norm.js";
import { binaryKernels } from "./kernels/binary.js";
import { chainKernels } from "./kernels/chain.js";
import { conv2dKernels } from "./kernels/conv2d.js";
import { crossEntropyKernels } from "./kernels/cross-entropy.js";
import { fillKernels } from "./kernels/fill.js";
import { deviceBytes, withFloat16 } from "./kernels/float16.js";
import { gatherKernels } from "./kernels/gather.js";
import { localResponseNormKernels } from "./kernels/local-response-norm.js";
import { matmulKernels } from "./kernels/matmul.js";
import { movementKernels } from "./kernels/movement.js";
import { pool2dKernels } from "./kernels/pool2d.js";
import { randomBitsKernels } from "./kernels/random-bits.js";
import { reduceKernels } from "./kernels/reduce.js";
import { scanKernels } from "./kernels/scans.js";
import { softmaxKernels } from "./kernels/softmax.js";
import type { GpuKernels } from "./kernels/types.js";
import { unaryKernels } from "./kernels/unary.js";
import { unfold2dKernels } from "./kernels/unfold2d.js";
import { capacityFor } from "./pool.js";
import type { ProfileEntry } from "./profile.js";
import { createStream, type GpuStorage, type Stream, type WebGpuStatistics } from "./stream.js";

export { type ProfileEntry, profileTable } from "./profile.js";
export type { WebGpuStatistics } from "./stream.js";

export interface WebGpuBackendOptions {
  /** Default: `navigator.gpu`, else that of the optional package `webgpu` (Dawn for Node). */
  readonly gpu?: GPU;
  /** For Dawn, where it is found: `backend=vulkan`, `enable-dawn-features=…`. */
  readonly dawnOptions?: readonly string[];
  /** Default "high-performance". */
  readonly powerPreference?: GPUPowerPreference;
  /** `false`: WebGPU's default limits instead of all that the adapter has. Default true. */
  readonly raiseLimits?: boolean;
  /** Take the time of every dispatch, see `profile`. It costs some speed. Default false. */
  readonly profile?: boolean;
}

export interface WebGpuBackend extends Backend {
  /** The device that everything runs on. It belongs to the backend. */
  readonly device: GPUDevice;
  statistics(): WebGpuStatistics;
  /** Device time by op, the longest first, of all that was read or synced; null without the option or the feature. */
  profile(): readonly ProfileEntry[] | null;
}

const createKernels = (stream: Stream): GpuKernels =>
  withFloat16(stream, {
    ...fillKernels(stream),
    ...unaryKernels(stream),
    ...activationKernels(stream),
    ...chainKernels(stream),
    ...binaryKernels(stream),
    ...reduceKernels(stream),
    ...scanKernels(stream),
    ...matmulKernels(stream),
    ...movementKernels(stream),
    ...gatherKernels(stream),
    ...unfold2dKernels(stream),
    ...conv2dKernels(stream),
    ...pool2dKernels(stream),
    ...batchNormKernels(stream),
    ...localResponseNormKernels(stream),
    ...softmaxKernels(stream),
    ...crossEntropyKernels(stream),
    ...randomBitsKernels(stream),
  });

/** Whole words. */
const toDevice = (data: HostArray): Uint8Array<ArrayBuffer> => {
  let wide: HostArray = data;
  if (data instanceof Uint8Array) wide = Int32Array.from(data);
  else if (data instanceof Uint16Array && data.length % 2 === 1) {
    wide = new Uint16Array(data.length + 1);
    wide.set(data);
  }
  return new Uint8Array(wide.buffer as ArrayBuffer, wide.byteOffset, wide.byteLength);
};

const toHost = (dtype: DType, contents: ArrayBuffer, size: number): HostArray => {
  if (dtype === "float32") return new Float32Array(contents, 0, size);
  if (dtype === "float16") return new Uint16Array(contents, 0, size);
  const integers = new Int32Array(contents, 0, size);
  if (dtype === "int32") return integers;
  const host = hostArray(dtype, size);
  host.set(integers);
  return host;
};

/**
 * A device of its own, on the GPU that the engine offers. Results are those of the CPU backend in float32;
 * pointwise functions are within the limits of the WGSL specification.
 *
 * @throws UnsupportedError where there is no WebGPU, no adapter or no device.
 */
export const createWebGpuBackend = async (options: WebGpuBackendOptions = {}): Promise<WebGpuBackend> => {
  const { dawnOptions = [], powerPreference = "high-performance", raiseLimits = true, profile = false } = options;
  const gpu = options.gpu ?? (await findGpu(dawnOptions));
  if (typeof gpu.requestAdapter !== "function")
    throw new ArgumentError("createWebGpuBackend: gpu is no GPU object, expected navigator.gpu or its like");
  const device = await openDevice(gpu, { powerPreference, raiseLimits });
  const stream = createStream(device, profile);
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  // Offsets within a buffer are int32.
  const largest = Math.min(maxBufferSize, maxStorageBufferBindingSize, 2 ** 31 - 4);
  let disposed = false;
  const expectAlive = (what: string): void => {
    if (disposed) throw new DisposedError(`${what}: backend ${BACKEND} was disposed`);
    stream.expectAlive();
  };
  const backend = defineBackend<GpuStorage>({
    apiVersion: 1,
    name: BACKEND,
    caps: {
      dtypes: new Set(["float32", "float16", "int32", "uint8", "bool"]),
      maxBufferBytes: largest,
      syncRead: false,
      deterministic: true,
      nan: "propagates",
      precision: "wgsl",
    },
    kernels: createKernels(stream),
    alloc: ({ shape, dtype }) => {
      expectAlive("alloc");
      const size = sizeOf(shape);
      // float16 too: kernels see it in float32.
      if (capacityFor(size * 4) > largest)
        throw new OutOfMemoryError(BACKEND, size * 4, `the device binds at most ${largest} bytes at once`);
      return { buffer: null, bytes: deviceBytes(dtype, size) };
    },
    free: (storage) => stream.release(storage),
    write: ({ storage }, data) => {
      expectAlive("write");
      stream.write(storage, toDevice(data));
    },
    read: async ({ storage, dtype, shape }) => {
      expectAlive("read");
      const size = sizeOf(shape);
      return toHost(dtype, await stream.read(storage, deviceBytes(dtype, size)), size);
    },
    flush: () => {
      expectAlive("flush");
      stream.flush();
    },
    sync: async () => {
      expectAlive("sync");
      await stream.sync();
    },
    lost: stream.lost,
    dispose: () => {
      disposed = true;
      stream.destroy();
    },
  });
  return {
    ...backend,
    device,
    statistics: () => stream.statistics,
    profile: () => stream.profiler?.report() ?? null,
  };
};
