import { describe, expect, test } from "vitest";
import { createPlaces } from "./places.js";
import { createPool, type PooledBuffer } from "./pool.js";

const setting = () => {
  let made = 0;
  const pool = createPool({
    name: "",
    nextId: () => made,
    create: () => {
      made++;
      return { gpu: { destroy: () => {} } as unknown as GPUBuffer, offset: 0, slab: null };
    },
    retire: () => {},
  });
  const places = createPlaces(() => true);
  const make = (op: string, bytes: number): { buffer: PooledBuffer | null; bytes: number } => {
    const storage = { buffer: null as PooledBuffer | null, bytes };
    places.fill(op, storage, pool);
    return storage;
  };
  const free = (storage: { buffer: PooledBuffer | null }): void => {
    places.release(storage.buffer as PooledBuffer);
    storage.buffer = null;
  };
  return { places, make, free, made: () => made };
};

const big = 2 ** 20;

describe("createPlaces", () => {
  test("what is gone at the end of a round gets the buffers of the round before", () => {
    const { places, make, free } = setting();
    const round = (): number[] => {
      const a = make("conv2d", big);
      const b = make("conv2d", big);
      free(a);
      const c = make("relu", big);
      const ids = [a, b, c].map(({ buffer }) => buffer?.id ?? -1);
      free(c);
      free(b);
      places.endSpan();
      // `a` is free by now.
      return [...ids.slice(1), b.bytes];
    };
    const first = round();
    expect(round()).toEqual(first);
    expect(round()).toEqual(first);
  });

  test("what stays takes turns between two buffers, and disturbs nothing else", () => {
    const { places, make, free, made } = setting();
    let weight = make("write", big);
    const seen: string[] = [];
    for (let round = 0; round < 8; round++) {
      const activation = make("conv2d", big);
      const gradient = make("conv2dGradWeight", big);
      const next = make("pointwise", big);
      const ids = [weight, activation, gradient, next].map(({ buffer }) => buffer?.id);
      free(weight);
      weight = next;
      free(activation);
      free(gradient);
      places.endSpan();
      seen.push(ids.join());
    }
    // The rounds that come later are copies of the two before them.
    expect(seen.slice(3)).toEqual([seen[1], seen[2], seen[1], seen[2], seen[1]]);
    expect(made()).toBeLessThanOrEqual(6);
  });

  test("a buffer of a place that is not used any more goes back to all", () => {
    const { places, make, free, made } = setting();
    const stays = make("pointwise", big);
    places.endSpan();
    places.endSpan();
    places.endSpan();
    free(stays);
    const before = made();
    make("other", big);
    expect(made()).toBe(before);
  });

  test("work that is over gives its spare buffers back", () => {
    const { places, make, free, made } = setting();
    let weight = make("pointwise", big);
    for (let round = 0; round < 3; round++) {
      places.endSpan();
      const next = make("pointwise", big);
      free(weight);
      weight = next;
    }
    free(weight);
    for (let round = 0; round < 200; round++) places.endSpan();
    const before = made();
    for (let i = 0; i < before; i++) make("other", big);
    expect(made()).toBe(before);
  });
});
