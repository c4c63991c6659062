import { describe, expect, test } from "vitest";
import { assembleFunction } from "../testing/assemble-function.js";
import {
  type Expr,
  f32,
  f32x4,
  f64,
  f64x2,
  i8x16,
  i16x8,
  i32,
  i32x4,
  i64,
  i64x2,
  type Statement,
  select,
  type V128,
  type ValueType,
  v128,
} from "./instructions.js";
import { assemble, defineFunction } from "./module.js";

type Instruction = (...operands: unknown[]) => Expr | Statement;

const groups = { i32, i64, f32, f64, v128, i32x4, i16x8, i8x16, i64x2, f32x4, f64x2 } as const;
const instructions = Object.entries(groups).flatMap(([group, table]) =>
  Object.entries(table).map(([name, f]) => [`${group}.${name}`, f as unknown as Instruction] as const),
);

const valueTypes: readonly ValueType[] = ["i32", "i64", "f32", "f64", "v128"];

/** Immediates that stand between or behind the operands, by the name's form; the rest takes operands alone. */
const forms: readonly (readonly [RegExp, number, (f: Instruction, operands: readonly Expr[]) => Expr | Statement])[] = [
  [/\.const$/, 0, (f) => f(3)],
  [/\.load/, 1, (f, [address]) => f(address, 40)],
  [/\.store\d+Lane$/, 2, (f, [address, v]) => f(address, v, 1, 40)],
  [/\.store/, 2, (f, [address, value]) => f(address, value, 40)],
  [/\.extractLane$/, 1, (f, [v]) => f(v, 1)],
  [/\.replaceLane$/, 2, (f, [v, value]) => f(v, 1, value)],
  [/\.shuffle$/, 2, (f, [a, b]) => f(a, b, [0, 5, 2, 7])],
  [/\.shuffleBytes$/, 2, (f, [a, b]) => f(a, b, [0, 31, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])],
];

/** The tuples of `count` value types for which the engine takes the instruction, with the result type that it claims. */
const acceptedTypes = (name: string, f: Instruction): string[] => {
  const [, count, apply] = forms.find(([pattern]) => pattern.test(name)) ?? [
    undefined,
    f.length,
    (instruction: Instruction, operands: readonly Expr[]) => instruction(...operands),
  ];
  const tuples = Array.from({ length: count }).reduce<ValueType[][]>(
    (list) => list.flatMap((tuple) => valueTypes.map((type) => [...tuple, type])),
    [[]],
  );
  return tuples
    .filter((params) =>
      WebAssembly.validate(
        assemble({
          memory: { initial: 1, maximum: 1, shared: false },
          functions: [
            defineFunction({
              name: "f",
              params,
              build: (b, ...operands) => {
                const built = apply(f, operands as readonly Expr[]);
                if ("type" in built) b.let(built as Expr);
                else b.do(built);
              },
            }),
          ],
        }),
      ),
    )
    .map((tuple) => tuple.join(" "));
};

test("there are instructions", () => {
  expect(instructions.length).toBeGreaterThan(200);
});

test.each(instructions)("%s is valid, for one combination of operands", (name, f) => {
  expect(acceptedTypes(name, f)).toHaveLength(1);
});

// Opcodes that are valid may still be those of a neighbour: the results tell.

/** The bytes that an expression's value has in memory. `host` puts its operands at 0, 16, 32. */
const evaluate = <T extends ValueType>(make: () => Expr<T>, operands: readonly ArrayBufferView[] = []): DataView => {
  const { memory, call } = assembleFunction(0, (b) => {
    const value = make();
    const stores: Readonly<Record<string, (address: number, value: never) => Statement>> = {
      i32: i32.store,
      f32: f32.store,
      f64: f64.store,
      v128: v128.store,
    };
    b.do((stores[value.type] as (address: number, value: Expr) => Statement)(64, value));
  });
  operands.forEach((operand, i) => {
    new Uint8Array(memory.buffer).set(new Uint8Array(operand.buffer), 16 * i);
  });
  call();
  return new DataView(memory.buffer, 64, 16);
};

