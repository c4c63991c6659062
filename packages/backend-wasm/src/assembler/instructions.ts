/**
 * WebAssembly instructions as typed expressions: `f32x4.add(a, b)` takes and gives `v128`, and the compiler refuses an
 * address where a vector belongs. Opcodes: WebAssembly core specification 2.0, section 5.4.
 */
import { type Bytes, writeFloat32, writeFloat64, writeSigned, writeUnsigned } from "./encode.js";

export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128";

/** Code that leaves one value of type T on the stack. Emitting it twice computes it twice: keep it in a local instead. */
export interface Expr<T extends ValueType = ValueType> {
  readonly type: T;
  emit(out: Bytes): void;
}

/** Code that leaves nothing. */
export interface Statement {
  emit(out: Bytes): void;
}

export type I32 = Expr<"i32">;
export type F32 = Expr<"f32">;
export type F64 = Expr<"f64">;
export type V128 = Expr<"v128">;

type Opcode = number | readonly [prefix: number, code: number];

const writeOpcode = (out: Bytes, opcode: Opcode): void => {
  if (typeof opcode === "number") out.push(opcode);
  else {
    out.push(opcode[0]);
    writeUnsigned(out, opcode[1]);
  }
};

/** A number stands for a constant wherever an i32 is asked for. */
export type I32Like = I32 | number;

export const constI32 = (value: number): I32 => ({
  type: "i32",
  emit: (out) => {
    out.push(0x41);
    writeSigned(out, value);
  },
});

export const asI32 = (value: I32Like): I32 => (typeof value === "number" ? constI32(value) : value);

const apply = <R extends ValueType>(
  type: R,
  opcode: Opcode,
  operands: readonly Expr[],
  immediate?: Bytes,
): Expr<R> => ({
  type,
  emit: (out) => {
    for (const operand of operands) operand.emit(out);
    writeOpcode(out, opcode);
    if (immediate) out.push(...immediate);
  },
});

// Every instruction of a group has the same operands and result: a table of opcodes becomes a table of functions.

type Table = Readonly<Record<string, Opcode>>;
type Functions<K extends PropertyKey, F> = { readonly [P in K]: F };

const group = <K extends string, F>(table: Readonly<Record<K, Opcode>>, make: (opcode: Opcode) => F): Functions<K, F> =>
  Object.fromEntries(Object.entries(table as Table).map(([name, opcode]) => [name, make(opcode)])) as Functions<K, F>;

const unary = <K extends string, A extends ValueType, R extends ValueType>(
  _operand: A,
  result: R,
  table: Readonly<Record<K, Opcode>>,
): Functions<K, (a: Expr<A>) => Expr<R>> => group(table, (opcode) => (a: Expr<A>) => apply(result, opcode, [a]));

const binary = <K extends string, A extends ValueType, R extends ValueType>(
  _operand: A,
  result: R,
  table: Readonly<Record<K, Opcode>>,
): Functions<K, (a: Expr<A>, b: Expr<A>) => Expr<R>> =>
  group(table, (opcode) => (a: Expr<A>, b: Expr<A>) => apply(result, opcode, [a, b]));

const binaryI32 = <K extends string>(
  table: Readonly<Record<K, Opcode>>,
): Functions<K, (a: I32Like, b: I32Like) => I32> =>
  group(table, (opcode) => (a: I32Like, b: I32Like) => apply("i32", opcode, [asI32(a), asI32(b)]));

/** The alignment is a hint: 0 promises nothing, and costs nothing on today's engines. */
const memoryImmediate = (offset: number): Bytes => {
  const bytes: Bytes = [0];
  writeUnsigned(bytes, offset);
  return bytes;
};

/** `offset` is added without wrapping, and must be below 2^32. */
type Load<T extends ValueType> = (address: I32Like, offset?: number) => Expr<T>;
type Store<T extends ValueType> = (address: I32Like, value: Expr<T>, offset?: number) => Statement;

