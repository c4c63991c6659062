/** Loops over contiguous elements, and how they are split into tasks. */
import { type I32, type I32Like, i8x16, i16x8, i32, i32x4, type V128, v128 } from "./assembler/instructions.js";
import type { FunctionBody, Local } from "./assembler/module.js";
import { MAX_TASKS } from "./threads/protocol.js";

/** The least multiple of `step` from n on. */
export const roundUp = (n: number, step: number): number => Math.ceil(n / step) * step;

/**
 * Elements of a task: some 10 µs of arithmetic in the cache, several times that in memory; some 25 µs of transcendental
 * functions.
 */
export const LIGHT_CHUNK = 65536;
export const HEAVY_CHUNK = 8192;

export interface Split {
  readonly tasks: number;
  /** Units of a task; the last one may have fewer. */
  readonly chunk: number;
}

/** Splits `count` units of work: it depends on the shape alone. */
export const split = (count: number, chunk: number): Split => {
  const bounded = chunk * Math.ceil(count / (chunk * MAX_TASKS));
  return { tasks: Math.ceil(count / bounded), chunk: bounded };
};

/** The first unit of a task of a `split`, and how many it has. */
export const partOf = (
  b: FunctionBody,
  task: Local<"i32">,
  count: I32,
  chunk: I32,
): { start: Local<"i32">; length: Local<"i32"> } => {
  const start = b.let(i32.mul(task, chunk));
  const length = b.let(i32.sub(count, start));
  b.if(i32.gtU(length, chunk), () => b.set(length, chunk));
  return { start, length };
};

/** Stores the first `count` lanes of four bytes (0 to 3; more bits of `count` are ignored). */
export const storeLanes = (b: FunctionBody, address: Local<"i32">, value: V128, count: I32): void => {
  const rest = b.let(value);
  const to = b.let(address);
  b.if(i32.and(count, 2), () => {
    b.do(v128.store64Lane(to, rest, 0));
    b.set(rest, v128.shuffle(rest, rest, [2, 3, 2, 3]));
    b.increment(to, 8);
  });
  b.if(i32.and(count, 1), () => b.do(v128.store32Lane(to, rest, 0)));
};

/** The first four bytes at an address, as unsigned int32 lanes. */
export const loadBytes = (address: I32Like, offset = 0): V128 =>
  i32x4.extendLowI16x8U(i16x8.extendLowI8x16U(v128.load32Zero(address, offset)));

/** int32 lanes from 0 to 255 as the first four bytes of a vector. */
export const narrowToBytes = (value: V128): V128 => {
  const words = i16x8.narrowI32x4U(value, i32x4.splat(0));
  return i8x16.narrowI16x8U(words, i32x4.splat(0));
};

/** Stores the first `count` of four bytes (0 to 3; more bits of `count` are ignored). */
export const storeBytes = (b: FunctionBody, address: Local<"i32">, bytes: V128, count: I32): void => {
  const rest = b.let(i32x4.extractLane(bytes, 0));
  const to = b.let(address);
  b.if(i32.and(count, 2), () => {
    b.do(i32.store8(to, rest));
    b.do(i32.store8(to, i32.shrU(rest, 8), 1));
    b.set(rest, i32.shrU(rest, 16));
    b.increment(to, 2);
  });
  b.if(i32.and(count, 1), () => b.do(i32.store8(to, rest)));
};

/** Elements as lanes: four bytes as they are, one byte as an unsigned int32. A `step` of 0 repeats one element. */
export interface Source {
  readonly address: Local<"i32">;
  readonly bytes: 1 | 4;
  readonly step: 0 | 1;
}

export interface Destination {
  readonly address: Local<"i32">;
  /** Lanes of a one-byte destination must be from 0 to 255. */
  readonly bytes: 1 | 4;
}

/**
 * destination[i] = compute(sources[0][i], …) for i below `count`, four elements at a time. Moves the addresses of what
 * it walks. Reads up to 15 bytes behind the sources' ends. `unroll` vectors a round: 1 where `compute` is long.
 */
export const pointwiseLoop = (
  b: FunctionBody,
  count: I32,
  sources: readonly Source[],
  destination: Destination,
  compute: (xs: readonly V128[]) => V128,
  unroll: 1 | 2 | 4 = 4,
): void => {
  const left = b.let(count);
  const repeated = sources.map(({ address, bytes, step }) =>
    step === 0 ? b.let(bytes === 4 ? v128.load32Splat(address) : i32x4.splat(i32.load8U(address))) : undefined,
  );
  const vector = (nth: number): V128 =>
    compute(
      sources.map(
        ({ address, bytes }, k) =>
          repeated[k] ?? (bytes === 4 ? b.let(v128.load(address, 16 * nth)) : b.let(loadBytes(address, 4 * nth))),
      ),
    );
  const advance = (vectors: number): void => {
    for (const { address, bytes, step } of sources) if (step === 1) b.increment(address, 4 * bytes * vectors);
    b.increment(destination.address, 4 * destination.bytes * vectors);
    b.increment(left, -4 * vectors);
  };
  const store = (value: V128, nth: number): void =>
    b.do(
      destination.bytes === 4
        ? v128.store(destination.address, value, 16 * nth)
        : v128.store32Lane(destination.address, narrowToBytes(value), 0, 4 * nth),
    );

  b.if(i32.geU(left, 4 * unroll), () =>
    b.forever((leave) => {
      const values = Array.from({ length: unroll }, (_, nth) => vector(nth));
      values.forEach(store);
      advance(unroll);
      leave(i32.ltU(left, 4 * unroll));
    }),
  );
  b.if(i32.ne(left, 0), () =>
    b.forever((leave) => {
      const value = b.let(vector(0));
      b.if(
        i32.geU(left, 4),
        () => store(value, 0),
        () => {
          if (destination.bytes === 4) storeLanes(b, destination.address, value, left);
          else storeBytes(b, destination.address, narrowToBytes(value), left);
          b.set(left, i32.const(4));
        },
      );
      advance(1);
      leave(i32.eqz(left));
    }),
  );
};