type Combine = (a: number, b: number) => number;

const fround = Math.fround;
const nearest = (x: number): number => {
  const down = Math.floor(x);
  const rest = x - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
};
const floatBinary: Readonly<Record<string, Combine>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  // No Math.min and Math.max: the first operand wins where nothing is less.
  pmin: (a, b) => [a, b][+(b < a)] as number,
  pmax: (a, b) => [a, b][+(a < b)] as number,
  copysign: (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a)),
};
const floatUnary: Readonly<Record<string, (a: number) => number>> = {
  abs: Math.abs,
  neg: (a) => -a,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest,
  sqrt: Math.sqrt,
};
const relations: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
  ltS: (a, b) => a < b,
  gtS: (a, b) => a > b,
  leS: (a, b) => a <= b,
  geS: (a, b) => a >= b,
  ltU: (a, b) => a >>> 0 < b >>> 0,
  gtU: (a, b) => a >>> 0 > b >>> 0,
  leU: (a, b) => a >>> 0 <= b >>> 0,
  geU: (a, b) => a >>> 0 >= b >>> 0,
};
const integerBinary: Readonly<Record<string, Combine>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: Math.imul,
  divS: (a, b) => a / b,
  divU: (a, b) => (a >>> 0) / (b >>> 0),
  remS: (a, b) => a % b,
  remU: (a, b) => (a >>> 0) % (b >>> 0),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shrS: (a, b) => a >> b,
  shrU: (a, b) => a >>> b,
  rotl: (a, b) => (a << b) | (a >>> (32 - (b & 31))),
  minS: Math.min,
  maxS: Math.max,
  minU: (a, b) => Math.min(a >>> 0, b >>> 0),
  maxU: (a, b) => Math.max(a >>> 0, b >>> 0),
};
const integerUnary: Readonly<Record<string, (a: number) => number>> = {
  abs: Math.abs,
  neg: (a) => -a,
  eqz: (a) => (a === 0 ? 1 : 0),
  clz: Math.clz32,
  ctz: (a) => (a === 0 ? 32 : 31 - Math.clz32(a & -a)),
};

const floats = [0, -0, 1.5, -2.5, 2.5, 1e30, Number.POSITIVE_INFINITY, Number.NaN];
const integers = [0, 1, -1, 7, -13, 2 ** 31 - 1, -(2 ** 31), 123456789];

const floatPairs = floats.flatMap((a) => floats.map((b) => [a, b] as const));
const integerPairs = integers.flatMap((a) => integers.map((b) => [a, b] as const));

