import { describe, expect, test } from "vitest";
import { assembleFunction } from "../testing/assemble-function.js";
import { f32, f64, f64x2, i32, i64, v128 } from "./instructions.js";
import { assemble, defineFunction, type Imported } from "./module.js";

describe("control flow", () => {
  test("for counts from start below end, in steps", () => {
    const { memory, call } = assembleFunction(2, (b, start, end) => {
      const sum = b.let(i32.const(0));
      const rounds = b.let(i32.const(0));
      b.for(start, end, 3, (index) => {
        b.increment(sum, index);
        b.increment(rounds, 1);
      });
      b.do(i32.store(0, sum));
      b.do(i32.store(0, rounds, 4));
    });
    const result = (start: number, end: number): number[] => {
      call(start, end);
      return [memory.getInt32(0, true), memory.getInt32(4, true)];
    };
    expect(result(0, 10)).toEqual([0 + 3 + 6 + 9, 4]);
    expect(result(2, 3)).toEqual([2, 1]);
    expect(result(5, 5)).toEqual([0, 0]);
    expect(result(6, 5)).toEqual([0, 0]);
    // Unsigned: addresses may be beyond 2^31.
    expect(result(2 ** 31 - 2, 2 ** 31 + 4)).toEqual([(2 ** 31 - 2 + 2 ** 31 + 1) | 0, 2]);
  });

  test("for with atLeastOnce makes a first round without asking", () => {
    const { memory, call } = assembleFunction(1, (b, end) => {
      const rounds = b.let(i32.const(0));
      b.for(0, end, 1, () => b.increment(rounds, 1), { atLeastOnce: true });
      b.do(i32.store(0, rounds));
    });
    for (const [end, rounds] of [
      [0, 1],
      [1, 1],
      [7, 7],
    ] as const) {
      call(end);
      expect(memory.getInt32(0, true)).toBe(rounds);
    }
  });

  test("if takes one branch", () => {
    const { memory, call } = assembleFunction(1, (b, condition) => {
      const result = b.let(i32.const(0));
      b.if(condition, () => b.increment(result, 1));
      b.if(
        i32.eqz(condition),
        () => b.increment(result, 10),
        () => b.increment(result, 20),
      );
      b.do(i32.store(0, result));
    });
    call(0);
    expect(memory.getInt32(0, true)).toBe(10);
    call(-5);
    expect(memory.getInt32(0, true)).toBe(21);
  });

  test("leave ends its own loop, through ifs and other loops inside and outside", () => {
    // The pairs (i, j) with j <= i, until i is n: counted by three kinds of loops in each other.
    const { memory, call } = assembleFunction(1, (b, n) => {
      const pairs = b.let(i32.const(0));
      const i = b.let(i32.const(0));
      b.forever((leaveOuter) => {
        b.if(i32.geU(i, 2), () => leaveOuter(i32.eq(i, n)));
        leaveOuter(i32.eq(i, n));
        const j = b.let(i32.const(0));
        b.for(
          0,
          1,
          1,
          () =>
            b.forever((leaveInner) => {
              b.increment(pairs, 1);
              b.if(
                i32.eq(j, i),
                () => b.if(i32.const(1), () => leaveInner(i32.const(1))),
                () => b.increment(pairs, 100),
              );
              b.increment(j, 1);
            }),
          { atLeastOnce: true },
        );
        b.for(0, 2, 1, () => b.if(i32.const(1), () => leaveOuter(i32.eq(i, 9))));
        b.increment(i, 1);
      });
      b.do(i32.store(0, pairs));
    });
    const count = (n: number): number => {
      call(n);
      return memory.getInt32(0, true);
    };
    expect(count(0)).toBe(0);
    expect(count(1)).toBe(1);
    expect(count(4)).toBe(10 + 100 * 6);
    // Left at i = 9, in the middle of a for.
    expect(count(50)).toBe(55 + 100 * 45);
  });
});

describe("locals", () => {
  test("of every type, in runs and mixed, keep their values", () => {
    const { memory, call } = assembleFunction(2, (b, p, q) => {
      const a = b.let(i32.add(p, q));
      const c = b.let(f64.const(0.1));
      const d = b.let(f64.const(-3));
      const e = b.let(f32.const(1.5));
      const f = b.let(i64.extendS(i32.const(-7)));
      const g = b.let(f64x2.const(2.5));
      const h = b.local("i32");
      b.set(h, i32.wrap(f));
      b.do(i32.store(0, a));
      b.do(f64.store(0, c, 8));
      b.do(f64.store(0, d, 16));
      b.do(f32.store(0, e, 24));
      b.do(i32.store(0, h, 28));
      b.do(v128.store(0, g, 32));
    });
    call(40, 2);
    expect(memory.getInt32(0, true)).toBe(42);
    expect([8, 16, 32, 40].map((at) => memory.getFloat64(at, true))).toEqual([0.1, -3, 2.5, 2.5]);
    expect(memory.getFloat32(24, true)).toBe(1.5);
    expect(memory.getInt32(28, true)).toBe(-7);
  });

  test("more than 127 of them", () => {
    const { memory, call } = assembleFunction(0, (b) => {
      const locals = Array.from({ length: 300 }, (_, i) => b.let(i32.const(i)));
      locals.forEach((local, i) => b.do(i32.store(4 * i, local)));
    });
    call();
    expect(Array.from({ length: 300 }, (_, i) => memory.getInt32(4 * i, true))).toEqual(
      Array.from({ length: 300 }, (_, i) => i),
    );
  });
});

test("several imports, each called several times", () => {
  const half: Imported<"f64"> = { name: "half", params: ["f64"], result: "f64" };
  const add: Imported<"i32"> = { name: "add", params: ["i32", "i32"], result: "i32" };
  const { memory, call } = assembleFunction(
    0,
    (b) => {
      b.do(f64.store(0, b.call(half, [b.call(half, [f64.const(10)])])));
      b.do(i32.store(8, b.call(add, [i32.const(2), b.call(add, [i32.const(3), i32.const(4)])])));
      b.do(f64.store(16, b.call(half, [f64.const(1)])));
    },
    { half: (x) => x / 2, add: (x, y) => x + y },
  );
  call();
  expect(memory.getFloat64(0, true)).toBe(2.5);
  expect(memory.getInt32(8, true)).toBe(9);
  expect(memory.getFloat64(16, true)).toBe(0.5);
});

test("a module of several functions exports each by its name, and takes shared memory", () => {
  const store = (name: string, value: number) =>
    defineFunction({ name, params: ["i32", "f32"], build: (b, address) => b.do(i32.store(address, i32.const(value))) });
  const bytes = assemble({
    memory: { initial: 1, maximum: 2, shared: true },
    functions: [store("first", 1), store("second", 2)],
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { memory } });
  for (const [name, value] of [
    ["first", 1],
    ["second", 2],
  ] as const) {
    (exports[name] as (address: number, unused: number) => void)(64, 0);
    expect(new Int32Array(memory.buffer)[16]).toBe(value);
  }
});
