/** Where the allocator's room comes from: the pages of a WebAssembly memory. */
export interface Arena {
  /** Bytes in use so far. */
  size(): number;
  /** Adds at least `bytes`, a multiple of 64 KiB; false where that is not to be had. */
  grow(bytes: number): boolean;
}

/** Bytes of a page of WebAssembly. */
export const PAGE = 2 ** 16;

/** The memory itself, but for its last `slack` bytes: kernels may read there, and nothing is put there. */
export const arenaOf = (memory: WebAssembly.Memory, slack: number): Arena => ({
  size: () => memory.buffer.byteLength - slack,
  grow: (bytes) => {
    try {
      memory.grow(bytes / PAGE);
      return true;
    } catch {
      return false;
    }
  },
});

/** Addresses and sizes in bytes, multiples of `GRAIN`. */
export interface Allocator {
  /** The address of `bytes` bytes, or undefined where there is no room. */
  alloc(bytes: number): number | undefined;
  free(address: number): void;
  /** Bytes handed out and not freed, rounded up to `GRAIN`. */
  used(): number;
}

/** A cache line, so that threads never write to the same one of two blocks. */
export const GRAIN = 64;

/** Small requests take pages by the MiB. */
const MIN_GROWTH = 2 ** 20;

/** Four classes an octave: blocks of a class differ by less than a quarter. */
const classOf = (bytes: number): number => {
  const units = bytes / GRAIN;
  const octave = Math.floor(Math.log2(units));
  return octave * 4 + Math.floor((units / 2 ** octave - 1) * 4);
};

/**
 * Best fit among the nearest size class, with neighbours merged as soon as both are free. A training step asks for the
 * same sizes in the same order each time, and so gets the same addresses: memory stops growing after the first steps.
 */
export const createAllocator = (arena: Arena, start: number): Allocator => {
  const used = new Map<number, number>();
  /** Free blocks: address to size, and end to address. */
  const free = new Map<number, number>();
  const ends = new Map<number, number>();
  const classes: Set<number>[] = [];
  let usedBytes = 0;
  let end = start;

  const insert = (address: number, size: number): void => {
    free.set(address, size);
    ends.set(address + size, address);
    const index = classOf(size);
    let list = classes[index];
    if (!list) {
      list = new Set();
      while (classes.length < index) classes.push(new Set());
      classes[index] = list;
    }
    list.add(address);
  };

  const remove = (address: number, size: number): void => {
    free.delete(address);
    ends.delete(address + size);
    classes[classOf(size)]?.delete(address);
  };

  const release = (address: number, size: number): void => {
    let from = address;
    let bytes = size;
    const before = ends.get(from);
    if (before !== undefined) {
      const length = free.get(before) as number;
      remove(before, length);
      from = before;
      bytes += length;
    }
    const after = free.get(address + size);
    if (after !== undefined) {
      remove(address + size, after);
      bytes += after;
    }
    insert(from, bytes);
  };

  const find = (size: number): number | undefined => {
    const first = classOf(size);
    let best: number | undefined;
    let bestSize = Number.POSITIVE_INFINITY;
    for (let index = first; index < classes.length && best === undefined; index++) {
      for (const address of classes[index] as Set<number>) {
        const length = free.get(address) as number;
        if (length < size || length > bestSize || (length === bestSize && address > (best as number))) continue;
        best = address;
        bestSize = length;
      }
    }
    return best;
  };

  /** More room at the end, an eighth of what there is at least: few growths, and little wasted. */
  const extend = (size: number): boolean => {
    const last = ends.get(end);
    const missing = size - (last === undefined ? 0 : end - last);
    const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;
    for (const bytes of [pages(Math.max(missing, MIN_GROWTH, arena.size() / 8)), pages(missing)]) {
      const room = arena.size() - end;
      if (room >= missing || arena.grow(bytes)) {
        const grown = arena.size();
        release(end, grown - end);
        end = grown;
        return true;
      }
    }
    return false;
  };

  return {
    alloc: (bytes) => {
      const size = Math.max(1, Math.ceil(bytes / GRAIN)) * GRAIN;
      let address = find(size);
      if (address === undefined) {
        if (!extend(size)) return undefined;
        address = find(size) as number;
      }
      const length = free.get(address) as number;
      remove(address, length);
      if (length > size) insert(address + size, length - size);
      used.set(address, size);
      usedBytes += size;
      return address;
    },
    free: (address) => {
      const size = used.get(address);
      if (size === undefined) throw new RangeError(`free: nothing was allocated at ${address}`);
      used.delete(address);
      usedBytes -= size;
      release(address, size);
    },
    used: () => usedBytes,
  };
};
