/**
 * The device's queue. Dispatches are encoded into one compute pass after another and submitted in batches; everything
 * takes effect in the order in which it was asked for.
 *
 * Pipelines compile in the background, several at a time. A dispatch whose pipeline is not ready waits, and what comes
 * after it waits behind it; once a loop has run, all are ready and every dispatch is encoded at once.
 */
import {
  BackendLostError,
  DisposedError,
  IndexError,
  KernelError,
  type LostInfo,
  OutOfMemoryError,
  type StriateError,
} from "@striate/core/backend";
import { createArena, fitsArena } from "./arena.js";
import { BACKEND } from "./errors.js";
import { bufferUsage, COMPUTE_STAGE, MAP_READ } from "./flags.js";
import { createMerger, type MergedDispatch, type Update } from "./merger.js";
import { createPlaces } from "./places.js";
import { createPool, type Pool, type PooledBuffer, type Region } from "./pool.js";
import { createProfiler, type Profiler } from "./profile.js";
import { moduleSource, paramBytes, type Shader } from "./wgsl/shader.js";

/** What core holds for a tensor. The buffer is chosen when something is first put into it: see `Stream.dispatch`. */
export interface GpuStorage {
  buffer: PooledBuffer | null;
  readonly bytes: number;
}

/** A kernel, before it is known whether its pipeline exists. */
export interface Program {
  /** The op, for messages and the profile. */
  readonly label: string;
  /** All that the source depends on. */
  readonly key: string;
  /** Called when `key` is seen for the first time. */
  readonly shader: () => Shader;
  /** Multiplications and additions, for the profile. */
  readonly flops?: number;
}

export interface Dispatch {
  readonly program: Program;
  readonly inputs: readonly GpuStorage[];
  readonly outputs: readonly GpuStorage[];
  /**
   * Outputs that updates may want: gradients of parameters, statistics. They get room in the op's arena if they are small,
   * unless an input lies there. A storage that several dispatches write must not be among them.
   */
  readonly shared?: readonly GpuStorage[];
  /** 32-bit words for the shader's `params`; see `floatBits`. */
  readonly params?: readonly number[];
  /** Number of workgroups; folded into two dimensions. */
  readonly groups: number;
}

/** Where a kernel checks indices: how its message goes on. */
export interface IndexCheck {
  /** `gather: index` */
  readonly what: string;
  readonly extent: number;
  readonly where: string;
}

/** Counters since the backend was made. */
export interface WebGpuStatistics {
  readonly buffersCreated: number;
  readonly bindGroupsCreated: number;
  readonly pipelinesCreated: number;
  readonly dispatches: number;
  readonly submits: number;
  /** Device memory of tensors, and freed memory kept for reuse. */
  readonly liveBytes: number;
  readonly pooledBytes: number;
}

interface Pipeline {
  readonly layout: GPUBindGroupLayout;
  /** Slots of the ring that its parameters take; 0: it has none. */
  readonly slots: number;
  readonly id: number;
  ready: GPUComputePipeline | null;
}

interface Command {
  /** The command waits until this is ready. */
  readonly pipeline: Pipeline | null;
  run(): void;
}

export interface Stream {
  readonly device: GPUDevice;
  dispatch(dispatch: Dispatch): void;
  /** As a dispatch of its own, but it may wait and run with others. */
  update(update: Update): void;
  /** Bytes of memory for the time until it is released; release right after the last dispatch. */
  scratch(bytes: number): GpuStorage;
  release(storage: GpuStorage): void;
  write(storage: GpuStorage, data: Uint8Array<ArrayBuffer>): void;
  /** The first `bytes` bytes. */
  read(storage: GpuStorage, bytes: number): Promise<ArrayBuffer>;
  flush(): void;
  sync(): Promise<void>;
  /** The storage that index checks write to, and the number that identifies this check there. */
  indexCheck(check: IndexCheck): { readonly storage: GpuStorage; readonly id: number };
  readonly statistics: WebGpuStatistics;
  readonly lost: Promise<LostInfo>;
  /** @throws BackendLostError after the device was lost. */
  expectAlive(): void;
  readonly profiler: Profiler | null;
  destroy(): void;
}

