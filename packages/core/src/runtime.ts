import type { GradNode } from "./autograd/node.js";
import {
  type Backend,
  bytesPerElement,
  type HostArray,
  type Operand,
  type Storage,
  type TensorSpec,
} from "./backend.js";
import {
  BackendLostError,
  DisposedError,
  KernelError,
  OutOfMemoryError,
  StriateError,
  UnsupportedError,
} from "./errors.js";
import { sizeOf } from "./shape.js";
import type { Tensor } from "./tensor.js";

/** A storage and how many tensors and saved activations use it. `storage` is null for zero elements. */
export interface StorageRef {
  readonly storage: Storage | null;
  readonly bytes: number;
  users: number;
}

/** The gradient of a tensor arrives at output `index` of `node`. */
export interface Edge {
  readonly node: GradNode;
  readonly index: number;
}

/** What is alive on a backend. */
export interface MemoryUsage {
  /** Tensor handles that were not disposed. */
  readonly tensors: number;
  /** Storages in use, by handles or by activations saved for a backward pass. */
  readonly storages: number;
  /** Their sizes, as on the host. */
  readonly bytes: number;
  /** The most `bytes` has been. */
  readonly peakBytes: number;
}

/** A tensor that was garbage collected before it was disposed. */
export interface Leak {
  readonly spec: TensorSpec;
  /** Where the tensor was made. */
  readonly stack: string;
}

/** Makes a Tensor around a storage; injected, so that ops do not import the class whose methods they are. */
export type MakeTensor = (runtime: Runtime, ref: StorageRef, spec: TensorSpec, edge: Edge | null) => Tensor;

/** Core's side of one backend: allocation with accounts, and whether the backend is still there. */
export class Runtime {
  readonly backend: Backend;
  readonly makeTensor: MakeTensor;
  #storages = 0;
  #bytes = 0;
  #peakBytes = 0;
  #tensors = 0;
  #lost: BackendLostError | null = null;
  #leaks: FinalizationRegistry<Leak> | null = null;

  constructor(backend: Backend, makeTensor: MakeTensor) {
    if (backend.apiVersion !== 1)
      throw new UnsupportedError("backend", backend.name, `its apiVersion is ${backend.apiVersion}, core speaks 1`);
    this.backend = backend;
    this.makeTensor = makeTensor;
    backend.lost.then((info) => {
      this.#lost = new BackendLostError(backend.name, info.reason, info.message);
    });
  }

  get usage(): MemoryUsage {
    return { tensors: this.#tensors, storages: this.#storages, bytes: this.#bytes, peakBytes: this.#peakBytes };
  }

  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** @throws BackendLostError after the device was lost. */
  expectAlive(): void {
    if (this.#lost) throw this.#lost;
  }

  /** What a backend throws that is no StriateError is a bug of the backend's. */
  #typed(op: string, attrs: unknown, error: unknown): StriateError {
    return error instanceof StriateError ? error : new KernelError(op, this.backend.name, attrs, error);
  }

  /** Copy to the host. @throws BackendLostError if the device was lost meanwhile, whatever the device said. */
  async read(op: string, source: Operand): Promise<HostArray> {
    this.expectAlive();
    let data: HostArray;
    try {
      data = await this.backend.read(source);
    } catch (error) {
      // The read may fail in the turn in which the device is lost, before that is known here.
      await null;
      this.expectAlive();
      throw this.#typed(op, { shape: source.shape }, error);
    }
    this.expectAlive();
    return data;
  }

  #allocate(op: string, spec: TensorSpec): StorageRef {
    const { name, caps } = this.backend;
    if (!caps.dtypes.has(spec.dtype)) throw new UnsupportedError(op, name, `it has no ${spec.dtype}`);
    const size = sizeOf(spec.shape);
    const bytes = size * bytesPerElement[spec.dtype];
    if (bytes > caps.maxBufferBytes)
      throw new OutOfMemoryError(name, bytes, `${op}: its largest storage has ${caps.maxBufferBytes}`);
    const storage = size === 0 ? null : this.backend.alloc(spec);
    if (storage) this.#storages++;
    this.#bytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    return { storage, bytes, users: 0 };
  }