const load =
  <T extends ValueType>(type: T, opcode: Opcode): Load<T> =>
  (address, offset = 0) =>
    apply(type, opcode, [asI32(address)], memoryImmediate(offset));

const store =
  <T extends ValueType>(_type: T, opcode: Opcode): Store<T> =>
  (address, value, offset = 0) => ({
    emit: (out) => {
      asI32(address).emit(out);
      value.emit(out);
      writeOpcode(out, opcode);
      out.push(...memoryImmediate(offset));
    },
  });

const simd = (code: number): Opcode => [0xfd, code];
const simdTable = <K extends string>(table: Readonly<Record<K, number>>): Readonly<Record<K, Opcode>> =>
  group(table as Readonly<Record<K, Opcode>>, (opcode) => simd(opcode as number));

const lane =
  <R extends ValueType>(type: R, code: number) =>
  (v: V128, index: number): Expr<R> =>
    apply(type, simd(code), [v], [index]);

const replaceLane =
  <T extends ValueType>(_type: T, code: number) =>
  (v: V128, index: number, value: Expr<T>): V128 =>
    apply("v128", simd(code), [v, value], [index]);

const shift =
  (code: number) =>
  (v: V128, count: I32Like): V128 =>
    apply("v128", simd(code), [v, asI32(count)]);

const storeLane =
  (code: number) =>
  (address: I32Like, v: V128, index: number, offset = 0): Statement => ({
    emit: (out) => {
      asI32(address).emit(out);
      v.emit(out);
      writeOpcode(out, simd(code));
      out.push(...memoryImmediate(offset), index);
    },
  });

export const i32 = {
  const: constI32,
  ...binaryI32({
    eq: 0x46,
    ne: 0x47,
    ltS: 0x48,
    ltU: 0x49,
    gtS: 0x4a,
    gtU: 0x4b,
    leS: 0x4c,
    leU: 0x4d,
    geS: 0x4e,
    geU: 0x4f,
    add: 0x6a,
    sub: 0x6b,
    mul: 0x6c,
    divS: 0x6d,
    divU: 0x6e,
    remS: 0x6f,
    remU: 0x70,
    and: 0x71,
    or: 0x72,
    xor: 0x73,
    shl: 0x74,
    shrS: 0x75,
    shrU: 0x76,
    rotl: 0x77,
  }),
  ...unary("i32", "i32", { eqz: 0x45, clz: 0x67, ctz: 0x68 }),
  ...unary("i64", "i32", { wrap: 0xa7 }),
  ...unary("f32", "i32", { truncSatF32S: [0xfc, 0], truncSatF32U: [0xfc, 1], reinterpret: 0xbc }),
  ...unary("f64", "i32", { truncSatF64S: [0xfc, 2], truncSatF64U: [0xfc, 3] }),
  load: load("i32", 0x28),
  load8S: load("i32", 0x2c),
  load8U: load("i32", 0x2d),
  store: store("i32", 0x36),
  store8: store("i32", 0x3a),
} as const;

export const i64 = {
  ...binary("i64", "i64", { add: 0x7c, mul: 0x7e, and: 0x83, or: 0x84, xor: 0x85, shl: 0x86, shrS: 0x87, shrU: 0x88 }),
  ...unary("i32", "i64", { extendS: 0xac, extendU: 0xad }),
} as const;

export const f32 = {
  const: (value: number): F32 => ({
    type: "f32",
    emit: (out) => {
      out.push(0x43);
      writeFloat32(out, value);
    },
  }),
  ...binary("f32", "i32", { eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60 }),
  ...binary("f32", "f32", { add: 0x92, sub: 0x93, mul: 0x94, div: 0x95, min: 0x96, max: 0x97, copysign: 0x98 }),
  ...unary("f32", "f32", { abs: 0x8b, neg: 0x8c, ceil: 0x8d, floor: 0x8e, trunc: 0x8f, nearest: 0x90, sqrt: 0x91 }),
  ...unary("i32", "f32", { convertI32S: 0xb2, convertI32U: 0xb3, reinterpret: 0xbe }),
  ...unary("f64", "f32", { demote: 0xb6 }),
  load: load("f32", 0x2a),
  store: store("f32", 0x38),
} as const;

