/** Code that moves one row of elements, and the loops around it. Strides of pointers are in bytes, steps in elements. */
import { type I32, i8x16, i32, i32x4, type Statement, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody, Local } from "../assembler/module.js";
import { LIGHT_CHUNK, partOf, type Split, split } from "../loops.js";

export type ElementBytes = 1 | 4;
type Pointer = Local<"i32">;

export const minU = (b: FunctionBody, x: I32, limit: I32 | number): Local<"i32"> => {
  const result = b.let(x);
  b.if(i32.gtU(result, limit), () => b.set(result, typeof limit === "number" ? i32.const(limit) : limit));
  return result;
};

/** How `count` units of so many elements each are split into tasks; `forUnits` is the other half. */
export const splitUnits = (count: number, unitElements: number): Split =>
  split(count, Math.max(1, Math.round(LIGHT_CHUNK / unitElements)));

/** Calls `body` with every unit of a task. */
export const forUnits = (
  b: FunctionBody,
  task: Local<"i32">,
  chunk: I32,
  count: I32,
  body: (unit: Local<"i32">) => void,
): void => {
  const { start, length } = partOf(b, task, count, chunk);
  b.for(start, b.let(i32.add(start, length)), 1, body, { atLeastOnce: true });
};

/** Takes a row-major number apart into the indices of an array; the first extent does not matter. */
export const unravel = (b: FunctionBody, index: I32, shape: readonly number[]): Local<"i32">[] => {
  const rest = b.let(index);
  const indices: Local<"i32">[] = [];
  for (let axis = shape.length - 1; axis > 0; axis--) {
    const extent = shape[axis] as number;
    indices.unshift(b.let(i32.remU(rest, extent)));
    b.set(rest, i32.divU(rest, extent));
  }
  return [rest, ...indices];
};

/** base + Σ index · stride */
export const addressAt = (base: I32, indices: readonly I32[], strides: readonly number[]): I32 =>
  indices.reduce((sum, index, axis) => {
    const stride = strides[axis] as number;
    if (stride === 0) return sum;
    return i32.add(sum, stride === 1 ? index : i32.mul(index, stride));
  }, base);

/** Nested loops over `shape`: `body` gets each pointer moved by its strides, `strides[k][axis]`. */
export const forNest = (
  b: FunctionBody,
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  pointers: readonly Pointer[],
  body: (pointers: readonly Pointer[]) => void,
): void => {
  const [extent, ...rest] = shape;
  if (extent === undefined) {
    body(pointers);
    return;
  }
  const own = pointers.map((pointer) => b.let(pointer));
  const inner = strides.map((list) => list.slice(1));
  b.for(
    0,
    extent,
    1,
    () => {
      forNest(b, rest, inner, own, body);
      own.forEach((pointer, k) => {
        b.increment(pointer, strides[k]?.[0] as number);
      });
    },
    { atLeastOnce: true },
  );
};

export const moveElement = (bytes: ElementBytes, from: I32, to: I32, toOffset = 0): Statement =>
  bytes === 4 ? i32.store(to, i32.load(from), toOffset) : i32.store8(to, i32.load8U(from), toOffset);

const shifted = (pointer: I32, bytes: number): I32 => (bytes === 0 ? pointer : i32.add(pointer, bytes));

/** Four float32 or int32 from `pointer` on, `step` elements apart; null where one by one is as good. */
const loadFour = (pointer: I32, step: number): V128 | null => {
  if (step === 1) return v128.load(pointer);
  if (step === 2) return v128.shuffle(v128.load(pointer), v128.load(pointer, 16), [0, 2, 4, 6]);
  if (step === -1) {
    const reversed = v128.load(shifted(pointer, -12));
    return v128.shuffle(reversed, reversed, [3, 2, 1, 0]);
  }
  return null;
};