  /**
   * Storages without users yet for `specs`, written by `write`. If anything throws they are free again.
   *
   * @throws UnsupportedError for a dtype that the backend does not have, OutOfMemoryError, KernelError, BackendLostError.
   */
  produce(
    op: string,
    attrs: unknown,
    specs: readonly TensorSpec[],
    write: (refs: readonly StorageRef[]) => void,
  ): readonly StorageRef[] {
    this.expectAlive();
    const refs: StorageRef[] = [];
    try {
      for (const spec of specs) refs.push(this.#allocate(op, spec));
      write(refs);
      return refs;
    } catch (error) {
      for (const ref of refs) this.#free(ref);
      throw this.#typed(op, attrs, error);
    }
  }

  retain(ref: StorageRef): void {
    ref.users++;
  }

  release(ref: StorageRef): void {
    ref.users--;
    if (ref.users === 0) this.#free(ref);
  }

  #free(ref: StorageRef): void {
    this.#bytes -= ref.bytes;
    if (!ref.storage) return;
    this.#storages--;
    // A lost device has freed everything already, and must not be called any more.
    if (!this.#lost) this.backend.free(ref.storage);
  }

  /** Called by every new tensor. */
  enter(tensor: Tensor): void {
    this.#tensors++;
    if (this.#leaks) {
      const spec = { shape: tensor.shape, dtype: tensor.dtype };
      // The first ten frames, V8's default, are core's own. Other engines ignore the property.
      const engine = Error as ErrorConstructor & { stackTraceLimit?: number };
      const limit = engine.stackTraceLimit;
      engine.stackTraceLimit = 50;
      const { stack = "" } = new Error("made here");
      if (limit !== undefined) engine.stackTraceLimit = limit;
      this.#leaks.register(tensor, { spec, stack }, tensor);
    }
  }

  /** Called once by every tensor that is disposed. */
  leave(tensor: Tensor): void {
    this.#tensors--;
    this.#leaks?.unregister(tensor);
  }

  reportLeaks(report: ((leak: Leak) => void) | null): void {
    this.#leaks = report && new FinalizationRegistry(report);
  }

  /** A tensor around `ref`, which gains a user. */
  tensor(ref: StorageRef, spec: TensorSpec, edge: Edge | null = null): Tensor {
    this.retain(ref);
    edge?.node.retain();
    return this.makeTensor(this, ref, spec, edge);
  }

  /** Tensors around what `produce` made. */
  tensors(refs: readonly StorageRef[], specs: readonly TensorSpec[]): readonly Tensor[] {
    return refs.map((ref, i) => this.tensor(ref, specs[i] as TensorSpec));
  }

  /** A tensor with the host's data, which must have the size and dtype of `spec`. */
  fromHost(op: string, spec: TensorSpec, data: HostArray): Tensor {
    const refs = this.produce(op, null, [spec], ([ref]) => {
      if (ref?.storage) this.backend.write({ ...spec, storage: ref.storage }, data);
    });
    return this.tensors(refs, [spec])[0] as Tensor;
  }

  /** Tensors with every element `value`. */
  filled(op: string, specs: readonly TensorSpec[], value: number): readonly Tensor[] {
    const attrs = { value };
    const refs = this.produce(op, attrs, specs, (storages) =>
      storages.forEach(({ storage }, i) => {
        const output = storage && { ...(specs[i] as TensorSpec), storage };
        if (output) this.backend.kernels.fill({ op: "fill", inputs: [], outputs: [output], attrs });
      }),
    );
    return this.tensors(refs, specs);
  }
}

const runtimes = new WeakMap<Backend, Runtime>();

/** The runtime of a backend, made at its first use. The map is a memo: it keeps nothing alive and holds no setting. */
export const runtimeOf = (backend: Backend, makeTensor: MakeTensor): Runtime => {
  let runtime = runtimes.get(backend);
  if (!runtime) {
    runtime = new Runtime(backend, makeTensor);
    runtimes.set(backend, runtime);
  }
  return runtime;
};

/** @throws DisposedError for a tensor that was disposed. */
export const expectAlive = (op: string, argument: string, tensor: Tensor): void => {
  if (tensor.isDisposed)
    throw new DisposedError(`${op}: ${argument} (${tensor.dtype} [${tensor.shape.join(", ")}]) was disposed`);
};
