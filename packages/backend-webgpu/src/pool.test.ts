import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { capacityFor, createPool, type PooledBuffer } from "./pool.js";

interface Fake {
  readonly bytes: number;
  destroyed: boolean;
}

const fakePool = () => {
  const made: Fake[] = [];
  const retired: PooledBuffer[] = [];
  let ids = 0;
  const pool = createPool({
    name: "",
    nextId: () => ids++,
    create: (bytes) => {
      const fake: Fake = { bytes, destroyed: false };
      made.push(fake);
      return { gpu: { ...fake, destroy: () => {} } as unknown as GPUBuffer, offset: 0, slab: null };
    },
    retire: (buffer) => {
      retired.push(buffer);
    },
  });
  return { pool, made, retired };
};

describe("capacityFor", () => {
  test("holds what was asked for, wastes little, and is a multiple of a vector's bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 31 }), (bytes) => {
        const capacity = capacityFor(bytes);
        expect(capacity).toBeGreaterThanOrEqual(bytes);
        expect(capacity).toBeLessThanOrEqual(Math.max(256, bytes * 1.25 + 64));
        expect(capacity % 16).toBe(0);
        expect(capacityFor(capacity)).toBe(capacity);
      }),
    );
  });
});

describe("createPool", () => {
  test("gives a freed buffer again to the next of its size", () => {
    const { pool, made } = fakePool();
    const first = pool.take(1000);
    pool.release(first);
    expect(pool.take(990)).toBe(first);
    expect(made).toHaveLength(1);
  });

  test("never gives a buffer that is in use", () => {
    const { pool } = fakePool();
    const taken = [pool.take(300), pool.take(300), pool.take(300)];
    expect(new Set(taken).size).toBe(3);
  });

  test("gives a certain free buffer", () => {
    const { pool } = fakePool();
    const [a, b, c] = [pool.take(300), pool.take(300), pool.take(300)];
    for (const buffer of [a, b, c]) pool.release(buffer);
    pool.claim(a);
    expect(pool.take(300)).not.toBe(a);
    expect(pool.take(300)).not.toBe(a);
    expect(pool.pooledBytes).toBe(0);
  });

  test("counts bytes in use and bytes that are free", () => {
    const { pool } = fakePool();
    const buffer = pool.take(5000);
    expect([pool.liveBytes, pool.pooledBytes]).toEqual([5120, 0]);
    pool.release(buffer);
    expect([pool.liveBytes, pool.pooledBytes]).toEqual([0, 5120]);
  });

  test("keeps no more free memory than was in use at the peak, and a little", () => {
    const { pool, retired } = fakePool();
    const step = 32 * 2 ** 20;
    // Each size of its own class, one at a time: nothing is reused.
    for (let i = 1; i <= 8; i++) pool.release(pool.take(step + i * 8 * 2 ** 20));
    expect(pool.pooledBytes).toBeLessThanOrEqual(96 * 2 ** 20 + 64 * 2 ** 20);
    expect(retired.length).toBeGreaterThan(0);
    expect(retired.every(({ slot }) => slot < 0)).toBe(true);
  });

  test("trim gives up all that is free and nothing else", () => {
    const { pool, retired } = fakePool();
    const kept = pool.take(100);
    const freed = pool.take(100);
    pool.release(freed);
    pool.trim();
    expect(retired).toEqual([freed]);
    expect([pool.liveBytes, pool.pooledBytes]).toEqual([kept.bytes, 0]);
  });
});