/** The bytes of a vector from an element at `pointer`, that is moved along with the vectors. */
const vectorLoad = (
  b: FunctionBody,
  bytes: ElementBytes,
  from: Pointer,
  step: number,
): ((pointer: I32) => V128) | null => {
  if (step === 0) {
    const splat = b.let(bytes === 4 ? v128.load32Splat(from) : i8x16.splat(i32.load8U(from)));
    return () => splat;
  }
  if (bytes === 1) return step === 1 ? (pointer) => v128.load(pointer) : null;
  return loadFour(from, step) && ((pointer) => loadFour(pointer, step) as V128);
};

const UNROLLED_VECTORS = 8;

/**
 * A row of `count` elements from `from`, `fromStep` apart, to `to`, `toStep` apart. A count known now makes shorter code.
 */
export const copyRow = (
  b: FunctionBody,
  bytes: ElementBytes,
  from: Pointer,
  fromStep: number,
  to: Pointer,
  toStep: number,
  count: number | Local<"i32">,
): void => {
  const width = 16 / bytes;
  const load =
    toStep === 1 && (typeof count !== "number" || count >= width) ? vectorLoad(b, bytes, from, fromStep) : null;
  const stride = fromStep * bytes;
  if (typeof count === "number" && count <= (load ? UNROLLED_VECTORS * width : UNROLLED_VECTORS)) {
    if (load === null)
      for (let i = 0; i < count; i++) b.do(moveElement(bytes, shifted(from, i * stride), to, i * toStep * bytes));
    else
      for (let i = 0; i < count; i += width) {
        // The last vector may overlap the one before.
        const at = Math.min(i, count - width);
        b.do(v128.store(to, load(shifted(from, at * stride)), at * bytes));
      }
    return;
  }
  const [source, target] = [b.let(from), b.let(to)];
  const advance = (elements: number): void => {
    if (stride !== 0) b.increment(source, elements * stride);
    b.increment(target, elements * toStep * bytes);
  };
  const rest = b.let(typeof count === "number" ? i32.const(count) : count);
  if (load !== null) {
    for (const vectors of [4, 1])
      b.if(i32.geU(rest, vectors * width), () =>
        b.forever((leave) => {
          for (let v = 0; v < vectors; v++) b.do(v128.store(target, load(shifted(source, v * width * stride)), 16 * v));
          advance(vectors * width);
          b.increment(rest, -vectors * width);
          leave(i32.ltU(rest, vectors * width));
        }),
      );
    if (typeof count === "number" && count % width === 0) return;
  }
  b.if(rest, () =>
    b.forever((leave) => {
      b.do(moveElement(bytes, source, target));
      advance(1);
      b.increment(rest, -1);
      leave(i32.eqz(rest));
    }),
  );
};

/** A row of `count` neighbours, each the value that `splat` holds 16 / bytes times. */
export const fillRow = (
  b: FunctionBody,
  bytes: ElementBytes,
  splat: Local<"v128">,
  to: I32,
  count: number | Local<"i32">,
): void => {
  const width = 16 / bytes;
  const target = b.let(to);
  const value = i32x4.extractLane(splat, 0);
  const storeOne = (offset = 0): Statement =>
    bytes === 4 ? i32.store(target, value, offset) : i32.store8(target, value, offset);
  if (typeof count === "number" && count < width) {
    for (let i = 0; i < count; i++) b.do(storeOne(i * bytes));
    return;
  }
  if (typeof count === "number" && count <= UNROLLED_VECTORS * width) {
    for (let i = 0; i < count; i += width) b.do(v128.store(target, splat, Math.min(i, count - width) * bytes));
    return;
  }
  const rest = b.let(typeof count === "number" ? i32.const(count) : count);
  b.if(i32.geU(rest, width), () =>
    b.forever((leave) => {
      b.do(v128.store(target, splat));
      b.increment(target, 16);
      b.increment(rest, -width);
      leave(i32.ltU(rest, width));
    }),
  );
  if (typeof count === "number" && count % width === 0) return;
  b.if(rest, () =>
    b.forever((leave) => {
      b.do(storeOne());
      b.increment(target, bytes);
      b.increment(rest, -1);
      leave(i32.eqz(rest));
    }),
  );
};