export const f64 = {
  const: (value: number): F64 => ({
    type: "f64",
    emit: (out) => {
      out.push(0x44);
      writeFloat64(out, value);
    },
  }),
  ...binary("f64", "i32", { eq: 0x61, ne: 0x62, lt: 0x63, gt: 0x64, le: 0x65, ge: 0x66 }),
  ...binary("f64", "f64", { add: 0xa0, sub: 0xa1, mul: 0xa2, div: 0xa3, min: 0xa4, max: 0xa5, copysign: 0xa6 }),
  ...unary("f64", "f64", { abs: 0x99, neg: 0x9a, ceil: 0x9b, floor: 0x9c, trunc: 0x9d, nearest: 0x9e, sqrt: 0x9f }),
  ...unary("f32", "f64", { promote: 0xbb }),
  ...unary("i32", "f64", { convertI32S: 0xb7, convertI32U: 0xb8 }),
  load: load("f64", 0x2b),
  store: store("f64", 0x39),
} as const;

const vectorBinary = <K extends string>(table: Readonly<Record<K, number>>) => binary("v128", "v128", simdTable(table));
const vectorUnary = <K extends string>(table: Readonly<Record<K, number>>) => unary("v128", "v128", simdTable(table));

export const v128 = {
  load: load("v128", simd(0)),
  /** Four bytes become i32 lanes: load32Zero, then two extensions; see `loadBytes`. */
  load32Zero: load("v128", simd(92)),
  load64Zero: load("v128", simd(93)),
  load32Splat: load("v128", simd(9)),
  load64Splat: load("v128", simd(10)),
  store: store("v128", simd(11)),
  store32Lane: storeLane(90),
  store64Lane: storeLane(91),
  ...vectorUnary({ not: 77 }),
  ...vectorBinary({ and: 78, andnot: 79, or: 80, xor: 81 }),
  /** Bits of `a` where the mask is 1, of `b` where it is 0. */
  bitselect: (a: V128, b: V128, mask: V128): V128 => apply("v128", simd(82), [a, b, mask]),
  ...unary("v128", "i32", simdTable({ anyTrue: 83 })),
  /** Byte i of the result is byte `lanes[i]` of a (0-15) or of b (16-31). */
  shuffleBytes: (a: V128, b: V128, lanes: readonly number[]): V128 => apply("v128", simd(13), [a, b], [...lanes]),
  /** 32-bit lane i of the result is lane `lanes[i]` of a (0-3) or of b (4-7). */
  shuffle: (a: V128, b: V128, lanes: readonly [number, number, number, number]): V128 =>
    v128.shuffleBytes(
      a,
      b,
      lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3]),
    ),
} as const;

export const memory = {
  /** Sets `count` bytes from `address` on to `byte`. */
  fill: (address: I32Like, byte: I32Like, count: I32Like): Statement => ({
    emit: (out) => {
      for (const operand of [address, byte, count]) asI32(operand).emit(out);
      out.push(0xfc, 11, 0);
    },
  }),
  /** Copies `count` bytes; the ranges may overlap. */
  copy: (to: I32Like, from: I32Like, count: I32Like): Statement => ({
    emit: (out) => {
      for (const operand of [to, from, count]) asI32(operand).emit(out);
      out.push(0xfc, 10, 0, 0);
    },
  }),
} as const;

