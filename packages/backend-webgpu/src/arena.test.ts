import { describe, expect, test } from "vitest";
import { ARENA_LIMIT, createArena, fitsArena } from "./arena.js";
import type { PooledBuffer } from "./pool.js";

const setting = () => {
  const made: number[] = [];
  const retired: GPUBuffer[] = [];
  const broken = new Set<GPUBuffer>();
  let ids = 0;
  const arena = createArena({
    name: "op",
    nextId: () => ids++,
    create: (bytes) => {
      made.push(bytes);
      return { destroy: () => {} } as unknown as GPUBuffer;
    },
    isValid: (gpu) => !broken.has(gpu),
    retire: (gpu) => {
      retired.push(gpu);
    },
  });
  return { arena, made, retired, broken };
};

describe("createArena", () => {
  test("small buffers lie side by side in one, where any device can bind them", () => {
    const { arena, made } = setting();
    const parts = [4, 1000, 100_000, 256, 320].map((bytes) => arena.take(bytes));
    expect(made).toHaveLength(1);
    let end = 0;
    for (const { gpu, offset, bytes } of parts) {
      expect(gpu).toBe(parts[0]?.gpu);
      expect(offset % 256).toBe(0);
      expect(offset).toBeGreaterThanOrEqual(end);
      end = offset + bytes;
    }
    expect(end).toBeLessThanOrEqual(made[0] as number);
    expect(new Set(parts.map(({ id }) => id)).size).toBe(parts.length);
  });

  test("a freed part is given again", () => {
    const { arena } = setting();
    const [a, b] = [arena.take(1000), arena.take(1000)] as [PooledBuffer, PooledBuffer];
    arena.release(a);
    expect(arena.take(1000)).toBe(a);
    expect(arena.take(1000)).not.toBe(b);
  });

  test("a full one is followed by a larger one", () => {
    const { arena, made } = setting();
    const count = 40;
    const gpus = new Set(Array.from({ length: count }, () => arena.take(ARENA_LIMIT).gpu));
    expect(made.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(count * ARENA_LIMIT);
    expect(gpus.size).toBe(made.length);
    expect(made.every((bytes, i) => i === 0 || bytes > (made[i - 1] as number) || bytes === made.at(-1))).toBe(true);
  });

  test("a large buffer is given up with its last part, and not before", () => {
    const { arena, retired } = setting();
    const [a, b] = [arena.take(1000), arena.take(5000)];
    arena.release(a);
    arena.trim();
    expect(retired).toEqual([]);
    arena.release(b);
    arena.trim();
    expect(retired).toEqual([b.gpu]);
    expect(arena.take(1000).gpu).not.toBe(b.gpu);
  });

  test("nothing is put where the device had no memory", () => {
    const { arena, broken } = setting();
    const lost = arena.take(1000);
    broken.add(lost.gpu);
    expect(arena.take(1000).gpu).not.toBe(lost.gpu);
  });
});

test("large tensors stay outside", () => {
  expect(fitsArena(ARENA_LIMIT)).toBe(true);
  expect(fitsArena(ARENA_LIMIT + 4)).toBe(false);
});
