import { IndexError, mergeAxes, rowMajorStrides, type Shape, sizeOf } from "@striate/core/backend";
import { f32, f32x4, f64, f64x2, type I32, i32, type Statement, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { LIGHT_CHUNK, partOf, split } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels, WasmOperand } from "../storage.js";
import { copyElements, elementBytes } from "./movement.js";
import { addressAt, type ElementBytes, forUnits, minU, moveElement, splitUnits, unravel } from "./rows.js";

type Pointer = Local<"i32">;

const times = (list: readonly number[], factor: number): number[] => list.map((n) => n * factor);
const without = <T>(list: readonly T[], index: number): T[] => list.filter((_, i) => i !== index);

// Each task leaves the lowest address of an index that it found outside of the axis, or this.
const NO_MARK = 0xffff_ffff;

/** Does what `use` says with the index at `pointer`, or lowers the mark when it is not below `extent`. */
const checked = (b: FunctionBody, pointer: Pointer, extent: number, mark: Pointer, use: (index: I32) => void): void => {
  const index = b.let(i32.load(pointer));
  b.if(
    i32.ltU(index, extent),
    () => use(index),
    () => b.if(i32.ltU(pointer, mark), () => b.set(mark, pointer)),
  );
};

const withMark = (b: FunctionBody, marks: Pointer, task: Pointer, body: (mark: Pointer) => void): void => {
  const mark = b.let(i32.const(NO_MARK));
  body(mark);
  b.do(i32.store(i32.add(marks, i32.shl(task, 2)), mark));
};

/** @throws IndexError for the first index that is marked */
const checkMarks = (
  runtime: Runtime,
  op: string,
  marks: number,
  tasks: number,
  index: WasmOperand,
  axis: number,
  extent: number,
): void => {
  let lowest = NO_MARK;
  for (const mark of new Uint32Array(runtime.buffer, marks, tasks)) lowest = Math.min(lowest, mark);
  if (lowest === NO_MARK) return;
  const flat = (lowest - index.storage.address) / 4;
  const [value] = new Int32Array(runtime.buffer, lowest, 1);
  throw new IndexError(`${op}: index[${flat}] (flat) is ${value}, expected 0 to ${extent - 1} on axis ${axis}`);
};

/** y[i] = x[i with the axis's coordinate index[i]], over rows of the merged axes of `index`. */
const gather = (
  bytes: ElementBytes,
  shape: Shape,
  strides: readonly [readonly number[], readonly number[]],
  extent: number,
  axisStride: number,
): FunctionDefinition =>
  defineFunction({
    name: "gather",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, indices, x, y, marks, chunk, count) =>
      withMark(b, marks, task, (mark) => {
        const last = shape.length - 1;
        const steps = [4, bytes * (strides[1][last] as number), bytes] as const;
        const row = (pointers: readonly Pointer[], length: number | Pointer): void => {
          const [index, from, to] = pointers.map((pointer) => b.let(pointer)) as [Pointer, Pointer, Pointer];
          b.for(
            0,
            length,
            1,
            () => {
              checked(b, index, extent, mark, (at) =>
                b.do(moveElement(bytes, i32.add(from, i32.mul(at, axisStride * bytes)), to)),
              );
              for (const [k, pointer] of [index, from, to].entries()) b.increment(pointer, steps[k] as number);
            },
            { atLeastOnce: true },
          );
        };
        const scaled = [times(strides[0], 4), times(strides[1], bytes), times(strides[0], bytes)];
        if (last === 0) {
          // A single row is split.
          const { start, length } = partOf(b, task, count, chunk);
          const pointers = [indices, x, y].map((base, k) => b.let(addressAt(base, [start], scaled[k] as number[])));
          row(pointers, length);
          return;
        }
        forUnits(b, task, chunk, count, (unit) => {
          const place = unravel(b, unit, shape.slice(0, last));
          row(
            [indices, x, y].map((base, k) => b.let(addressAt(base, place, scaled[k] as number[]))),
            shape[last] as number,
          );
        });
      }),
  });

/** What sums are kept in: float64 for floats, unless few terms meet; integers wrap. */
type Sum = "f64" | "f32" | "i32" | "u8";

const sumBytes: Readonly<Record<Sum, number>> = { f64: 8, f32: 4, i32: 4, u8: 1 };