/** Bytes of a slot for parameters: every device can put uniforms at multiples of this. */
const SLOT_BYTES = 256;
/** Dispatches in a batch at most, and slots for their parameters. The device starts on a batch while the next is encoded. */
const BATCH = 256;
/** Bind groups kept. A training step uses some hundreds. */
const MAX_GROUPS = 16_384;

const floats = new Float32Array(1);
const words = new Int32Array(floats.buffer);
/** A float32 as a parameter word. */
export const floatBits = (value: number): number => {
  floats[0] = value;
  return words[0] as number;
};

/** Words of the buffer that index checks write to: [id of the check, position, value]. */
const CHECK_BYTES = 16;

export const createStream = (device: GPUDevice, profile: boolean): Stream => {
  let buffersCreated = 0;
  let bindGroupsCreated = 0;
  let dispatches = 0;
  let submits = 0;
  let lostInfo: LostInfo | null = null;
  let destroyed = false;
  /** What the device said that nobody has been told yet. */
  let failure: StriateError | null = null;

  const fail = (error: StriateError): void => {
    failure ??= error;
  };
  const expectAlive = (): void => {
    if (lostInfo) throw new BackendLostError(BACKEND, lostInfo.reason, lostInfo.message);
  };
  /** The device's `lost` arrives before or after the failures that it causes. */
  const gone = device.lost.then(({ reason, message }): LostInfo => {
    lostInfo = { reason: reason === "destroyed" ? "destroyed" : "unknown", message: message || "the device is gone" };
    return lostInfo;
  });
  const lost = new Promise<LostInfo>((resolve) => {
    gone.then((info) => {
      if (!destroyed) resolve(info);
    });
  });
  const onError = ({ error }: GPUUncapturedErrorEvent): void => {
    if (lostInfo) return;
    if (error.constructor.name === "GPUOutOfMemoryError") fail(new OutOfMemoryError(BACKEND, 0, error.message));
    else fail(new KernelError("device", BACKEND, null, error.message));
  };
  device.addEventListener("uncapturederror", onError as (event: Event) => void);

  // ---- memory ----------------------------------------------------------------------------------------------------

  /** Buffers that the device had no memory for. */
  const invalid = new WeakSet<GPUBuffer>();
  /** Resolves when the device has said whether all buffers so far were there. */
  let allocated: Promise<void> = Promise.resolve();

  const createBuffer = (size: number, usage: GPUBufferUsageFlags): GPUBuffer => {
    buffersCreated++;
    device.pushErrorScope("out-of-memory");
    const buffer = device.createBuffer({ size, usage });
    allocated = device.popErrorScope().then(
      (error) => {
        if (!error || lostInfo) return;
        invalid.add(buffer);
        // Whatever uses the buffer fails as well; this is the failure to tell.
        failure = new OutOfMemoryError(BACKEND, size, error.message);
        for (const each of pools()) each.trim();
      },
      () => {},
    );
    return buffer;
  };

  let regions = 0;
  const nextId = (): number => regions++;
  const create = (bytes: number): GPUBuffer =>
    createBuffer(bytes, bufferUsage.storage | bufferUsage.copySrc | bufferUsage.copyDst);
  const isValid = (gpu: GPUBuffer): boolean => !invalid.has(gpu);
  const retired: GPUBuffer[] = [];
  const pool: Pool = createPool({
    name: "",
    nextId,
    create: (bytes) => ({ gpu: create(bytes), offset: 0, slab: null }),
    retire: ({ gpu }) => {
      retired.push(gpu);
    },
  });
  /** By op: a kernel reads what others made, and must not find it where it writes. */
  const arenas = new Map<string, Pool>();
  const arenaOf = (op: string): Pool => {
    const known = arenas.get(op);
    if (known) return known;
    const arena = createArena({
      name: op,
      nextId,
      create,
      isValid,
      retire: (gpu) => {
        retired.push(gpu);
      },
    });
    arenas.set(op, arena);
    return arena;
  };
  const pools = (): readonly Pool[] => [pool, ...arenas.values()];
  const places = createPlaces(isValid);

  const release = (storage: GpuStorage): void => {
    const { buffer } = storage;
    storage.buffer = null;
    if (buffer && !destroyed && !merger.holds(buffer)) places.release(buffer);
  };

  // ---- commands --------------------------------------------------------------------------------------------------

  const maxWorkgroups = device.limits.maxComputeWorkgroupsPerDimension;
  const backlog: Command[] = [];
  const profiler = profile && device.features.has("timestamp-query") ? createProfiler(device) : null;
  const ring = device.createBuffer({ size: BATCH * SLOT_BYTES, usage: bufferUsage.uniform | bufferUsage.copyDst });
  const ringWords = new Int32Array((BATCH * SLOT_BYTES) / 4);
  let encoder: GPUCommandEncoder | null = null;
  let pass: GPUComputePassEncoder | null = null;
  let batch = 0;
  /** Slots of the ring in use. */
  let slots = 0;

  const submit = (): void => {
    if (!encoder) return;
    pass?.end();
    profiler?.resolve(encoder);
    if (slots > 0) device.queue.writeBuffer(ring, 0, ringWords, 0, (slots * SLOT_BYTES) / 4);
    device.queue.submit([encoder.finish()]);
    profiler?.submitted();
    submits++;
    batch++;
    slots = 0;
    encoder = null;
    pass = null;
  };

  const currentEncoder = (): GPUCommandEncoder => (encoder ??= device.createCommandEncoder());
  const endPass = (): void => {
    pass?.end();
    pass = null;
  };

  const encode = (
    { program: { label, flops = 0 }, params = [], groups }: Pick<Dispatch, "program" | "params" | "groups">,
    pipeline: Pipeline,
    group: GPUBindGroup,
  ): void => {
    const needed = Math.max(1, pipeline.slots);
    if (slots + needed > BATCH) submit();
    const commands = currentEncoder();
    if (profiler) {
      endPass();
      pass = commands.beginComputePass(profiler.pass(label, flops));
    } else pass ??= commands.beginComputePass();
    pass.setPipeline(pipeline.ready as GPUComputePipeline);
    if (pipeline.slots > 0) {
      const start = slots * SLOT_BYTES;
      ringWords.set(params, start / 4);
      pass.setBindGroup(0, group, [start]);
    } else pass.setBindGroup(0, group);
    const rows = Math.ceil(groups / maxWorkgroups);
    pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
    slots += needed;
    dispatches++;
  };

  const drain = (): void => {
    while (backlog.length > 0) {
      const { pipeline, run } = backlog[0] as Command;
      if (lostInfo) {
        // Its reads must fail rather than wait for ever; what the device makes of the rest does not matter.
        backlog.shift();
        run();
        continue;
      }
      if (pipeline && !pipeline.ready) return;
      backlog.shift();
      run();
    }
  };
  gone.then(drain);

  const enqueue = (pipeline: Pipeline | null, run: () => void): void => {
    if (backlog.length === 0 && (!pipeline || pipeline.ready)) run();
    else backlog.push({ pipeline, run });
  };

  // ---- pipelines and bind groups ---------------------------------------------------------------------------------

  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Pipeline>();
  /** By pipeline and buffers. */
  const groups = new Map<string, GPUBindGroup>();

  const layoutOf = ({ bindings, params = [] }: Shader): GPUBindGroupLayout => {
    const key = `${bindings.map(({ access }) => access).join()}/${params.length > 0}`;
    let layout = layouts.get(key);
    if (!layout) {
      const entries: GPUBindGroupLayoutEntry[] = bindings.map(({ access }, binding) => ({
        binding,
        visibility: COMPUTE_STAGE,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      }));
      if (params.length > 0)
        entries.push({
          binding: bindings.length,
          visibility: COMPUTE_STAGE,
          buffer: { type: "uniform", hasDynamicOffset: true },
        });
      layout = device.createBindGroupLayout({ entries });
      layouts.set(key, layout);
    }
    return layout;
  };

  const compile = ({ label, key, shader }: Program): Pipeline => {
    const source = shader();
    const layout = layoutOf(source);
    const module = device.createShaderModule({ label: key, code: moduleSource(source) });
    const pipeline: Pipeline = {
      layout,
      slots: Math.ceil(paramBytes(source.params ?? []) / SLOT_BYTES),
      id: pipelines.size,
      ready: null,
    };
    device
      .createComputePipelineAsync({
        label: key,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: "main" },
      })
      .then(
        (ready) => {
          pipeline.ready = ready;
          drain();
        },
        (error: unknown) => {
          fail(new KernelError(label, BACKEND, key, error));
          // What waits behind it goes on; its own commands are dropped.
          for (let i = backlog.length - 1; i >= 0; i--) if (backlog[i]?.pipeline === pipeline) backlog.splice(i, 1);
          pipelines.delete(key);
          drain();
        },
      );
    pipelines.set(key, pipeline);
    return pipeline;
  };

  const bind = (pipeline: Pipeline, bound: readonly Region[]): GPUBindGroup => {
    let key = `${pipeline.id}`;
    for (const { id } of bound) key += `,${id}`;
    const known = groups.get(key);
    if (known) return known;
    const entries: GPUBindGroupEntry[] = bound.map(({ gpu, offset, bytes }, binding) => ({
      binding,
      resource: { buffer: gpu, offset, size: bytes },
    }));
    if (pipeline.slots > 0)
      entries.push({ binding: bound.length, resource: { buffer: ring, size: pipeline.slots * SLOT_BYTES } });
    const group = device.createBindGroup({ layout: pipeline.layout, entries });
    bindGroupsCreated++;
    if (groups.size >= MAX_GROUPS) groups.clear();
    groups.set(key, group);
    return group;
  };

  const destroyRetired = (): void => {
    if (retired.length === 0) return;
    const gone = retired.splice(0);
    // Their bind groups must not be found any more. Rare: the pool gives memory up when a workload ends.
    groups.clear();
    enqueue(null, () => {
      submit();
      for (const gpu of gone) gpu.destroy();
    });
  };

  const run = ({ program, regions: bound, used, params, groups: count }: MergedDispatch): void => {
    destroyRetired();
    const pipeline = pipelines.get(program.key) ?? compile(program);
    const group = bind(pipeline, bound);
    enqueue(pipeline, () => {
      if (lostInfo) return;
      encode({ program, params, groups: count }, pipeline, group);
      for (const buffer of used) buffer.batch = batch;
    });
  };

  const merger = createMerger({
    fill: (op, storage) => places.fill(op, storage, fitsArena(storage.bytes) ? arenaOf(op) : pool),
    release: (buffer) => {
      if (!destroyed) places.release(buffer);
    },
    dispatch: run,
  });

  const poolFor = (storage: GpuStorage, { program: { label }, inputs, shared }: Dispatch): Pool => {
    if (!shared?.includes(storage) || !fitsArena(storage.bytes)) return pool;
    const arena = arenaOf(label);
    return inputs.some(({ buffer }) => buffer?.pool === arena) ? pool : arena;
  };

  const dispatch = (asked: Dispatch): void => {
    expectAlive();
    const { program, inputs, outputs, params = [] } = asked;
    merger.settle(inputs, outputs);
    for (const storage of outputs) if (!storage.buffer) places.fill(program.label, storage, poolFor(storage, asked));
    const used = [...inputs, ...outputs].map(({ buffer }) => buffer as PooledBuffer);
    run({ program, regions: used, used, params, groups: asked.groups });
  };

  // ---- host ------------------------------------------------------------------------------------------------------

  const write = (storage: GpuStorage, data: Uint8Array<ArrayBuffer>): void => {
    expectAlive();
    merger.settle([], [storage]);
    if (!storage.buffer) places.fill("write", storage, pool);
    const buffer = storage.buffer as PooledBuffer;
    const now = (bytes: Uint8Array<ArrayBuffer>): void => {
      if (lostInfo) return;
      // What is encoded and not yet submitted would see the new contents.
      if (encoder && buffer.batch === batch) submit();
      device.queue.writeBuffer(buffer.gpu, buffer.offset, bytes);
    };
    if (backlog.length === 0) now(data);
    else {
      const copy = data.slice();
      enqueue(null, () => now(copy));
    }
  };

  /** Host-visible buffers by capacity: the ring that reads go through. */
  const staging = new Map<number, GPUBuffer[]>();
  const takeStaging = (capacity: number): GPUBuffer =>
    staging.get(capacity)?.pop() ?? createBuffer(capacity, bufferUsage.mapRead | bufferUsage.copyDst);

  // ---- index checks ----------------------------------------------------------------------------------------------

  const checks: IndexCheck[] = [];
  const checkIds = new Map<string, number>();
  const checkStorage: GpuStorage = {
    // Not of the pool: it starts with zeros.
    buffer: {
      id: nextId(),
      gpu: create(CHECK_BYTES),
      offset: 0,
      bytes: CHECK_BYTES,
      slab: null,
      pool,
      slot: -1,
      batch: -1,
      owner: null,
      guest: null,
    },
    bytes: CHECK_BYTES,
  };
  /** Whether a kernel that checks has run since the last look. */
  let unchecked = false;

  const indexCheck = (check: IndexCheck): { storage: GpuStorage; id: number } => {
    const key = JSON.stringify(check);
    let id = checkIds.get(key);
    if (id === undefined) {
      id = checks.push(check);
      checkIds.set(key, id);
    }
    unchecked = true;
    return { storage: checkStorage, id };
  };

  const judgeCheck = (found: Int32Array): void => {
    const check = checks[(found[0] as number) - 1];
    if (!check) return;
    const { what, extent, where } = check;
    fail(
      new IndexError(`${what}[${found[1]}] (flat) is ${found[2]}, expected 0 to ${extent - 1}${where && ` ${where}`}`),
    );
  };

  /** Contents of the first `bytes` bytes of `storage` (none: only the checks), once all before it is done. */
  const fetch = async (storage: GpuStorage | null, bytes: number): Promise<ArrayBuffer> => {
    // Mapping a buffer waits for what uses this buffer, not for the queue: something must be copied into it.
    const checkBuffer = unchecked || !storage ? (checkStorage.buffer as PooledBuffer) : null;
    unchecked = false;
    const dataBytes = Math.ceil(bytes / 4) * 4;
    const total = dataBytes + (checkBuffer ? CHECK_BYTES : 0);
    const capacity = 2 ** Math.ceil(Math.log2(Math.max(256, total)));
    const target = takeStaging(capacity);
    merger.flush();
    const source = storage?.buffer ?? null;
    places.endSpan();
    const mapped = await new Promise<boolean>((resolve) => {
      enqueue(null, () => {
        if (lostInfo) {
          resolve(false);
          return;
        }
        const commands = currentEncoder();
        endPass();
        if (source) commands.copyBufferToBuffer(source.gpu, source.offset, target, 0, dataBytes);
        if (checkBuffer) {
          commands.copyBufferToBuffer(checkBuffer.gpu, 0, target, dataBytes, CHECK_BYTES);
          commands.clearBuffer(checkBuffer.gpu, 0, CHECK_BYTES);
        }
        submit();
        target.mapAsync(MAP_READ).then(
          () => resolve(true),
          () => resolve(false),
        );
      });
    });
    if (!mapped) {
      if (destroyed) throw new DisposedError(`read: backend ${BACKEND} was disposed`);
      // What keeps a mapping from succeeding is that there was no memory for it, or that the device is gone.
      await allocated;
      if (!failure) await gone;
      tell();
    }
    await allocated;
    const contents = target.getMappedRange(0, Math.max(total, 4)).slice(0);
    target.unmap();
    const free = staging.get(capacity);
    if (free) free.push(target);
    else staging.set(capacity, [target]);
    if (checkBuffer) judgeCheck(new Int32Array(contents, dataBytes, CHECK_BYTES / 4));
    await profiler?.collect();
    tell();
    return contents;
  };

  /** @throws BackendLostError, or what the device has said since the last time. */
  const tell = (): void => {
    expectAlive();
    if (!failure) return;
    const error = failure;
    failure = null;
    throw error;
  };

  return {
    device,
    dispatch,
    update: (update) => {
      expectAlive();
      merger.add(update);
    },
    scratch: (bytes) => ({ buffer: null, bytes }),
    release,
    write,
    read: async (storage, bytes) => {
      expectAlive();
      // Never written: contents are unspecified, but the read is legal.
      storage.buffer ??= pool.take(storage.bytes);
      return fetch(storage, bytes);
    },
    flush: () => {
      merger.flush();
      enqueue(null, submit);
    },
    sync: async () => {
      expectAlive();
      await fetch(null, 0);
    },
    indexCheck,
    get statistics() {
      return {
        buffersCreated,
        bindGroupsCreated,
        pipelinesCreated: pipelines.size,
        dispatches,
        submits,
        liveBytes: pools().reduce((sum, { liveBytes }) => sum + liveBytes, 0),
        pooledBytes: pools().reduce((sum, { pooledBytes }) => sum + pooledBytes, 0),
      };
    },
    lost,
    expectAlive,
    profiler,
    destroy: () => {
      if (destroyed) return;
      destroyed = true;
      for (const each of pools()) each.destroy();
      device.destroy();
    },
  };
};
