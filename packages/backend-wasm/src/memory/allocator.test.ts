import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Allocator, createAllocator, GRAIN } from "./allocator.js";

const PAGE = 2 ** 16;

/** An arena that may grow up to `limit` bytes. */
const setUp = (limit: number): { allocator: Allocator; size: () => number } => {
  let bytes = PAGE;
  const allocator = createAllocator(
    {
      size: () => bytes,
      grow: (more) => {
        if (bytes + more > limit) return false;
        bytes += more;
        return true;
      },
    },
    GRAIN,
  );
  return { allocator, size: () => bytes };
};

const rounded = (bytes: number): number => Math.max(1, Math.ceil(bytes / GRAIN)) * GRAIN;

test("any requests: inside the arena, aligned, without overlaps; used() is their sum", () => {
  // A positive number allocates so many bytes, another one frees a block, counted from the oldest.
  const steps = fc.array(
    fc.oneof(fc.integer({ min: 1, max: 4 * PAGE }), fc.integer({ min: 1, max: 500 }), fc.integer({ min: -20, max: 0 })),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const { allocator, size } = setUp(4 * 2 ** 20);
      const blocks: { address: number; bytes: number }[] = [];
      for (const step of list) {
        if (step > 0) {
          const address = allocator.alloc(step);
          if (address === undefined) continue;
          expect(address % GRAIN).toBe(0);
          expect(address).toBeGreaterThanOrEqual(GRAIN);
          expect(address + step).toBeLessThanOrEqual(size());
          for (const other of blocks)
            expect(address >= other.address + other.bytes || address + step <= other.address).toBe(true);
          blocks.push({ address, bytes: step });
        } else {
          const [block] = blocks.splice(-step, 1);
          if (block) allocator.free(block.address);
        }
        expect(allocator.used()).toBe(blocks.reduce((sum, { bytes }) => sum + rounded(bytes), 0));
      }
      // All of it is one block again, whatever was freed in which order.
      for (const { address } of blocks) allocator.free(address);
      expect(allocator.used()).toBe(0);
      const whole = allocator.alloc(size() - GRAIN - (size() % GRAIN));
      expect(whole).toBe(GRAIN);
    }),
    { numRuns: 200 },
  );
});

test("neighbours merge, from either side", () => {
  const { allocator } = setUp(PAGE);
  const third = (PAGE - GRAIN) / 3 - (((PAGE - GRAIN) / 3) % GRAIN);
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [0, 2, 1],
    [1, 0, 2],
  ]) {
    const blocks = [0, 1, 2].map(() => allocator.alloc(third) as number);
    expect(allocator.alloc(third)).toBeUndefined();
    for (const i of order) allocator.free(blocks[i] as number);
    const whole = allocator.alloc(3 * third) as number;
    expect(whole).toBe(GRAIN);
    allocator.free(whole);
  }
});

test("the same requests again and again get the same addresses, and the arena does not grow", () => {
  const { allocator, size } = setUp(2 ** 30);
  const weights = [1000, 40000, 2 ** 20].map((bytes) => allocator.alloc(bytes));
  expect(weights).not.toContain(undefined);
  const step = (): number[] => {
    const addresses: number[] = [];
    const alive: number[] = [];
    for (let i = 0; i < 60; i++) {
      const address = allocator.alloc(1 + ((i * 7919 * 513) % 300_000)) as number;
      addresses.push(address);
      alive.push(address);
      if (i % 3 === 2) allocator.free(alive.splice((i * 5) % alive.length, 1)[0] as number);
    }
    for (const address of alive) allocator.free(address);
    return addresses;
  };
  const first = step();
  const used = allocator.used();
  const bytes = size();
  for (let i = 0; i < 50; i++) expect(step()).toEqual(first);
  expect(allocator.used()).toBe(used);
  expect(size()).toBe(bytes);
});

describe("when there is no room", () => {
  test("alloc gives undefined and changes nothing", () => {
    const limit = 2 ** 21;
    const { allocator, size } = setUp(limit);
    const kept = allocator.alloc(PAGE) as number;
    const used = allocator.used();
    const bytes = size();
    expect(allocator.alloc(2 * limit)).toBeUndefined();
    expect(allocator.used()).toBe(used);
    expect(size()).toBe(bytes);
    // What is there is still to be had, to the last grain.
    const rest = limit - (kept + PAGE);
    const last = allocator.alloc(rest) as number;
    expect(last).toBe(kept + PAGE);
    expect(allocator.alloc(1)).toBeUndefined();
    allocator.free(last);
    expect(allocator.alloc(rest)).toBe(last);
  });

  test("growth that is too generous is tried again with just what is missing", () => {
    const { allocator, size } = setUp(3 * PAGE);
    expect(allocator.alloc(2 * PAGE)).toBe(GRAIN);
    expect(size()).toBe(3 * PAGE);
  });
});

test("free refuses what was not allocated, or was freed", () => {
  const { allocator } = setUp(PAGE);
  const address = allocator.alloc(100) as number;
  expect(() => allocator.free(address + GRAIN)).toThrow(`free: nothing was allocated at ${address + GRAIN}`);
  allocator.free(address);
  expect(() => allocator.free(address)).toThrow(RangeError);
});