const addTo: Readonly<Record<Sum, (sum: Pointer, source: Pointer) => Statement>> = {
  f64: (sum, source) => f64.store(sum, f64.add(f64.load(sum), f64.promote(f32.load(source)))),
  f32: (sum, source) => f32.store(sum, f32.add(f32.load(sum), f32.load(source))),
  i32: (sum, source) => i32.store(sum, i32.add(i32.load(sum), i32.load(source))),
  u8: (sum, source) => i32.store8(sum, i32.add(i32.load8U(sum), i32.load8U(source))),
};

/** Neighbours on the last of the other axes that a unit of a scatter covers. */
const SEGMENT = 64;

interface Scatter {
  readonly sum: Sum;
  /** The axes but the scattered one, merged; the last is cut into segments. */
  readonly shape: Shape;
  /** Along `shape`: of index and source, and of the sums. */
  readonly strides: readonly [readonly number[], readonly number[]];
  /** Along the axis, likewise. */
  readonly axisStrides: readonly [number, number];
  readonly extent: number;
  readonly segments: number;
}

/**
 * Units touch sums of their own, and add to each of them in the order of the axis. The last extent of the shape and the
 * length of the index along the axis are arguments.
 */
const scatter = ({ sum, shape, strides, axisStrides, extent, segments }: Scatter): FunctionDefinition =>
  defineFunction({
    name: "scatter",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, indices, source, sums, marks, chunk, count, width, length) =>
      withMark(b, marks, task, (mark) => {
        const last = shape.length - 1;
        const sourceBytes = sum === "u8" ? 1 : 4;
        const bytes = [4, sourceBytes, sumBytes[sum]] as const;
        const along = [strides[0], strides[0], strides[1]].map((list, k) => times(list, bytes[k] as number));
        const across = [axisStrides[0], axisStrides[0]].map((n, k) => n * (bytes[k] as number));
        const sumStride = axisStrides[1] * bytes[2];
        const inner = along.map((list) => list[last] as number);
        const move = (pointers: readonly Pointer[], steps: readonly number[]): void => {
          for (const [k, step] of steps.entries()) if (step !== 0) b.increment(pointers[k] as Pointer, step);
        };
        const add = ([index, from, to]: readonly Pointer[]): void =>
          checked(b, index as Pointer, extent, mark, (at) =>
            b.do(addTo[sum](b.let(i32.add(to as Pointer, i32.mul(at, sumStride))), from as Pointer)),
          );
        /** Two loops, the outer one first: neighbours in the memory of the index are the inner one. */
        const loops = (pointers: readonly Pointer[], levels: readonly (readonly [I32, readonly number[]])[]): void => {
          const [[end, steps], ...rest] = levels as [readonly [I32, readonly number[]]];
          const own = pointers.map((pointer) => b.let(pointer));
          b.for(
            0,
            end,
            1,
            () => {
              if (rest.length > 0) loops(own, rest);
              else add(own);
              move(own, steps);
            },
            { atLeastOnce: true },
          );
        };
        forUnits(b, task, chunk, count, (unit) => {
          const place = unravel(b, unit, [...shape.slice(0, last), segments]);
          const first = b.let(i32.mul(place[last] as Pointer, SEGMENT));
          const part = minU(b, i32.sub(width, first), SEGMENT);
          const at = [...place.slice(0, last), first];
          const pointers = [indices, source, sums].map((base, k) => b.let(addressAt(base, at, along[k] as number[])));
          const levels = [[length, across] as const, [part, inner] as const];
          loops(pointers, axisStrides[0] === 1 ? levels.reverse() : levels);
        });
      }),
  });

/** x as float64, one task a chunk of its elements. */
const widen = defineFunction({
  name: "widen",
  params: ["i32", "i32", "i32", "i32", "i32", "i32"],
  build: (b, task, _scratch, x, sums, chunk, count) => {
    const { start, length } = partOf(b, task, count, chunk);
    const from = b.let(i32.add(x, i32.shl(start, 2)));
    const to = b.let(i32.add(sums, i32.shl(start, 3)));
    // The sums have room for whole vectors.
    b.for(0, length, 2, () => {
      b.do(v128.store(to, f64x2.promoteLowF32x4(v128.load64Zero(from))));
      b.increment(from, 8);
      b.increment(to, 16);
    });
  },
});

