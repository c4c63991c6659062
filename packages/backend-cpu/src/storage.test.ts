import { DisposedError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createAllocator } from "./storage.js";

const floats = (length: number) => ({ shape: [length], dtype: "float32" }) as const;

describe("createAllocator", () => {
  test("gives a freed array to the next tensor of its size and type, and to no other", () => {
    const { alloc, free } = createAllocator("cpu", 1000);
    const first = alloc(floats(6));
    const { elements } = first;
    free(first);
    expect(alloc({ shape: [6], dtype: "int32" }).elements).toBeInstanceOf(Int32Array);
    expect(alloc(floats(7)).elements).toHaveLength(7);
    expect(alloc({ shape: [2, 3], dtype: "float32" }).elements).toBe(elements);
    expect(alloc(floats(6)).elements).not.toBe(elements);
  });

  test("a freed storage has no elements left to touch, and is freed once", () => {
    const { alloc, free } = createAllocator("cpu", 1000);
    const storage = alloc(floats(6));
    free(storage);
    free(storage);
    expect(storage.elements).toHaveLength(0);
    expect(alloc(floats(6)).elements).not.toBe(alloc(floats(6)).elements);
  });

  test("keeps no more than its bound: the oldest sizes go first", () => {
    const { alloc, free } = createAllocator("cpu", 100);
    const [small, large, huge] = [alloc(floats(10)), alloc(floats(20)), alloc(floats(26))];
    const { elements: smallElements } = small;
    const { elements: largeElements } = large;
    const { elements: hugeElements } = huge;
    for (const storage of [huge, small, large]) free(storage);
    expect(alloc(floats(26)).elements).not.toBe(hugeElements);
    expect(alloc(floats(10)).elements).not.toBe(smallElements);
    expect(alloc(floats(20)).elements).toBe(largeElements);
  });

  test("is of no use once disposed", () => {
    const { alloc, dispose } = createAllocator("cpu", 100);
    dispose();
    expect(() => alloc(floats(1))).toThrow(DisposedError);
  });
});
