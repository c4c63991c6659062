import {
  broadcastStrides,
  bytesPerElement,
  mergeAxes,
  rowMajorStrides,
  type Shape,
  sizeOf,
} from "@striate/core/backend";
import { i8x16, i32, i32x4, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels, WasmOperand } from "../storage.js";
import {
  addressAt,
  copyRow,
  type ElementBytes,
  fillRow,
  forNest,
  forUnits,
  minU,
  splitUnits,
  unravel,
} from "./rows.js";

/** An array walked with given steps, in elements, from `address` on. */
interface View {
  readonly address: number;
  readonly strides: readonly number[];
}

const times = (list: readonly number[], factor: number): number[] => list.map((n) => n * factor);

const LINE = 2 ** 16;

/** A single row of any length, `LINE` elements a task. */
const line = (bytes: ElementBytes, fromStep: number, toStep: number): FunctionDefinition =>
  defineFunction({
    name: "line",
    params: ["i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, from, to, count) => {
      const start = b.let(i32.mul(task, LINE));
      const source = b.let(i32.add(from, i32.mul(start, fromStep * bytes)));
      const target = b.let(i32.add(to, i32.mul(start, toStep * bytes)));
      copyRow(b, bytes, source, fromStep, target, toStep, minU(b, i32.sub(count, start), LINE));
    },
  });

/** Loop nests that copy row by row: units are the first `lead` axes. */
const rows = (
  bytes: ElementBytes,
  shape: readonly number[],
  [from, to]: readonly [readonly number[], readonly number[]],
  lead: number,
): FunctionDefinition =>
  defineFunction({
    name: "rows",
    params: ["i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, source, target, chunk, count) => {
      const last = shape.length - 1;
      const strides = [times(from, bytes), times(to, bytes)] as const;
      forUnits(b, task, chunk, count, (unit) => {
        const indices = unravel(b, unit, shape.slice(0, lead));
        const pointers = [b.let(addressAt(source, indices, strides[0])), b.let(addressAt(target, indices, strides[1]))];
        const inner = strides.map((list) => list.slice(lead, last));
        forNest(b, shape.slice(lead, last), inner, pointers, ([x, y]) =>
          copyRow(
            b,
            bytes,
            x as Local<"i32">,
            from[last] as number,
            y as Local<"i32">,
            to[last] as number,
            shape[last] as number,
          ),
        );
      });
    },
  });

/** Columns that are transposed together: whole cache lines are written. */
const STRIP = 16;

const transposeFour = (b: FunctionBody, [p, q, r, s]: readonly [V128, V128, V128, V128]): V128[] => {
  const [x0, x1, x2, x3] = [b.let(p), b.let(q), b.let(r), b.let(s)];
  const low = [b.let(v128.shuffle(x0, x1, [0, 4, 1, 5])), b.let(v128.shuffle(x2, x3, [0, 4, 1, 5]))] as const;
  const high = [b.let(v128.shuffle(x0, x1, [2, 6, 3, 7])), b.let(v128.shuffle(x2, x3, [2, 6, 3, 7]))] as const;
  return [low, high].flatMap(([a, c]) => [v128.shuffle(a, c, [0, 1, 4, 5]), v128.shuffle(a, c, [2, 3, 6, 7])]);
};

/**
 * Nests of 4-byte elements whose last two axes are a transposition: the last but one reads neighbours, the last writes
 * them, and both have 4 elements at least. Units are all axes before, and strips of the last.
 */
const transposition = (
  shape: readonly number[],
  [from, to]: readonly [readonly number[], readonly number[]],
  strips: number,
): FunctionDefinition =>
  defineFunction({
    name: "transposition",
    params: ["i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, source, target, chunk, count) => {
      const last = shape.length - 1;
      const [height, width] = [shape[last - 1] as number, shape[last] as number];
      const columnStride = 4 * (from[last] as number);
      const rowStride = 4 * (to[last - 1] as number);
      const lead = [...shape.slice(0, last - 1), strips];
      const strides = [from, to].map((list) => times([...list.slice(0, last - 1), STRIP * (list[last] as number)], 4));
      forUnits(b, task, chunk, count, (unit) => {
        const indices = unravel(b, unit, lead);
        const [x, y] = [source, target].map((base, k) => b.let(addressAt(base, indices, strides[k] as number[])));
        // The last strip has what is left, and so as many as four columns.
        const columns = b.let(i32.const(strips === 1 ? width : STRIP));
        if (strips > 1 && width % STRIP !== 0)
          b.if(i32.eq(indices[lead.length - 1] as Local<"i32">, strips - 1), () =>
            b.set(columns, i32.const(width - STRIP * (strips - 1))),
          );
        b.for(
          0,
          height,
          4,
          (row) => {
            const r = height % 4 === 0 ? row : minU(b, row, height - 4);
            b.for(
              0,
              columns,
              4,
              (column) => {
                const c = width % 4 === 0 ? column : minU(b, column, i32.sub(columns, 4));
                const read = b.let(i32.add(i32.add(x as Local<"i32">, i32.shl(r, 2)), i32.mul(c, columnStride)));
                const write = b.let(i32.add(i32.add(y as Local<"i32">, i32.shl(c, 2)), i32.mul(r, rowStride)));
                const block = transposeFour(b, [
                  v128.load(read),
                  v128.load(read, columnStride),
                  v128.load(read, 2 * columnStride),
                  v128.load(read, 3 * columnStride),
                ]);
                for (const [i, vector] of block.entries()) b.do(v128.store(write, vector, i * rowStride));
              },
              { atLeastOnce: true },
            );
          },
          { atLeastOnce: true },
        );
      });
    },
  });