/** The value of a scalar function of one or two, by way of memory, so that nothing is folded. */
describe("scalars", () => {
  const namesIn = (group: object, table: object): string[] => Object.keys(table).filter((name) => name in group);

  test.each(namesIn(i32, { ...integerBinary, ...relations }))("i32.%s", (name) => {
    const f = i32[name as "add"];
    const reference = integerBinary[name] ?? (relations[name] as Combine | undefined);
    for (const [a, b] of integerPairs) {
      if (/div|rem/.test(name) && (b === 0 || (b === -1 && a === -(2 ** 31)))) continue;
      const actual = evaluate(() => f(i32.load(0), i32.load(16)), [Int32Array.of(a), Int32Array.of(b)]);
      expect(actual.getInt32(0, true), `${a}, ${b}`).toBe(Number(reference?.(a, b)) | 0);
    }
  });

  test.each(namesIn(i32, integerUnary))("i32.%s", (name) => {
    for (const a of integers) {
      const actual = evaluate(() => i32[name as "clz"](i32.load(0)), [Int32Array.of(a)]);
      expect(actual.getInt32(0, true), `${a}`).toBe(integerUnary[name]?.(a));
    }
  });

  test.each(namesIn(f32, floatBinary))("f32 and f64: %s", (name) => {
    for (const [a, b] of floatPairs) {
      const single = evaluate(
        () => f32[name as "add"](f32.load(0), f32.load(16)),
        [Float32Array.of(a), Float32Array.of(b)],
      );
      expect(single.getFloat32(0, true), `${a}, ${b}`).toBe(
        fround(floatBinary[name]?.(fround(a), fround(b)) as number),
      );
      const double = evaluate(
        () => f64[name as "add"](f64.load(0), f64.load(16)),
        [Float64Array.of(a), Float64Array.of(b)],
      );
      expect(double.getFloat64(0, true), `${a}, ${b}`).toBe(floatBinary[name]?.(a, b));
    }
  });

  test.each(namesIn(f32, floatUnary))("f32 and f64: %s", (name) => {
    for (const a of floats) {
      const single = evaluate(() => f32[name as "abs"](f32.load(0)), [Float32Array.of(a)]);
      expect(single.getFloat32(0, true), `${a}`).toBe(fround(floatUnary[name]?.(fround(a)) as number));
      const double = evaluate(() => f64[name as "abs"](f64.load(0)), [Float64Array.of(a)]);
      expect(double.getFloat64(0, true), `${a}`).toBe(floatUnary[name]?.(a));
    }
  });

  test.each(namesIn(f32, relations))("f32 and f64: %s", (name) => {
    for (const [a, b] of floatPairs) {
      const expected = Number(relations[name]?.(a, b));
      const single = evaluate(
        () => f32[name as "eq"](f32.load(0), f32.load(16)),
        [Float32Array.of(a), Float32Array.of(b)],
      );
      const double = evaluate(
        () => f64[name as "eq"](f64.load(0), f64.load(16)),
        [Float64Array.of(a), Float64Array.of(b)],
      );
      expect([single.getInt32(0, true), double.getInt32(0, true)], `${a}, ${b}`).toEqual([expected, expected]);
    }
  });

  test("i64, through its halves", () => {
    const big = (name: "add" | "mul" | "and" | "or" | "xor" | "shl" | "shrS" | "shrU", a: number, b: number) => {
      const value = (): Expr<"i64"> => i64[name](i64.extendS(i32.const(a)), i64.extendU(i32.const(b)));
      const low = evaluate(() => i32.wrap(value())).getInt32(0, true);
      const high = evaluate(() => i32.wrap(i64.shrU(value(), i64.extendU(i32.const(32))))).getInt32(0, true);
      return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low >>> 0));
    };
    expect(big("add", -1, -1)).toBe(-1n + 0xffffffffn);
    expect(big("mul", -3, -1)).toBe(-3n * 0xffffffffn);
    expect(big("and", -2, 7)).toBe(6n);
    expect(big("or", -8, 1)).toBe(-7n);
    expect(big("xor", -1, 5)).toBe(-6n);
    expect(big("shl", -3, 40)).toBe(-3n << 40n);
    expect(big("shrS", -300, 4)).toBe(-19n);
    expect(big("shrU", -1, 60)).toBe(15n);
  });

  test("conversions", () => {
    const int = (make: () => Expr<"i32">): number => evaluate(make).getInt32(0, true);
    const single = (make: () => Expr<"f32">): number => evaluate(make).getFloat32(0, true);
    const double = (make: () => Expr<"f64">): number => evaluate(make).getFloat64(0, true);
    expect(int(() => i32.truncSatF32S(f32.const(-3.9)))).toBe(-3);
    expect(int(() => i32.truncSatF32U(f32.const(3e9)))).toBe(3e9 | 0);
    expect(int(() => i32.truncSatF64S(f64.const(-1e99)))).toBe(-(2 ** 31));
    expect(int(() => i32.truncSatF64U(f64.const(Number.NaN)))).toBe(0);
    expect(int(() => i32.reinterpret(f32.const(1)))).toBe(0x3f800000);
    expect(single(() => f32.reinterpret(i32.const(0x40000000)))).toBe(2);
    expect(single(() => f32.convertI32S(i32.const(-1)))).toBe(-1);
    expect(single(() => f32.convertI32U(i32.const(-1)))).toBe(2 ** 32);
    expect(double(() => f64.convertI32S(i32.const(-1)))).toBe(-1);
    expect(double(() => f64.convertI32U(i32.const(-1)))).toBe(2 ** 32 - 1);
    expect(double(() => f64.promote(f32.const(0.1)))).toBe(fround(0.1));
    expect(single(() => f32.demote(f64.const(0.1)))).toBe(fround(0.1));
  });

  test("bytes, signed and unsigned; an offset is added", () => {
    const bytes = Uint8Array.of(1, 200);
    expect(evaluate(() => i32.load8S(0, 1), [bytes]).getInt32(0, true)).toBe(-56);
    expect(evaluate(() => i32.load8U(1), [bytes]).getInt32(0, true)).toBe(200);
    const { memory, call } = assembleFunction(1, (b, address) => b.do(i32.store8(address, i32.const(0x1ff), 3)));
    call(4);
    expect([memory.getUint8(6), memory.getUint8(7), memory.getUint8(8)]).toEqual([0, 255, 0]);
  });
});

