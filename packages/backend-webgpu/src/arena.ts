/**
 * A pool of small buffers that are parts of a few large ones: a kernel that binds a large one reaches all that lies in it,
 * however few buffers a stage may bind. A dispatch must not read and write parts of the same buffer through different
 * bindings, which WebGPU forbids.
 */
import { capacityFor, createPool, type Pool, type PooledBuffer, type Region } from "./pool.js";

/** Bytes of a tensor up to which it may live in an arena. Launching a kernel for less costs more than its work. */
export const ARENA_LIMIT = 2 ** 20;

/** Bytes of the first large buffer. Each further one is four times as large, up to `LARGEST`: few buffers, few dispatches. */
const FIRST = 2 ** 22;
const LARGEST = 2 ** 25;
/** Every device can bind parts that start at multiples of this. */
const ALIGNMENT = 256;

interface Slab extends Region {
  /** Bytes given away so far; parts that were given back are not given again until all were. */
  end: number;
  parts: number;
}

export interface ArenaOptions {
  readonly name: string;
  nextId(): number;
  create(bytes: number): GPUBuffer;
  isValid(gpu: GPUBuffer): boolean;
  /** Takes a large buffer that the arena gives up. */
  retire(gpu: GPUBuffer): void;
}

export const createArena = ({ name, nextId, create, isValid, retire }: ArenaOptions): Pool => {
  let slabs: Slab[] = [];

  const slabFor = (bytes: number): Slab => {
    const known = slabs.find((slab) => slab.end + bytes <= slab.bytes && isValid(slab.gpu));
    if (known) return known;
    const size = Math.min(FIRST * 4 ** slabs.length, LARGEST);
    const slab = { id: nextId(), gpu: create(size), offset: 0, bytes: size, end: 0, parts: 0 };
    slabs.push(slab);
    return slab;
  };

  return createPool({
    name,
    nextId,
    create: (bytes) => {
      const size = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      const slab = slabFor(size);
      const offset = slab.end;
      slab.end += size;
      slab.parts++;
      return { gpu: slab.gpu, offset, slab };
    },
    retire: ({ slab: whole }: PooledBuffer) => {
      const slab = whole as Slab;
      if (--slab.parts > 0) return;
      slabs = slabs.filter((other) => other !== slab);
      retire(slab.gpu);
    },
  });
};

/** Whether a tensor of so many bytes may live in an arena. */
export const fitsArena = (bytes: number): boolean => capacityFor(bytes) <= ARENA_LIMIT;