/** Elements a unit should have at least, lest finding its place cost more than moving it. */
const UNIT_ELEMENTS = 2 ** 12;

const moveToEnd = <T>(list: T[], index: number): void => {
  list.push(list.splice(index, 1)[0] as T);
};

/** The axis to read neighbours along where the last axis cannot; -1 where there is none, or a row is copied as it is. */
const transposedAxis = (shape: readonly number[], from: readonly number[], to: readonly number[]): number => {
  const last = shape.length - 1;
  if (to[last] !== 1 || (from[last] as number) < 3 || (shape[last] as number) < 4) return -1;
  return shape.findIndex((extent, axis) => axis < last && from[axis] === 1 && extent >= 4);
};

const copyLine = (
  runtime: Runtime,
  bytes: ElementBytes,
  addresses: readonly number[],
  count: number,
  fromStep = 1,
  toStep = 1,
): void => {
  const key = `line:${bytes}:${fromStep}:${toStep}`;
  runtime.run(key, () => line(bytes, fromStep, toStep), Math.ceil(count / LINE), [...addresses, count]);
};

/** y = x, for arrays of the same size and dtype. */
export const copyElements = (runtime: Runtime, x: WasmOperand, y: WasmOperand): void =>
  copyLine(runtime, elementBytes(x), [x.storage.address, y.storage.address], sizeOf(x.shape));

/** Copies an array of `shape` between two views: every data movement but padding is this. */
const copy = (runtime: Runtime, bytes: ElementBytes, shape: Shape, from: View, to: View): void => {
  const nest = mergeAxes(shape, [from.strides, to.strides]);
  const strides = nest.strides as [number[], number[]];
  const addresses = [from.address, to.address];
  if (nest.shape.length === 1) {
    copyLine(runtime, bytes, addresses, nest.shape[0] as number, strides[0][0], strides[1][0]);
    return;
  }
  const axis = bytes === 4 ? transposedAxis(nest.shape, ...strides) : -1;
  const last = nest.shape.length - 1;
  if (axis >= 0) {
    for (const list of [nest.shape, ...strides]) {
      moveToEnd(list, axis);
      moveToEnd(list, last - 1);
    }
    const strips = Math.max(1, Math.floor((nest.shape[last] as number) / STRIP));
    const unitElements = ((nest.shape[last - 1] as number) * (nest.shape[last] as number)) / strips;
    const count = sizeOf(nest.shape.slice(0, last - 1)) * strips;
    const { chunk, tasks } = splitUnits(count, unitElements);
    const fixed = last > 1 ? nest.shape.slice(1) : nest.shape;
    runtime.run(
      `transposition:${last}:${fixed}:${strides.join(":")}`,
      () => transposition(nest.shape, strides, strips),
      tasks,
      [...addresses, chunk, count],
    );
    return;
  }
  let lead = 1;
  while (lead < last && sizeOf(nest.shape.slice(lead)) > UNIT_ELEMENTS) lead++;
  const count = sizeOf(nest.shape.slice(0, lead));
  const { chunk, tasks } = splitUnits(count, sizeOf(nest.shape.slice(lead)));
  runtime.run(
    `rows:${bytes}:${nest.shape.slice(1)}:${strides.join(":")}`,
    () => rows(bytes, nest.shape, strides, lead),
    tasks,
    [...addresses, chunk, count],
  );
};

export const elementBytes = ({ dtype }: WasmOperand): ElementBytes => (bytesPerElement[dtype] === 1 ? 1 : 4);

/** The bytes of an element, as an integer. */
const bitsOf = (value: number, dtype: WasmOperand["dtype"]): number =>
  dtype === "float32" ? (new Int32Array(Float32Array.of(value).buffer)[0] as number) : value;

interface PaddedAxis {
  extent: number;
  before: number;
  after: number;
}

const isPadded = ({ before, after }: PaddedAxis): boolean => before + after > 0;
const fullExtent = ({ extent, before, after }: PaddedAxis): number => before + extent + after;

