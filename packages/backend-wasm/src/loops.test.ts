import fc from "fast-check";
import { expect, test } from "vitest";
import { i32, i32x4, type V128, v128 } from "./assembler/instructions.js";
import type { FunctionBody, Local } from "./assembler/module.js";
import { loadBytes, narrowToBytes, partOf, pointwiseLoop, split, storeBytes, storeLanes } from "./loops.js";
import { assembleFunction } from "./testing/assemble-function.js";
import { MAX_TASKS } from "./threads/protocol.js";

test("split covers all units, with no empty task and not too many", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 }), fc.integer({ min: 1, max: 100_000 }), (count, limit) => {
      const { tasks, chunk } = split(count, limit);
      expect(tasks).toBeLessThanOrEqual(MAX_TASKS);
      expect(tasks * chunk).toBeGreaterThanOrEqual(count);
      expect((tasks - 1) * chunk).toBeLessThan(count);
    }),
  );
});

test("partOf gives each task its units", () => {
  const { memory, call } = assembleFunction(3, (b, task, count, chunk) => {
    const { start, length } = partOf(b, task, count, chunk);
    b.do(i32.store(0, start));
    b.do(i32.store(0, length, 4));
  });
  const part = (task: number, count: number, chunk: number): number[] => {
    call(task, count, chunk);
    return [memory.getInt32(0, true), memory.getInt32(4, true)];
  };
  expect(part(0, 10, 4)).toEqual([0, 4]);
  expect(part(1, 10, 4)).toEqual([4, 4]);
  expect(part(2, 10, 4)).toEqual([8, 2]);
  expect(part(0, 3, 4)).toEqual([0, 3]);
});

const SOURCE = 256;

const partialStore = (store: (b: FunctionBody, to: Local<"i32">, value: V128, count: Local<"i32">) => void) => {
  const { memory, call } = assembleFunction(1, (b, count) => store(b, b.let(i32.const(8)), v128.load(SOURCE), count));
  const bytes = new Uint8Array(memory.buffer);
  for (let i = 0; i < 16; i++) bytes[SOURCE + i] = i + 1;
  return (count: number): number[] => {
    bytes.fill(0, 0, 32);
    call(count);
    return [...bytes.slice(0, 32)];
  };
};

test("storeLanes and storeBytes write what they are asked to, and no more", () => {
  const storedLanes = partialStore(storeLanes);
  const storedBytes = partialStore(storeBytes);
  for (const count of [0, 1, 2, 3]) {
    const expected = (n: number) => Array.from({ length: 32 }, (_, i) => (i >= 8 && i < 8 + n ? i - 7 : 0));
    expect(storedLanes(count)).toEqual(expected(4 * count));
    expect(storedBytes(count)).toEqual(expected(count));
    expect(storedLanes(count + 4)).toEqual(expected(4 * count));
  }
});

test.each([1, 2, 4] as const)("pointwiseLoop, %d vectors a round: bytes and words, walked and repeated", (unroll) => {
  const [A, B, C, Y] = [1024, 2048, 3072, 4096];
  const { memory, call } = assembleFunction(1, (b, count) => {
    const at = (address: number) => b.let(i32.const(address));
    pointwiseLoop(
      b,
      count,
      [
        { address: at(A), bytes: 4, step: 1 },
        { address: at(B), bytes: 1, step: 1 },
        { address: at(C), bytes: 1, step: 0 },
      ],
      { address: at(Y), bytes: 4 },
      ([x, y, z]) => i32x4.add(i32x4.mul(x as V128, y as V128), z as V128),
      unroll,
    );
  });
  const words = new Int32Array(memory.buffer);
  const bytes = new Uint8Array(memory.buffer);
  for (let i = 0; i < 64; i++) {
    words[A / 4 + i] = i - 20;
    bytes[B + i] = 255 - i;
  }
  bytes[C] = 200;
  for (const count of [0, 1, 3, 4, 5, 15, 16, 17, 33]) {
    words.fill(-77, Y / 4, Y / 4 + 64);
    call(count);
    const expected = Array.from({ length: 64 }, (_, i) => (i < count ? (i - 20) * (255 - i) + 200 : -77));
    expect([...words.slice(Y / 4, Y / 4 + 64)]).toEqual(expected);
  }
});

test("loadBytes and narrowToBytes are inverse", () => {
  const { memory, call } = assembleFunction(0, (b) => {
    const lanes = b.let(loadBytes(0, 4));
    b.do(v128.store(16, lanes));
    b.do(v128.store32Lane(32, narrowToBytes(lanes), 0));
  });
  const bytes = new Uint8Array(memory.buffer);
  bytes.set([0, 128, 255, 7], 4);
  call();
  expect([...new Int32Array(memory.buffer, 16, 4)]).toEqual([0, 128, 255, 7]);
  expect([...bytes.slice(32, 36)]).toEqual([0, 128, 255, 7]);
});