/** The sums as float32. */
const narrow = defineFunction({
  name: "narrow",
  params: ["i32", "i32", "i32", "i32", "i32", "i32"],
  build: (b, task, _scratch, sums, y, chunk, count) => {
    const { start, length } = partOf(b, task, count, chunk);
    const from = b.let(i32.add(sums, i32.shl(start, 3)));
    const to = b.let(i32.add(y, i32.shl(start, 2)));
    b.for(0, i32.and(length, -2), 2, () => {
      b.do(v128.store64Lane(to, f32x4.demoteF64x2Zero(v128.load(from)), 0));
      b.increment(from, 16);
      b.increment(to, 8);
    });
    b.if(i32.and(length, 1), () => b.do(f32.store(to, f32.demote(f64.load(from)))));
  },
});

/** Terms that float32 may add without a bound on rounding errors in question. */
const FEW_TERMS = 16;

const sumOf = (dtype: WasmOperand["dtype"], terms: number): Sum => {
  if (dtype === "float32") return terms <= FEW_TERMS ? "f32" : "f64";
  return dtype === "int32" ? "i32" : "u8";
};

export const gatherKernels = (runtime: Runtime): Pick<WasmKernels, "gather" | "scatterAdd"> => ({
  gather: ({ inputs: [x, index], outputs: [y], attrs: { axis } }) => {
    const bytes = elementBytes(x);
    const extent = x.shape[axis] as number;
    const xStrides = rowMajorStrides(x.shape);
    const axisStride = xStrides[axis] as number;
    xStrides[axis] = 0;
    const nest = mergeAxes(index.shape, [rowMajorStrides(index.shape), xStrides]);
    const strides = nest.strides as [number[], number[]];
    const last = nest.shape.length - 1;
    const single = last === 0;
    const count = single ? (nest.shape[0] as number) : sizeOf(nest.shape.slice(0, last));
    const { tasks, chunk } = splitUnits(count, single ? 1 : (nest.shape[last] as number));
    runtime.withTemporary(4 * tasks, (marks) => {
      runtime.run(
        `gather:${bytes}:${nest.shape.slice(1)}:${strides.join(":")}:${extent}:${axisStride}`,
        () => gather(bytes, nest.shape, strides, extent, axisStride),
        tasks,
        [index.storage.address, x.storage.address, y.storage.address, marks, chunk, count],
      );
      checkMarks(runtime, "gather", marks, tasks, index, axis, extent);
    });
  },

  scatterAdd: ({ inputs: [x, index, source], outputs: [y], attrs: { axis } }) => {
    const terms = index.shape[axis] as number;
    const sum = sumOf(x.dtype, terms);
    const size = sizeOf(x.shape);
    const [indexStrides, xStrides] = [rowMajorStrides(index.shape), rowMajorStrides(x.shape)];
    const nest = mergeAxes(
      without(index.shape, axis),
      [indexStrides, xStrides].map((list) => without(list, axis)),
    );
    const strides = nest.strides as [number[], number[]];
    const last = nest.shape.length - 1;
    const width = nest.shape[last] as number;
    const segments = Math.ceil(width / SEGMENT);
    const count = sizeOf(nest.shape.slice(0, last)) * segments;
    const { tasks, chunk } = splitUnits(count, Math.min(width, SEGMENT) * terms);
    const extent = x.shape[axis] as number;
    const axisStrides = [indexStrides[axis] as number, xStrides[axis] as number] as const;
    const known = [nest.shape.slice(1, last), last > 0 ? segments : "", ...strides, axisStrides, extent];

    const wide = sum === "f64" ? 8 * Math.ceil(size / 2) * 2 : 0;
    runtime.withTemporary(wide + 4 * tasks, (temporary) => {
      const { address } = y.storage;
      const all = split(size, LIGHT_CHUNK);
      if (wide > 0) runtime.run("widen", () => widen, all.tasks, [x.storage.address, temporary, all.chunk, size]);
      else copyElements(runtime, x, y);
      const marks = temporary + wide;
      runtime.run(
        `scatter:${sum}:${known.join(":")}`,
        () => scatter({ sum, shape: nest.shape, strides, axisStrides, extent, segments }),
        tasks,
        [
          index.storage.address,
          source.storage.address,
          wide > 0 ? temporary : address,
          marks,
          chunk,
          count,
          width,
          terms,
        ],
      );
      checkMarks(runtime, "scatterAdd", marks, tasks, index, axis, extent);
      if (wide > 0) runtime.run("narrow", () => narrow, all.tasks, [temporary, address, all.chunk, size]);
    });
  },
});