/** Axes without padding joined to the one before, those of one element dropped: two at least, the first maybe of one. */
const mergePadding = (shape: Shape, before: readonly number[], after: readonly number[]): PaddedAxis[] => {
  const axes: PaddedAxis[] = [];
  shape.forEach((extent, i) => {
    const axis = { extent, before: before[i] as number, after: after[i] as number };
    const last = axes.at(-1);
    if (last === undefined || axis.before + axis.after > 0) axes.push(axis);
    else for (const key of ["extent", "before", "after"] as const) last[key] *= extent;
  });
  const merged = axes.filter(({ extent, before: b, after: a }) => extent * (b + a + extent) !== 1);
  while (merged.length < 2) merged.unshift({ extent: 1, before: 0, after: 0 });
  return merged;
};

/** Units are rows of the output: all padding, or padding on both sides of a row of the input. */
const padded = (bytes: ElementBytes, axes: readonly PaddedAxis[]): FunctionDefinition =>
  defineFunction({
    name: "padded",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, from, to, value, chunk, count) => {
      const outer = axes.slice(0, -1);
      const row = axes.at(-1) as PaddedAxis;
      const total = fullExtent(row);
      const strides = times(rowMajorStrides(axes.map(({ extent }) => extent)), bytes);
      const splat = b.let(bytes === 4 ? i32x4.splat(value) : i8x16.splat(value));
      forUnits(b, task, chunk, count, (unit) => {
        const target = b.let(i32.add(to, i32.mul(unit, total * bytes)));
        const indices = unravel(b, unit, outer.map(fullExtent)).map((index, axis) => {
          const { before } = outer[axis] as PaddedAxis;
          return before === 0 ? index : b.let(i32.sub(index, before));
        });
        const inside = outer.flatMap((axis, i) =>
          isPadded(axis) ? [i32.ltU(indices[i] as Local<"i32">, axis.extent)] : [],
        );
        const copyInside = (): void => {
          const source = b.let(addressAt(from, indices, strides));
          const middle = b.let(i32.add(target, row.before * bytes));
          fillRow(b, bytes, splat, target, row.before);
          copyRow(b, bytes, source, 1, middle, 1, row.extent);
          fillRow(b, bytes, splat, i32.add(middle, row.extent * bytes), row.after);
        };
        if (inside.length === 0) copyInside();
        else b.if(inside.reduce(i32.and), copyInside, () => fillRow(b, bytes, splat, target, total));
      });
    },
  });

const pad = (runtime: Runtime, x: WasmOperand, y: WasmOperand, axes: readonly PaddedAxis[], value: number): void => {
  const bytes = elementBytes(y);
  const first = axes[0] as PaddedAxis;
  const count = sizeOf(axes.slice(0, -1).map(fullExtent));
  const { chunk, tasks } = splitUnits(count, fullExtent(axes.at(-1) as PaddedAxis));
  // The extent of a first axis without padding, the batch mostly, is left to the arguments.
  const known = axes.map(({ extent, before, after }) => `${before},${extent},${after}`);
  runtime.run(
    `padded:${bytes}:${isPadded(first) ? known[0] : ""}:${known.slice(1).join(":")}`,
    () => padded(bytes, axes),
    tasks,
    [x.storage.address, y.storage.address, bitsOf(value, y.dtype), chunk, count],
  );
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, n, i) => sum + n * (b[i] as number), 0);

export const movementKernels = (
  runtime: Runtime,
): Pick<WasmKernels, "permute" | "slice" | "pad" | "expand" | "concat"> => ({
  permute: ({ inputs: [x], outputs: [y], attrs: { perm } }) => {
    const strides = rowMajorStrides(x.shape);
    copy(
      runtime,
      elementBytes(y),
      y.shape,
      { address: x.storage.address, strides: perm.map((axis) => strides[axis] as number) },
      { address: y.storage.address, strides: rowMajorStrides(y.shape) },
    );
  },

  slice: ({ inputs: [x], outputs: [y], attrs: { begin, step } }) => {
    const bytes = elementBytes(y);
    const strides = rowMajorStrides(x.shape);
    copy(
      runtime,
      bytes,
      y.shape,
      {
        address: x.storage.address + bytes * dot(begin, strides),
        strides: strides.map((stride, axis) => stride * (step[axis] as number)),
      },
      { address: y.storage.address, strides: rowMajorStrides(y.shape) },
    );
  },

  pad: ({ inputs: [x], outputs: [y], attrs: { before, after, value } }) =>
    pad(runtime, x, y, mergePadding(x.shape, before, after), value),

  expand: ({ inputs: [x], outputs: [y] }) =>
    copy(
      runtime,
      elementBytes(y),
      y.shape,
      { address: x.storage.address, strides: broadcastStrides(x.shape, y.shape) },
      { address: y.storage.address, strides: rowMajorStrides(y.shape) },
    ),

  concat: {
    run: ({ inputs, outputs: [y], attrs: { axis } }) => {
      const bytes = elementBytes(y);
      const strides = rowMajorStrides(y.shape);
      let { address } = y.storage;
      for (const x of inputs) {
        copy(
          runtime,
          bytes,
          x.shape,
          { address: x.storage.address, strides: rowMajorStrides(x.shape) },
          { address, strides },
        );
        address += bytes * (x.shape[axis] as number) * (strides[axis] as number);
      }
    },
  },
});