export const i32x4 = {
  splat: (a: I32Like): V128 => apply("v128", simd(17), [asI32(a)]),
  extractLane: lane("i32", 27),
  replaceLane: replaceLane("i32", 28),
  shl: shift(171),
  shrS: shift(172),
  shrU: shift(173),
  ...unary("v128", "i32", simdTable({ allTrue: 163, bitmask: 164 })),
  ...vectorUnary({
    abs: 160,
    neg: 161,
    extendLowI16x8S: 167,
    extendHighI16x8S: 168,
    extendLowI16x8U: 169,
    extendHighI16x8U: 170,
    truncSatF32x4S: 248,
    truncSatF32x4U: 249,
    truncSatF64x2SZero: 252,
  }),
  ...vectorBinary({ eq: 55, ne: 56, ltS: 57, ltU: 58, gtS: 59, gtU: 60, leS: 61, leU: 62, geS: 63, geU: 64 }),
  ...vectorBinary({ add: 174, sub: 177, mul: 181, minS: 182, minU: 183, maxS: 184, maxU: 185 }),
} as const;

export const i16x8 = {
  ...vectorUnary({ extendLowI8x16S: 135, extendHighI8x16S: 136, extendLowI8x16U: 137, extendHighI8x16U: 138 }),
  ...vectorBinary({ narrowI32x4S: 133, narrowI32x4U: 134 }),
} as const;

export const i8x16 = {
  splat: (a: I32Like): V128 => apply("v128", simd(15), [asI32(a)]),
  ...vectorBinary({ narrowI16x8S: 101, narrowI16x8U: 102 }),
} as const;

export const i64x2 = {
  extractLane: lane("i64", 29),
  shl: shift(203),
  shrS: shift(204),
  shrU: shift(205),
  ...vectorUnary({ extendLowI32x4S: 199, extendHighI32x4S: 200, extendLowI32x4U: 201, extendHighI32x4U: 202 }),
  ...vectorBinary({ add: 206, sub: 209, mul: 213, extmulLowI32x4U: 222, extmulHighI32x4U: 223 }),
} as const;

export const f32x4 = {
  splat: (a: F32): V128 => apply("v128", simd(19), [a]),
  const: (value: number): V128 => f32x4.splat(f32.const(value)),
  extractLane: lane("f32", 31),
  replaceLane: replaceLane("f32", 32),
  ...vectorUnary({
    ceil: 103,
    floor: 104,
    trunc: 105,
    nearest: 106,
    abs: 224,
    neg: 225,
    sqrt: 227,
    convertI32x4S: 250,
    convertI32x4U: 251,
    demoteF64x2Zero: 94,
  }),
  ...vectorBinary({ eq: 65, ne: 66, lt: 67, gt: 68, le: 69, ge: 70 }),
  /** `min` and `max` propagate NaN; `pmax(a, b)` is `a < b ? b : a`. */
  ...vectorBinary({ add: 228, sub: 229, mul: 230, div: 231, min: 232, max: 233, pmin: 234, pmax: 235 }),
} as const;

export const f64x2 = {
  splat: (a: F64): V128 => apply("v128", simd(20), [a]),
  const: (value: number): V128 => f64x2.splat(f64.const(value)),
  extractLane: lane("f64", 33),
  replaceLane: replaceLane("f64", 34),
  ...vectorUnary({
    ceil: 116,
    floor: 117,
    trunc: 122,
    nearest: 148,
    abs: 236,
    neg: 237,
    sqrt: 239,
    promoteLowF32x4: 95,
    convertLowI32x4S: 254,
    convertLowI32x4U: 255,
  }),
  ...vectorBinary({ eq: 71, ne: 72, lt: 73, gt: 74, le: 75, ge: 76 }),
  ...vectorBinary({ add: 240, sub: 241, mul: 242, div: 243, min: 244, max: 245, pmin: 246, pmax: 247 }),
} as const;

/** a where the condition is not 0, else b. Both are computed. */
export const select = <T extends ValueType>(condition: I32, a: Expr<T>, b: Expr<T>): Expr<T> =>
  a.type === "v128"
    ? {
        type: a.type,
        emit: (out) => {
          a.emit(out);
          b.emit(out);
          condition.emit(out);
          out.push(0x1c, 1, 0x7b);
        },
      }
    : apply(a.type, 0x1b, [a, b, condition]);