describe("vectors", () => {
  const lanes = (make: () => V128, operands: readonly ArrayBufferView[] = []) => {
    const view = evaluate(make, operands);
    const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + 16);
    return {
      bytes: [...new Uint8Array(bytes)],
      i32: [...new Int32Array(bytes)],
      f32: [...new Float32Array(bytes)],
      f64: [...new Float64Array(bytes)],
      i64: [...new BigInt64Array(bytes)],
    };
  };
  const [a, b, c] = [() => v128.load(0), () => v128.load(16), () => v128.load(32)];
  const inGroups = <T>(list: readonly T[], size: number): T[][] =>
    Array.from({ length: list.length / size }, (_, i) => list.slice(size * i, size * (i + 1)));
  const namesIn = (group: object, table: object): string[] => Object.keys(table).filter((name) => name in group);
  const columns = (pairs: readonly (readonly [number, number])[]): [number[], number[]] => [
    pairs.map(([x]) => x),
    pairs.map(([, y]) => y),
  ];

  test.each(namesIn(f32x4, { ...floatBinary, ...relations }))("f32x4 and f64x2: %s", (name) => {
    const compare = relations[name];
    const combine = floatBinary[name] as Combine;
    for (const pairs of inGroups(floatPairs, 4)) {
      const [x, y] = columns(pairs);
      const single = lanes(() => f32x4[name as "add"](a(), b()), [Float32Array.from(x), Float32Array.from(y)]);
      if (compare) expect(single.i32).toEqual(pairs.map(([p, q]) => (compare(p, q) ? -1 : 0)));
      else expect(single.f32).toEqual(pairs.map(([p, q]) => fround(combine(fround(p), fround(q)))));
    }
    for (const pairs of inGroups(floatPairs, 2)) {
      const [x, y] = columns(pairs);
      const double = lanes(() => f64x2[name as "add"](a(), b()), [Float64Array.from(x), Float64Array.from(y)]);
      if (compare) expect(double.i64).toEqual(pairs.map(([p, q]) => -BigInt(compare(p, q))));
      else expect(double.f64).toEqual(pairs.map(([p, q]) => combine(p, q)));
    }
  });

  test.each(namesIn(f32x4, floatUnary))("f32x4 and f64x2: %s", (name) => {
    for (const x of inGroups(floats, 4))
      expect(lanes(() => f32x4[name as "abs"](a()), [Float32Array.from(x)]).f32).toEqual(
        x.map((v) => fround(floatUnary[name]?.(fround(v)) as number)),
      );
    for (const x of inGroups(floats, 2))
      expect(lanes(() => f64x2[name as "abs"](a()), [Float64Array.from(x)]).f64).toEqual(
        x.map((v) => floatUnary[name]?.(v)),
      );
  });

  test.each(namesIn(i32x4, { ...integerBinary, ...relations }).filter((name) => !/^sh/.test(name)))(
    "i32x4.%s",
    (name) => {
      const compare = relations[name];
      for (const pairs of inGroups(integerPairs, 4)) {
        const [x, y] = columns(pairs);
        expect(lanes(() => i32x4[name as "add"](a(), b()), [Int32Array.from(x), Int32Array.from(y)]).i32).toEqual(
          pairs.map(([p, q]) => (compare ? (compare(p, q) ? -1 : 0) : (integerBinary[name]?.(p, q) as number) | 0)),
        );
      }
    },
  );

  test.each(["shl", "shrS", "shrU"] as const)("i32x4 and i64x2: %s", (name) => {
    for (const count of [0, 1, 5, 31]) {
      const x = integers.slice(3, 7);
      expect(lanes(() => i32x4[name](a(), count), [Int32Array.from(x)]).i32).toEqual(
        x.map((v) => (integerBinary[name] as Combine)(v, count) | 0),
      );
      const [p, q] = [-5n, 2n ** 50n + 3n];
      const shifts = {
        shl: (v: bigint) => BigInt.asIntN(64, v << BigInt(count)),
        shrS: (v: bigint) => v >> BigInt(count),
        shrU: (v: bigint) => BigInt.asIntN(64, BigInt.asUintN(64, v) >> BigInt(count)),
      };
      expect(lanes(() => i64x2[name](a(), count), [BigInt64Array.of(p, q)]).i64).toEqual([p, q].map(shifts[name]));
    }
  });

  test.each(["abs", "neg"] as const)("i32x4.%s", (name) => {
    for (const x of inGroups(integers, 4))
      expect(lanes(() => i32x4[name](a()), [Int32Array.from(x)]).i32).toEqual(
        x.map((v) => (integerUnary[name]?.(v) as number) | 0),
      );
  });

  test("i64x2 arithmetic", () => {
    const [x, y] = [BigInt64Array.of(-5n, 2n ** 40n), BigInt64Array.of(7n, 3n)];
    expect(lanes(() => i64x2.add(a(), b()), [x, y]).i64).toEqual([2n, 2n ** 40n + 3n]);
    expect(lanes(() => i64x2.sub(a(), b()), [x, y]).i64).toEqual([-12n, 2n ** 40n - 3n]);
    expect(lanes(() => i64x2.mul(a(), b()), [x, y]).i64).toEqual([-35n, 3n * 2n ** 40n]);
    const [p, q] = [Int32Array.of(-1, 2, 3, -1), Int32Array.of(2, 5, 7, -1)];
    expect(lanes(() => i64x2.extmulLowI32x4U(a(), b()), [p, q]).i64).toEqual([2n * 0xffffffffn, 10n]);
    expect(lanes(() => i64x2.extmulHighI32x4U(a(), b()), [p, q]).i64).toEqual([
      21n,
      BigInt.asIntN(64, 0xffffffffn ** 2n),
    ]);
    expect(lanes(() => i64x2.extendLowI32x4S(a()), [p]).i64).toEqual([-1n, 2n]);
    expect(lanes(() => i64x2.extendHighI32x4S(a()), [p]).i64).toEqual([3n, -1n]);
    expect(lanes(() => i64x2.extendLowI32x4U(a()), [p]).i64).toEqual([0xffffffffn, 2n]);
    expect(lanes(() => i64x2.extendHighI32x4U(a()), [p]).i64).toEqual([3n, 0xffffffffn]);
  });

  test("bits", () => {
    const [x, y, mask] = [Int32Array.of(12, 0, -1, 5), Int32Array.of(10, 7, 3, -1), Int32Array.of(-1, 0, 1, 4)];
    expect(lanes(() => v128.and(a(), b()), [x, y]).i32).toEqual([8, 0, 3, 5]);
    expect(lanes(() => v128.andnot(a(), b()), [x, y]).i32).toEqual([4, 0, -4, 0]);
    expect(lanes(() => v128.or(a(), b()), [x, y]).i32).toEqual([14, 7, -1, -1]);
    expect(lanes(() => v128.xor(a(), b()), [x, y]).i32).toEqual([6, 7, -4, -6]);
    expect(lanes(() => v128.not(a()), [x]).i32).toEqual([-13, -1, 0, -6]);
    expect(lanes(() => v128.bitselect(a(), b(), c()), [x, y, mask]).i32).toEqual([12, 7, 3, -1]);
    const truth = (make: () => Expr<"i32">, v: Int32Array) => evaluate(make, [v]).getInt32(0, true);
    expect([x, new Int32Array(4)].map((v) => truth(() => v128.anyTrue(a()), v))).toEqual([1, 0]);
    expect([x, y].map((v) => truth(() => i32x4.allTrue(a()), v))).toEqual([0, 1]);
    expect(truth(() => i32x4.bitmask(a()), Int32Array.of(-1, 1, -9, 0))).toBe(0b0101);
  });

  test("conversions", () => {
    const f = Float32Array.of(-1.9, 3e9, Number.NaN, 2.5);
    const i = Int32Array.of(-1, 2, 3, 4);
    expect(lanes(() => i32x4.truncSatF32x4S(a()), [f]).i32).toEqual([-1, 2 ** 31 - 1, 0, 2]);
    expect(lanes(() => i32x4.truncSatF32x4U(a()), [f]).i32).toEqual([0, 3e9 | 0, 0, 2]);
    expect(lanes(() => i32x4.truncSatF64x2SZero(a()), [Float64Array.of(-1e99, 7.9)]).i32).toEqual([
      -(2 ** 31),
      7,
      0,
      0,
    ]);
    expect(lanes(() => f32x4.convertI32x4S(a()), [i]).f32).toEqual([-1, 2, 3, 4]);
    expect(lanes(() => f32x4.convertI32x4U(a()), [i]).f32).toEqual([2 ** 32, 2, 3, 4]);
    expect(lanes(() => f64x2.convertLowI32x4S(a()), [i]).f64).toEqual([-1, 2]);
    expect(lanes(() => f64x2.convertLowI32x4U(a()), [i]).f64).toEqual([2 ** 32 - 1, 2]);
    expect(lanes(() => f64x2.promoteLowF32x4(a()), [f]).f64).toEqual([fround(-1.9), 3e9]);
    expect(lanes(() => f32x4.demoteF64x2Zero(a()), [Float64Array.of(0.1, -2)]).f32).toEqual([fround(0.1), -2, 0, 0]);
  });

  test("widening and narrowing", () => {
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => (i % 2 ? 255 - i : i));
    const words = Int16Array.of(-1, 2, 300, -300, 5, 6, 7, 32767);
    const wordsOf = (make: () => V128, operands: readonly ArrayBufferView[]): number[] => [
      ...new Int16Array(Uint8Array.from(lanes(make, operands).bytes).buffer),
    ];
    const signed = [...new Int8Array(bytes.buffer)];
    expect(wordsOf(() => i16x8.extendLowI8x16U(a()), [bytes])).toEqual([...bytes.slice(0, 8)]);
    expect(wordsOf(() => i16x8.extendHighI8x16U(a()), [bytes])).toEqual([...bytes.slice(8)]);
    expect(wordsOf(() => i16x8.extendLowI8x16S(a()), [bytes])).toEqual(signed.slice(0, 8));
    expect(wordsOf(() => i16x8.extendHighI8x16S(a()), [bytes])).toEqual(signed.slice(8));
    expect(lanes(() => i32x4.extendLowI16x8S(a()), [words]).i32).toEqual([-1, 2, 300, -300]);
    expect(lanes(() => i32x4.extendHighI16x8S(a()), [words]).i32).toEqual([5, 6, 7, 32767]);
    expect(lanes(() => i32x4.extendLowI16x8U(a()), [words]).i32).toEqual([65535, 2, 300, 65236]);
    expect(lanes(() => i32x4.extendHighI16x8U(a()), [words]).i32).toEqual([5, 6, 7, 32767]);
    const [x, y] = [Int32Array.of(1, -2, 70000, -70000), Int32Array.of(5, 6, 7, 40000)];
    expect(wordsOf(() => i16x8.narrowI32x4S(a(), b()), [x, y])).toEqual([1, -2, 32767, -32768, 5, 6, 7, 32767]);
    expect(wordsOf(() => i16x8.narrowI32x4U(a(), b()), [x, y])).toEqual([1, 0, -1, 0, 5, 6, 7, 40000 - 65536]);
    expect(lanes(() => i8x16.narrowI16x8U(a(), b()), [words, words]).bytes.slice(0, 8)).toEqual([
      0, 2, 255, 0, 5, 6, 7, 255,
    ]);
    expect(lanes(() => i8x16.narrowI16x8S(a(), b()), [words, words]).bytes.slice(8)).toEqual([
      255, 2, 127, 128, 5, 6, 7, 127,
    ]);
  });

  test("lanes", () => {
    const x = Int32Array.of(10, 11, 12, 13);
    const y = Int32Array.of(20, 21, 22, 23);
    expect(lanes(() => v128.shuffle(a(), b(), [3, 4, 0, 7]), [x, y]).i32).toEqual([13, 20, 10, 23]);
    const order = [31, 0, 16, 15, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
    const bytes = [...new Uint8Array(x.buffer), ...new Uint8Array(y.buffer)];
    expect(lanes(() => v128.shuffleBytes(a(), b(), order), [x, y]).bytes).toEqual(order.map((k) => bytes[k]));
    expect(evaluate(() => i32x4.extractLane(a(), 2), [x]).getInt32(0, true)).toBe(12);
    expect(lanes(() => i32x4.replaceLane(a(), 1, i32.const(-5)), [x]).i32).toEqual([10, -5, 12, 13]);
    const f = Float32Array.of(1, 2, 3, 4);
    expect(evaluate(() => f32x4.extractLane(a(), 3), [f]).getFloat32(0, true)).toBe(4);
    expect(lanes(() => f32x4.replaceLane(a(), 0, f32.const(9)), [f]).f32).toEqual([9, 2, 3, 4]);
    const d = Float64Array.of(1, 2);
    expect(evaluate(() => f64x2.extractLane(a(), 1), [d]).getFloat64(0, true)).toBe(2);
    expect(lanes(() => f64x2.replaceLane(a(), 0, f64.const(9)), [d]).f64).toEqual([9, 2]);
    expect(evaluate(() => i32.wrap(i64x2.extractLane(a(), 1)), [BigInt64Array.of(1n, 77n)]).getInt32(0, true)).toBe(77);
    expect(lanes(() => i32x4.splat(7)).i32).toEqual([7, 7, 7, 7]);
    expect(lanes(() => f32x4.const(0.5)).f32).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(lanes(() => f64x2.const(0.1)).f64).toEqual([0.1, 0.1]);
    expect(new Set(lanes(() => i8x16.splat(200)).bytes)).toEqual(new Set([200]));
  });

  test("parts in memory", () => {
    const x = Int32Array.of(10, 11, 12, 13);
    expect(lanes(() => v128.load32Zero(4), [x]).i32).toEqual([11, 0, 0, 0]);
    expect(lanes(() => v128.load64Zero(4), [x]).i32).toEqual([11, 12, 0, 0]);
    expect(lanes(() => v128.load32Splat(0, 8), [x]).i32).toEqual([12, 12, 12, 12]);
    expect(lanes(() => v128.load64Splat(0, 8), [x]).i32).toEqual([12, 13, 12, 13]);
    const { memory, call } = assembleFunction(0, (body) => {
      const v = body.let(v128.load(0));
      body.do(v128.store32Lane(32, v, 3, 4));
      body.do(v128.store64Lane(48, v, 1));
    });
    new Int32Array(memory.buffer).set(x);
    call();
    expect([...new Int32Array(memory.buffer, 32, 8)]).toEqual([0, 13, 0, 0, 12, 13, 0, 0]);
  });
});

test("select takes scalars and vectors", () => {
  for (const condition of [0, 1]) {
    const scalar = evaluate(() => select(i32.const(condition), i32.const(5), i32.const(6)));
    expect(scalar.getInt32(0, true)).toBe(condition ? 5 : 6);
    const vector = evaluate(() => select(i32.const(condition), f32x4.const(5), f32x4.const(6)));
    expect(vector.getFloat32(12, true)).toBe(condition ? 5 : 6);
  }
});
