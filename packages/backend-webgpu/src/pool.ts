/**
 * Device buffers by size class. A freed buffer is reused at once: everything runs in one queue, in order, so what comes
 * later cannot disturb what was dispatched before.
 */
import type { Place } from "./places.js";

/** What a binding binds: a GPUBuffer or a part of it. */
export interface Region {
  /** No other region has it. */
  readonly id: number;
  readonly gpu: GPUBuffer;
  /** Bytes from the start of `gpu`. */
  readonly offset: number;
  readonly bytes: number;
}

/** A region that can hold a tensor. Which storage owns it changes over time. */
export interface PooledBuffer extends Region {
  /** Capacity: at least what was asked for. */
  readonly bytes: number;
  /** The whole GPUBuffer that it is a part of; null if it is all of it. */
  readonly slab: Region | null;
  readonly pool: Pool;
  /** Position among the free buffers of its class; negative while in use, or when it was given up. */
  slot: number;
  /** Number of the last batch of commands that used it. */
  batch: number;
  /** Where it goes back to when it is freed; null: to the pool. */
  owner: Place | null;
  /** The last place that had it from the pool. */
  guest: Place | null;
}

export interface Pool {
  /** No other pool of the device has it. */
  readonly name: string;
  /** The free buffer of the class that was freed last and `suits`, or a new one. */
  take(bytes: number, suits?: (buffer: PooledBuffer) => boolean): PooledBuffer;
  /** This very buffer; it must be free. */
  claim(buffer: PooledBuffer): void;
  release(buffer: PooledBuffer): void;
  /** As `release`, but the buffer is not kept. */
  discard(buffer: PooledBuffer): void;
  /** Destroys all free buffers. */
  trim(): void;
  destroy(): void;
  readonly liveBytes: number;
  readonly pooledBytes: number;
}

/**
 * Capacity for `bytes`: eighths of a power of two, at least 256 bytes. Sizes close to each other share buffers, and at
 * most an eighth is wasted.
 */
export const capacityFor = (bytes: number): number => {
  if (bytes <= 256) return 256;
  const step = Math.max(64, 2 ** (Math.floor(Math.log2(bytes - 1)) - 2));
  return Math.ceil(bytes / step) * step;
};

/** Where a buffer's bytes lie. */
export type Room = Pick<PooledBuffer, "gpu" | "offset" | "slab">;

export interface PoolOptions {
  readonly name: string;
  nextId(): number;
  create(bytes: number): Room;
  /** Takes a buffer that the pool gives up, and destroys it when no pending command uses it any more. */
  retire(buffer: PooledBuffer): void;
}

/** Freed memory that is always kept, however little is in use. */
const KEPT_BYTES = 64 * 2 ** 20;

export const createPool = ({ name, nextId, create, retire }: PoolOptions): Pool => {
  const classes = new Map<number, PooledBuffer[]>();
  const all = new Set<PooledBuffer>();
  let liveBytes = 0;
  let pooledBytes = 0;
  let peakBytes = 0;

  const freeOf = (capacity: number): PooledBuffer[] => {
    const list = classes.get(capacity) ?? [];
    classes.set(capacity, list);
    return list;
  };

  /** Out of the free list, by moving the last one into its place. */
  const unlist = (buffer: PooledBuffer): void => {
    const list = freeOf(buffer.bytes);
    const last = list.pop() as PooledBuffer;
    if (last !== buffer) {
      list[buffer.slot] = last;
      last.slot = buffer.slot;
    }
    buffer.slot = -1;
    pooledBytes -= buffer.bytes;
  };

  const enterUse = (buffer: PooledBuffer): void => {
    liveBytes += buffer.bytes;
    peakBytes = Math.max(peakBytes, liveBytes);
  };

  const discard = (buffer: PooledBuffer): void => {
    all.delete(buffer);
    retire(buffer);
  };

  const trimTo = (limit: number): void => {
    for (const list of classes.values()) {
      while (pooledBytes > limit && list.length > 0) {
        const buffer = list[0] as PooledBuffer;
        unlist(buffer);
        discard(buffer);
      }
    }
  };

  const pool: Pool = {
    name,
    take: (bytes, suits) => {
      const capacity = capacityFor(bytes);
      const list = freeOf(capacity);
      let buffer = suits ? list.findLast(suits) : list[list.length - 1];
      if (buffer) unlist(buffer);
      else {
        buffer = {
          id: nextId(),
          ...create(capacity),
          bytes: capacity,
          pool,
          slot: -1,
          batch: -1,
          owner: null,
          guest: null,
        };
        all.add(buffer);
      }
      enterUse(buffer);
      return buffer;
    },
    claim: (buffer) => {
      unlist(buffer);
      enterUse(buffer);
    },
    release: (buffer) => {
      liveBytes -= buffer.bytes;
      pooledBytes += buffer.bytes;
      const list = freeOf(buffer.bytes);
      buffer.slot = list.length;
      list.push(buffer);
      // A loop frees no more than it had in use at its peak; what is beyond belongs to work that is over.
      if (pooledBytes > peakBytes + KEPT_BYTES) trimTo(peakBytes + KEPT_BYTES);
    },
    discard: (buffer) => {
      liveBytes -= buffer.bytes;
      discard(buffer);
    },
    trim: () => trimTo(0),
    destroy: () => {
      // Parts of one buffer destroy it several times, which does nothing.
      for (const buffer of all) buffer.gpu.destroy();
      all.clear();
      classes.clear();
    },
    get liveBytes() {
      return liveBytes;
    },
    get pooledBytes() {
      return pooledBytes;
    },
  };
  return pool;
};
