import {
  ArgumentError,
  type Backend,
  type Capabilities,
  DisposedError,
  defineBackend,
  type HostArray,
  type Operand,
} from "@striate/core/backend";
import type { Tensor as TfTensor } from "@tensorflow/tfjs-core";
import type { Bridge, TfjsKernels } from "./bridge.js";
import { createDevice, type Device, openBackend, type TfjsModule } from "./device.js";
import { batchNormKernels } from "./kernels/batch-norm.js";
import { conv2dKernels } from "./kernels/conv2d.js";
import { elementwiseKernels } from "./kernels/elementwise.js";
import { createIndexing, gatherKernels } from "./kernels/gather.js";
import { localResponseNormKernels } from "./kernels/local-response-norm.js";
import { matmulKernels } from "./kernels/matmul.js";
import { movementKernels } from "./kernels/movement.js";
import { pool2dKernels } from "./kernels/pool2d.js";
import { reduceKernels } from "./kernels/reduce.js";
import { unfold2dKernels } from "./kernels/unfold2d.js";
import { choosePrimitives, createCollector } from "./primitives.js";
import type { ReportRow } from "./report.js";
import { createLayouts, emptyStorage, imageShape, type TfjsStorage, tfjsDType, type View } from "./storage.js";
import type { TfjsCore, TfjsTensor } from "./tfjs.js";

export type { Reason, ReportRow, Status } from "./report.js";
export type { TfjsCore, TfjsTensor } from "./tfjs.js";

export interface TfjsBackendOptions {
  /** The name under which tfjs knows it: `cpu`, `wasm`, `webgl`, `webgpu`, or that of a backend registered by others. */
  readonly backend: string;
  /** The module `@tensorflow/tfjs-core`. Default: what that name is imported as. */
  readonly tf?: TfjsCore;
  /**
   * Use tfjs's kernels wherever they are right. By default its gradients of convolutions are passed over on backends in the
   * host's memory, where its forward kernel gives the same, up to forty times faster.
   */
  readonly preferOwn?: boolean;
}

/** In which order tfjs has the elements of an image: as Striate's NCHW, or as tfjs's own NHWC. */
export interface LayoutOptions {
  /** Default "NCHW". */
  readonly layout?: "NCHW" | "NHWC" | undefined;
}

export interface TfjsCapabilities extends Capabilities {
  /** What float32 really has: 16 on a GPU without float textures. */
  readonly floatBits: 32 | 16;
  /** int32 is exact up to this power of two: 24 where integers are floats. */
  readonly integerBits: 31 | 24;
}

export interface TfjsBackend extends Backend {
  readonly caps: TfjsCapabilities;
  /** What tfjs's backend got right, what stands in for the rest, and why. */
  report(): readonly ReportRow[];
  /**
   * A tfjs tensor's elements become those of `destination`, of the same size: shared if they lie on this backend, else copied.
   *
   * @throws DisposedError, ArgumentError for a tensor of another dtype.
   */
  fromTfjs(tensor: TfjsTensor, destination: Operand, options?: LayoutOptions): void;
  /** A tfjs tensor (a `Tensor` of tfjs's) with the operand's elements, shared where the layout is at hand; uint8 becomes int32. */
  toTfjs(source: Operand, options?: LayoutOptions): TfjsTensor;
}

const loadCore = async (): Promise<TfjsCore> => {
  try {
    const module = await import("@tensorflow/tfjs-core");
    return "engine" in module ? module : (module as { default: TfjsCore }).default;
  } catch (error) {
    throw new ArgumentError(
      `createTfjsBackend: @tensorflow/tfjs-core cannot be imported (${(error as Error).message}); install it, or pass it as \`tf\``,
    );
  }
};

/** Every kernel frees what it made and did not keep, and none runs after `dispose`. */
const scopedKernels = (kernels: TfjsKernels, device: Device, expectAlive: (what: string) => void): TfjsKernels => {
  type Run = (call: unknown) => void;
  const scoped =
    (op: string, run: Run): Run =>
    (call) => {
      expectAlive(op);
      device.scoped(() => run(call));
    };
  return Object.fromEntries(
    Object.entries(kernels).map(([op, kernel]) => [
      op,
      typeof kernel === "function"
        ? scoped(op, kernel as Run)
        : { ...kernel, run: scoped(op, (kernel as { run: Run }).run) },
    ]),
  ) as unknown as TfjsKernels;
};

/**
 * A backend of TensorFlow.js as a backend of Striate. Its package must be imported: tfjs then knows it by name. tfjs itself
 * stays as it is: the active backend, flags, tidy scopes and counts of tensors belong to the application.
 *
 * @throws ArgumentError if tfjs cannot be imported or knows no such backend; what starting that backend throws.
 */
