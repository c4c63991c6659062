import { describe, expect, test } from "vitest";
import { ARENA_LIMIT, createArena } from "./arena.js";
import { createMerger, type MergedDispatch, type Update } from "./merger.js";
import type { PooledBuffer } from "./pool.js";
import type { GpuStorage } from "./stream.js";

const setting = () => {
  let ids = 0;
  const arenaOf = (name: string) =>
    createArena({
      name,
      nextId: () => ids++,
      create: () => ({}) as GPUBuffer,
      isValid: () => true,
      retire: () => {},
    });
  const [gradients, updates] = [arenaOf("gradients"), arenaOf("updates")];
  const storage = (bytes = 64): GpuStorage => ({ buffer: null, bytes });
  const gradient = (bytes?: number): GpuStorage => {
    const made = storage(bytes);
    made.buffer = gradients.take(made.bytes);
    return made;
  };
  const ran: MergedDispatch[] = [];
  const released: PooledBuffer[] = [];
  const merger = createMerger({
    fill: (_, made) => {
      made.buffer = updates.take(made.bytes);
    },
    release: (buffer) => {
      released.push(buffer);
    },
    dispatch: (merged) => {
      ran.push(merged);
    },
  });
  const update = (input: GpuStorage, change: Partial<Update> = {}): GpuStorage => {
    const output = storage(input.bytes);
    const source = () => ({ body: "out0 = in0;" });
    const whole = { label: "copy", key: "copy", inputs: [input], outputs: [output], scalars: [7], source };
    merger.add({ ...whole, size: input.bytes / 4, ...change });
    return output;
  };
  return { merger, gradient, update, ran, released };
};

describe("createMerger", () => {
  test("updates of one program on the same buffers are one dispatch", () => {
    const { merger, gradient, update, ran } = setting();
    const inputs = [gradient(64), gradient(4096), gradient(16)];
    const outputs = inputs.map((input) => update(input));
    expect(ran).toEqual([]);
    merger.flush();
    merger.flush();
    expect(ran).toHaveLength(1);
    const { regions, params, groups, used } = ran[0] as MergedDispatch;
    expect(regions).toHaveLength(2);
    // 4 vectors: 1 workgroup; 256 vectors: 4; 1 vector: 1.
    expect(groups).toBe(6);
    const at = (s: GpuStorage | undefined): number => (s?.buffer?.offset ?? Number.NaN) / 16;
    expect(params.slice(0, 12)).toEqual([
      ...[0, 4, at(inputs[0]), at(outputs[0])],
      ...[1, 256, at(inputs[1]), at(outputs[1])],
      ...[5, 1, at(inputs[2]), at(outputs[2])],
    ]);
    expect(params.slice(-2)).toEqual([3, 7]);
    expect(new Set(used).size).toBe(6);
  });

  test("one that reads what another writes runs after it", () => {
    const { merger, gradient, update, ran } = setting();
    update(update(gradient()));
    expect(ran).toHaveLength(1);
    merger.flush();
    expect(ran).toHaveLength(2);
  });

  test("other programs, scalars and buffers are other dispatches", () => {
    const { merger, gradient, update, ran } = setting();
    update(gradient());
    update(gradient(), { scalars: [8] });
    update(gradient(), { key: "other" });
    const lone = gradient();
    (lone as { buffer: unknown }).buffer = { ...(lone.buffer as object), id: 10_000, slab: null };
    update(lone);
    merger.flush();
    expect(ran).toHaveLength(4);
  });

  test("a reader of the result makes it run, a reader of the operand does not; a writer of either does", () => {
    const { merger, gradient, update, ran } = setting();
    const input = gradient();
    const output = update(input);
    merger.settle([input, gradient()], [gradient()]);
    expect(ran).toHaveLength(0);
    merger.settle([output], []);
    expect(ran).toHaveLength(1);
    update(input);
    merger.settle([], [input]);
    expect(ran).toHaveLength(2);
  });

  test("what waits keeps its buffers until it has run", () => {
    const { merger, gradient, update, released } = setting();
    const [input, other] = [gradient(), gradient()];
    const buffer = input.buffer as PooledBuffer;
    expect(merger.holds(buffer)).toBe(false);
    update(input);
    expect(merger.holds(buffer)).toBe(true);
    expect(merger.holds(other.buffer as PooledBuffer)).toBe(false);
    expect(released).toEqual([]);
    merger.flush();
    expect(released).toEqual([buffer]);
  });

  test("large ones do not wait, and many fill several tables", () => {
    const { merger, gradient, update, ran } = setting();
    const large = gradient(ARENA_LIMIT);
    update(large, { size: ARENA_LIMIT / 4 + 1 });
    expect(ran).toHaveLength(1);
    for (let i = 0; i < 500; i++) update(gradient());
    merger.flush();
    expect(ran.slice(1).map(({ groups }) => groups)).toEqual([240, 240, 20]);
  });

  test("parameters fit into 4 KiB, those of one alone into 256 bytes", () => {
    const { merger, gradient, update, ran } = setting();
    const scalars = Array.from({ length: 47 }, (_, i) => i);
    const [a, b] = [gradient(), gradient()];
    update(a, { scalars, inputs: [a, b, a, b, a, b, a] });
    merger.flush();
    update(a, { scalars, inputs: [a, b, a, b, a, b, a] });
    update(b, { scalars, inputs: [a, b, a, b, a, b, a] });
    merger.flush();
    expect(ran.map(({ params }) => params.length <= 64)).toEqual([true, false]);
    expect(ran[1]?.params.length).toBeLessThanOrEqual(1024);
  });
});
