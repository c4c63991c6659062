/**
 * A tfjs backend used below tfjs's engine: kernels are called on the backend instance itself, so that the active backend,
 * tapes, tidy scopes and tensor counts of the application stay what they are. References to data are counted by tfjs's
 * own backends (`incRef`, `disposeData`).
 */
import { ArgumentError } from "@striate/core/backend";
import type * as Tf from "@tensorflow/tfjs-core";

/** `TfjsCore` from within. */
export type TfjsModule = typeof Tf;

export type TfjsDType = "float32" | "int32" | "bool";

/** tfjs's TensorInfo: data seen under a shape. */
export interface Info {
  readonly dataId: object;
  readonly shape: number[];
  readonly dtype: TfjsDType;
}

/** What tfjs's kernels take besides tensors. */
export type KernelAttrs = Tf.NamedAttrMap;

type HostValues = Float32Array | Int32Array | Uint8Array;

export interface Device {
  readonly backend: Tf.KernelBackend;
  /** What probes of this instance of tfjs's backend have found. */
  readonly findings: Map<string, unknown>;
  /**
   * Whether data lies in the memory of the host: then reading costs no more than a copy, and a loop in JavaScript can
   * stand in for a kernel. Told by `readToGPU`, which only backends of a GPU override.
   */
  readonly hostMemory: boolean;
  /** Whether `valuesOf` works, if perhaps at the price of a wait for a GPU. */
  readonly syncRead: boolean;
  /** Bits of the numbers that kernels compute with, stored as float32. */
  readonly floatBits: 32 | 16;
  /** int32 is exact up to this power of two: 31, or 24 where integers are floats. */
  readonly integerBits: 31 | 24;
  has(kernel: string): boolean;
  /** Call a kernel with one output, which is freed at the end of the scope unless kept. */
  run(kernel: string, inputs: Record<string, Info> | readonly Info[], attrs?: object): Info;
  /** `run` for kernels with several outputs. */
  runAll(kernel: string, inputs: Record<string, Info>, attrs?: object): readonly Info[];
  /** Values from the host, which now belong to tfjs; freed at the end of the scope unless kept. */
  place(values: HostValues, shape: readonly number[]): Info;
  placeBool(values: Uint8Array, shape: readonly number[]): Info;
  /** The same elements under another shape, for as long as `info` lives or until the end of the scope. */
  view(info: Info, shape: readonly number[]): Info;
  /** Owned by the caller from now on, who calls `release`. */
  keep(info: Info): Info;
  release(info: Info): void;
  /** Frees what was made inside and not kept. */
  scoped<T>(body: () => T): T;
  /**
   * Calls `body` once for each place where tfjs may run a kernel: WebGL's backend hands small tensors to the CPU, by kernels
   * that differ from its own.
   */
  everywhere(body: () => void): void;
  /** Only where reading synchronously works. The array may be tfjs's own: do not write to it. */
  valuesOf(info: Info): HostValues;
  read(info: Info): Promise<HostValues>;
  /** From now on tfjs's engine may hold references to this data too. */
  exchange(dataId: object): void;
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

const dtypeOf = (values: HostValues): TfjsDType =>
  values instanceof Float32Array ? "float32" : values instanceof Int32Array ? "int32" : "bool";

/** Instances that are being made. A memo: tfjs has one of each backend, and making a second would disturb the first. */
const opening = new WeakMap<object, Promise<Tf.KernelBackend>>();

/**
 * tfjs's instance of a backend, made if need be, which does not make it the active one.
 *
 * @throws ArgumentError if tfjs knows no such backend; what starting it throws.
 */
export const openBackend = async (tf: TfjsModule, name: string): Promise<Tf.KernelBackend> => {
  const { registry, registryFactory } = tf.engine();
  const entry = Object.hasOwn(registryFactory, name) ? registryFactory[name] : undefined;
  if (!entry)
    throw new ArgumentError(
      `createTfjsBackend: tfjs has no backend ${JSON.stringify(name)} here, it has ${Object.keys(registryFactory).join(", ") || "none"}; ` +
        "the package of the backend must be imported, beside the same tfjs-core, and fit the platform",
    );
  const started = registry[name];
  if (!started && !opening.has(entry)) opening.set(entry, Promise.resolve(entry.factory()));
  const backend = started ?? ((await opening.get(entry)) as Tf.KernelBackend);
  opening.delete(entry);
  registry[name] ??= backend;
  for (const { setupFunc } of tf.getKernelsForBackend(name)) setupFunc?.(backend);
  return backend;
};

const readsSynchronously = (device: Device): boolean =>
  device.scoped(() => {
    try {
      return device.valuesOf(device.run("Neg", { x: device.place(Float32Array.of(1), [1]) }))[0] === -1;
    } catch {
      return false;
    }
  });

/** Whether a sum comes out exactly, wherever it is computed. */
const adds = async (device: Device, a: HostValues, b: HostValues, expected: number): Promise<boolean> => {
  const sums: Info[] = [];
  device.everywhere(() =>
    device.scoped(() =>
      sums.push(device.keep(device.run("Add", { a: device.place(a.slice(), [1]), b: device.place(b.slice(), [1]) }))),
    ),
  );
  const values = await Promise.all(sums.map(device.read));
  sums.forEach(device.release);
  return values.every(([value]) => value === expected);
};

/** Flags come with the backends: asking for one that is not there is an error. */
const isRegistered = (env: Tf.Environment, flag: string): boolean => {
  try {
    env.get(flag);
    return true;
  } catch {
    return false;
  }
};

/** A memo: probing compiles a shader for each kernel on a GPU, which takes seconds. */
const findings = new WeakMap<object, WeakMap<object, Map<string, unknown>>>();

const findingsOf = (tf: TfjsModule, backend: Tf.KernelBackend): Map<string, unknown> => {
  const ofCore = findings.get(tf) ?? new WeakMap<object, Map<string, unknown>>();
  findings.set(tf, ofCore);
  const ofBackend = ofCore.get(backend) ?? new Map<string, unknown>();
  ofCore.set(backend, ofBackend);
  return ofBackend;
};

const FORWARDING = ["WEBGL_CPU_FORWARD", "WEBGPU_CPU_FORWARD"] as const;

/** @throws what a backend throws that cannot even negate or add. */
export const createDevice = async (tf: TfjsModule, name: string, backend: Tf.KernelBackend): Promise<Device> => {
  const engine = tf.engine();
  const hostMemory = backend.readToGPU === tf.KernelBackend.prototype.readToGPU;
  const kernels = new Map<string, Tf.KernelFunc | undefined>();
  const exchanged = new WeakSet<object>();
  const temporaries: Info[] = [];

  const kernelNamed = (kernel: string): Tf.KernelFunc | undefined => {
    if (!kernels.has(kernel)) kernels.set(kernel, tf.getKernel(kernel, name)?.kernelFunc);
    return kernels.get(kernel);
  };

  const temporary = (info: Info): Info => {
    temporaries.push(info);
    return info;
  };

  const call = (
    kernel: string,
    inputs: Record<string, Info> | readonly Info[],
    attrs: object,
  ): Tf.TensorInfo | Tf.TensorInfo[] => {
    const run = kernelNamed(kernel);
    if (!run) throw new Error(`tfjs backend ${name} has no kernel ${kernel}`);
    return run({ inputs: inputs as Tf.NamedTensorInfoMap, attrs: attrs as KernelAttrs, backend });
  };

  /** Some kernels (the CPU backend's Abs) return a tensor that they have registered with the engine: that is undone. */
  const unregistered = (info: Tf.TensorInfo): Info => {
    if (info instanceof tf.Tensor) {
      backend.incRef(info.dataId);
      info.dispose();
      engine.removeDataId(info.dataId, backend);
    }
    return { dataId: info.dataId, shape: info.shape, dtype: info.dtype as TfjsDType };
  };

  const release = (info: Info): void => {
    if (!exchanged.has(info.dataId)) {
      backend.disposeData(info.dataId);
      return;
    }
    // The engine may have moved the data to another of its backends.
    const holder = engine.state.tensorInfo.get(info.dataId)?.backend ?? backend;
    if (holder.disposeData(info.dataId)) engine.removeDataId(info.dataId, holder);
  };

  const place = (values: HostValues, shape: readonly number[], dtype: TfjsDType): Info =>
    temporary({ dataId: backend.write(values, [...shape], dtype), shape: [...shape], dtype });

  const device: Device = {
    backend,
    findings: findingsOf(tf, backend),
    hostMemory,
    syncRead: true,
    floatBits: 32,
    integerBits: 31,
    has: (kernel) => kernelNamed(kernel) !== undefined,
    run: (kernel, inputs, attrs = {}) => temporary(unregistered(call(kernel, inputs, attrs) as Tf.TensorInfo)),
    runAll: (kernel, inputs, attrs = {}) =>
      (call(kernel, inputs, attrs) as Tf.TensorInfo[]).map((info) => temporary(unregistered(info))),
    place: (values, shape) => place(values, shape, dtypeOf(values)),
    placeBool: (values, shape) => place(values, shape, "bool"),
    view: (info, shape) => {
      if (sameShape(info.shape, shape)) return info;
      // In host memory a view is another reading of the same bytes; a texture may have to be laid out anew.
      if (hostMemory) return { dataId: info.dataId, shape: [...shape], dtype: info.dtype };
      return temporary(call("Reshape", { x: info }, { shape: [...shape] }) as Info);
    },
    keep: (info) => {
      const at = temporaries.lastIndexOf(info);
      if (at >= 0) temporaries.splice(at, 1);
      else backend.incRef(info.dataId);
      return info;
    },
    release,
    scoped: (body) => {
      const start = temporaries.length;
      try {
        return body();
      } finally {
        for (const info of temporaries.splice(start)) release(info);
      }
    },
    everywhere: (body) => {
      body();
      const env = tf.env();
      const forwarding = hostMemory ? [] : FORWARDING.filter((flag) => isRegistered(env, flag) && env.getBool(flag));
      if (forwarding.length === 0) return;
      for (const flag of forwarding) env.set(flag, false);
      try {
        body();
      } finally {
        for (const flag of forwarding) env.set(flag, true);
      }
    },
    valuesOf: ({ dataId }) => backend.readSync(dataId) as HostValues,
    read: async ({ dataId }) => (await backend.read(dataId)) as HostValues,
    exchange: (dataId) => {
      exchanged.add(dataId);
    },
  };
  const isFloat32 = await adds(device, Float32Array.of(1), Float32Array.of(2 ** -20), 1 + 2 ** -20);
  const isInt32 = await adds(device, Int32Array.of(2 ** 24), Int32Array.of(1), 2 ** 24 + 1);
  return {
    ...device,
    syncRead: readsSynchronously(device),
    floatBits: isFloat32 ? 32 : 16,
    integerBits: isInt32 ? 31 : 24,
  };
};