export const createTfjsBackend = async (options: TfjsBackendOptions): Promise<TfjsBackend> => {
  const tf = (options.tf ?? (await loadCore())) as TfjsModule;
  const engine = tf.engine();
  const backend = await openBackend(tf, options.backend);
  const name = `tfjs:${options.backend}`;
  const device = await createDevice(tf, options.backend, backend);
  const layouts = createLayouts(device);
  const collector = createCollector(device);
  const primitives = await choosePrimitives(device, collector);
  const pending: (() => Promise<void>)[] = [];
  const preferOwn = options.preferOwn ?? false;
  const bridge: Bridge = { name, device, layouts, primitives, collector, preferOwn, pending };
  const indexing = createIndexing(bridge);
  const kernels: TfjsKernels = {
    ...elementwiseKernels(bridge),
    ...reduceKernels(bridge),
    ...matmulKernels(bridge),
    ...movementKernels(bridge),
    ...gatherKernels(bridge, indexing),
    ...unfold2dKernels(bridge),
    ...(await conv2dKernels(bridge)),
    ...(await pool2dKernels(bridge, indexing)),
    ...(await batchNormKernels(bridge)),
    ...(await localResponseNormKernels(bridge)),
  };

  let disposed = false;
  const live = new Set<TfjsStorage>();
  const expectAlive = (what: string): void => {
    if (disposed) throw new DisposedError(`${what}: backend ${name} was disposed`);
  };
  /** Errors that only data can tell of. */
  const settle = async (): Promise<void> => {
    const checks = await Promise.allSettled(pending.splice(0).map((check) => check()));
    for (const check of checks) if (check.status === "rejected") throw check.reason;
  };
  const caps: TfjsCapabilities = {
    dtypes: new Set(["float32", "int32", "uint8", "bool"]),
    maxBufferBytes: 2 ** 30,
    syncRead: device.syncRead,
    deterministic: true,
    nan: "propagates",
    // In the host's memory functions are held to units in the last place, on a GPU to what shaders promise.
    precision: device.hostMemory ? "ieee" : "glsl",
    floatBits: device.floatBits,
    integerBits: device.integerBits,
  };
  const rows = Object.freeze([...collector.rows]);

  return {
    ...defineBackend<TfjsStorage>({
      apiVersion: 1,
      name,
      caps,
      kernels: scopedKernels(kernels, device, expectAlive),
      // tfjs's kernels allocate what they return: the storage takes that over.
      alloc: ({ dtype }) => {
        expectAlive("alloc");
        const storage = emptyStorage(dtype);
        live.add(storage);
        return storage;
      },
      free: (storage) => {
        if (live.delete(storage)) layouts.clear(storage);
      },
      write: (destination, data) => {
        expectAlive("write");
        layouts.write(destination, data);
      },
      read: async (source): Promise<HostArray> => {
        expectAlive("read");
        // A reference of its own: the storage may be freed or written before the values are here.
        const info = device.scoped(() => device.keep(layouts.flat(source)));
        try {
          const values = await device.read(info);
          await settle();
          return layouts.toHost(source, values);
        } finally {
          device.release(info);
        }
      },
      ...(device.syncRead && {
        readSync: (source: View): HostArray => {
          expectAlive("read");
          return device.scoped(() => layouts.toHost(source, device.valuesOf(layouts.flat(source))));
        },
      }),
      flush: () => {},
      sync: settle,
      lost: new Promise(() => {}),
      // The instance of tfjs's backend is tfjs's, and may be in use by the application.
      dispose: () => {
        disposed = true;
        for (const storage of live) layouts.clear(storage);
        live.clear();
      },
    }),
    caps,
    report: () => rows,
    fromTfjs: (tensor, destination, { layout = "NCHW" } = {}) => {
      expectAlive("fromTfjs");
      if (tensor.isDisposed) throw new DisposedError("fromTfjs: the tfjs tensor was disposed");
      const y = destination as View;
      const dtype = tfjsDType(y.dtype);
      if (tensor.dtype !== dtype || y.dtype === "uint8")
        throw new ArgumentError(`fromTfjs: the tfjs tensor is ${tensor.dtype}, the destination ${y.dtype}`);
      const shape = layout === "NHWC" ? imageShape(y.shape) : y.shape;
      if (tensor.size !== shape.reduce((a, b) => a * b, 1) || (layout === "NHWC" && y.shape.length !== 4))
        throw new ArgumentError(
          `fromTfjs: the tfjs tensor is [${tensor.shape}], the destination ${layout} of [${y.shape}]`,
        );
      device.scoped(() => {
        const { dataId } = tensor;
        const shared = engine.state.tensorInfo.get(dataId)?.backend === backend;
        if (shared) device.exchange(dataId);
        const values = shared
          ? null
          : ((tensor as TfTensor).dataSync().slice() as Float32Array | Int32Array | Uint8Array);
        const own = { dataId, shape: [...tensor.shape], dtype };
        const info = values
          ? dtype === "bool"
            ? device.placeBool(values as Uint8Array, shape)
            : device.place(values, shape)
          : own;
        (layout === "NHWC" ? layouts.putImage : layouts.put)(y, device.view(info, shape));
      });
    },
    toTfjs: (source, { layout = "NCHW" } = {}) => {
      expectAlive("toTfjs");
      const x = source as View;
      if (layout === "NHWC" && x.shape.length !== 4)
        throw new ArgumentError(`toTfjs: [${x.shape}] is no image [N, C, H, W]`);
      return device.scoped(() => {
        const info = device.keep(layout === "NHWC" ? layouts.image(x) : layouts.flat(x));
        device.exchange(info.dataId);
        return engine.makeTensorFromTensorInfo({ ...info, shape: [...info.shape] }, backend);
      });
    },
  };
};
