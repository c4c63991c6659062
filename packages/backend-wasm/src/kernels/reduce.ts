import { around, bytesPerElement, collapseAxes, type DType, type Shape, sizeOf } from "@striate/core/backend";
import {
  type Expr,
  f32,
  f32x4,
  f64,
  f64x2,
  type I32,
  type I32Like,
  i32,
  i32x4,
  type Statement,
  select,
  type V128,
  v128,
} from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { loadBytes } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { laneNumbers } from "./lines.js";
import { minU } from "./rows.js";

// ---------------------------------------------------------------------------------------------------------------
// How elements fold

/** The type that a result has while it is combined from parts. */
interface Scalar<T extends "i32" | "f32" | "f64"> {
  readonly bytes: number;
  lane(v: V128, index: number): Expr<T>;
  load(address: I32Like, offset?: number): Expr<T>;
  store(address: I32Like, value: Expr<T>, offset?: number): Statement;
}

const scalars = {
  i32: { bytes: 4, lane: i32x4.extractLane, load: i32.load, store: i32.store },
  f32: { bytes: 4, lane: f32x4.extractLane, load: f32.load, store: f32.store },
  f64: { bytes: 8, lane: f64x2.extractLane, load: f64.load, store: f64.store },
} as const satisfies { [T in "i32" | "f32" | "f64"]: Scalar<T> };

/**
 * How elements become one. Four elements at a time are loaded as one vector, or as two of float64: sums of float32 are
 * accumulated in double precision, which costs less than fetching the elements from memory.
 */
interface Fold<T extends "i32" | "f32" | "f64" = "i32" | "f32" | "f64"> {
  readonly scalar: Scalar<T>;
  readonly pieces: 1 | 2;
  /** Leaves every accumulator as it is. */
  readonly neutral: V128;
  loadPiece(address: I32Like, offset: number, piece: number): V128;
  combine(accumulator: V128, value: V128): V128;
  combineScalars(a: Expr<T>, b: Expr<T>): Expr<T>;
  /** To an element of the output. */
  storeResult(address: I32Like, value: Expr<T>): Statement;
}

const sumOfFloats: Fold<"f64"> = {
  scalar: scalars.f64,
  pieces: 2,
  neutral: f64x2.const(0),
  loadPiece: (address, offset, piece) => f64x2.promoteLowF32x4(v128.load64Zero(address, offset + 8 * piece)),
  combine: f64x2.add,
  combineScalars: f64.add,
  storeResult: (address, value) => f32.store(address, f32.demote(value)),
};

const extremeOfFloats = (name: "max" | "min"): Fold<"f32"> => ({
  scalar: scalars.f32,
  pieces: 1,
  neutral: f32x4.const(name === "max" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY),
  loadPiece: v128.load,
  combine: f32x4[name],
  combineScalars: f32[name],
  storeResult: f32.store,
});

const foldOfIntegers = (
  dtype: "int32" | "uint8",
  neutral: number,
  combine: (a: V128, b: V128) => V128,
  combineScalars: (a: I32, b: I32) => I32,
): Fold<"i32"> => ({
  scalar: scalars.i32,
  pieces: 1,
  neutral: i32x4.splat(neutral),
  loadPiece: dtype === "int32" ? v128.load : loadBytes,
  combine,
  combineScalars,
  storeResult: dtype === "int32" ? i32.store : i32.store8,
});

type Kind = "sum" | "max" | "min";

const foldOf = (kind: Kind, dtype: DType): Fold => {
  if (dtype === "float32") return kind === "sum" ? sumOfFloats : extremeOfFloats(kind);
  const type = dtype as "int32" | "uint8";
  if (kind === "sum") return foldOfIntegers(type, 0, i32x4.add, i32.add);
  if (kind === "max") return foldOfIntegers(type, -(2 ** 31), i32x4.maxS, (a, b) => select(i32.gtS(a, b), a, b));
  return foldOfIntegers(type, 2 ** 31 - 1, i32x4.minS, (a, b) => select(i32.ltS(a, b), a, b));
};

// ---------------------------------------------------------------------------------------------------------------
// How the work is split: by shape alone, so that every number of threads gives the same bits

/** [k0, r0, k1, r1], where the r axes are reduced; any may be 1. Where r1 is 1, neighbours in memory are kept apart. */
interface Form {
  readonly k0: number;
  readonly r0: number;
  readonly k1: number;
  readonly r1: number;
}

/** Undefined where there are more groups of axes than that. */
const formOf = (shape: Shape, axes: readonly number[]): Form | undefined => {
  const extents = [1, 1, 1, 1];
  let place = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    if (axes.includes(axis) !== (place % 2 === 1)) place++;
    if (place > 3) return undefined;
    extents[place] = shape[axis] as number;
    place++;
  }
  const [k0, r0, k1, r1] = extents as [number, number, number, number];
  return k1 === 1 && r1 === 1 ? { k0, r0: 1, k1: 1, r1: r0 } : { k0, r0, k1, r1 };
};

/** Elements that one task reads: some 20 µs of work. */
const TASK_ELEMENTS = 2 ** 16;

interface Split {
  /** Blocks of outputs, as many tasks a part. */
  readonly blocks: number;
  /** Outputs (rows) or groups of columns a block. */
  readonly perBlock: number;
  /** Columns a group. */
  readonly group: number;
  /** The reduced elements come in parts0 · parts1 parts, of length0 along r0 by length1 along r1. */
  readonly length0: number;
  readonly length1: number;
  readonly parts1: number;
  readonly parts: number;
}

/** Neighbours in memory go to different outputs. */
const isColumns = ({ k1, r1 }: Form): boolean => r1 === 1 && k1 > 1;

const splitOf = (form: Form): Split => {
  const { k0, r0, k1, r1 } = form;
  const outputs = k0 * k1;
  const terms = r0 * r1;
  const total = outputs * terms;
  // Few enough tasks, however large the input is: four times as many at worst.
  const target = Math.max(TASK_ELEMENTS, Math.ceil(total / 2048));
  let [length0, length1] = [r0, r1];
  if (isColumns(form)) {
    const few = Math.min(k1, 64);
    if (r0 * few > 2 * target) length0 = Math.floor(target / few);
    const group = Math.min(k1, Math.max(64, Math.floor(target / length0 / 16) * 16));
    const groups = k0 * Math.ceil(k1 / group);
    const perBlock = Math.min(groups, Math.max(1, Math.floor(target / (length0 * group))));
    const parts = Math.ceil(r0 / length0);
    return { blocks: Math.ceil(groups / perBlock), perBlock, group, length0, length1, parts1: 1, parts };
  }
  if (terms > 2 * target) {
    if (r1 >= target) {
      length0 = 1;
      length1 = Math.ceil(r1 / Math.ceil(r1 / target) / 16) * 16;
    } else length0 = Math.floor(target / r1);
  }
  const parts1 = Math.ceil(r1 / length1);
  const parts = Math.ceil(r0 / length0) * parts1;
  const perBlock = parts > 1 ? 1 : Math.min(outputs, Math.max(1, Math.floor(target / terms)));
  return { blocks: Math.ceil(outputs / perBlock), perBlock, group: 0, length0, length1, parts1, parts };
};

// ---------------------------------------------------------------------------------------------------------------
// Programs

type Reading =
  /** Folds the elements. */
  | "elements"
  /** Sums the squares of their distances from the means, float64, that lie at `centres`. */
  | "squares";

/** The accumulators of `vectors` vectors, with the statements that feed them. */
const accumulatorsOf = (b: FunctionBody, { pieces, neutral, loadPiece, combine }: Fold, vectors: number) => {
  const locals = Array.from({ length: vectors * pieces }, () => b.local("v128"));
  const value = b.local("v128");
  return {
    locals,
    clear: (): void => {
      for (const local of locals) b.set(local, neutral);
    },
    /** Adds vector number `which`; of its elements only those that the masks, one a piece, let pass. */
    add: (
      which: number,
      address: I32,
      offset: number,
      { centres, masks }: { readonly centres?: readonly V128[] | undefined; readonly masks?: readonly V128[] },
    ): void => {
      for (let piece = 0; piece < pieces; piece++) {
        const accumulator = locals[which * pieces + piece] as Local<"v128">;
        let loaded = loadPiece(address, offset, piece);
        if (centres !== undefined) {
          b.set(value, f64x2.sub(loaded, centres[piece] as V128));
          loaded = f64x2.mul(value, value);
        }
        if (masks !== undefined) loaded = v128.bitselect(loaded, neutral, masks[piece] as V128);
        b.set(accumulator, combine(accumulator, loaded));
      }
    },
  };
};

/** Where a fold leaves output number `index`, part number `part`, and in which type. */
const keeper =
  <T extends "i32" | "f32" | "f64">(fold: Fold<T>, last: boolean, bytes: number) =>
  (b: FunctionBody, out: I32, index: I32, value: Expr<T>): void => {
    const size = last ? bytes : fold.scalar.bytes;
    const address = i32.add(out, i32.mul(index, size));
    b.do(last ? fold.storeResult(address, value) : fold.scalar.store(address, value));
  };

/**
 * Neighbours in memory fall together. Arguments: x, out, centres, the form, then the split.
 * With `last` the outputs are written; else their parts, as [parts, outputs] of the fold's scalar type.
 */
const rowsProgram = (fold: Fold, reading: Reading, last: boolean, bytes: number): FunctionDefinition =>
  defineFunction({
    name: "reduceRows",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, out, centres, outputs, r0, k1, r1, blocks, perBlock, length0, length1, parts1) => {
      const { scalar, pieces, combine, combineScalars } = fold;
      const keep = keeper(fold, last, bytes);
      const part = b.let(i32.divU(task, blocks));
      const first = b.let(i32.mul(i32.remU(task, blocks), perBlock));
      const end = minU(b, i32.add(first, perBlock), outputs);
      const begin0 = b.let(i32.mul(i32.divU(part, parts1), length0));
      const begin1 = b.let(i32.mul(i32.remU(part, parts1), length1));
      const rows = minU(b, i32.sub(r0, begin0), length0);
      const length = minU(b, i32.sub(r1, begin1), length1);
      const rest = b.let(i32.and(length, 3));
      const mask = b.let(i32x4.gtS(i32x4.splat(rest), laneNumbers()));
      const masks =
        pieces === 1
          ? [mask]
          : [b.let(v128.shuffle(mask, mask, [0, 0, 1, 1])), b.let(v128.shuffle(mask, mask, [2, 2, 3, 3]))];
      const rowStep = b.let(i32.mul(i32.mul(k1, r1), bytes));
      const accumulators = accumulatorsOf(b, fold, 4);
      const centre = b.local("v128");
      const about = reading === "squares" ? [centre, centre] : undefined;
      b.for(first, end, 1, (output) => {
        accumulators.clear();
        if (about) b.set(centre, f64x2.splat(f64.load(i32.add(centres, i32.mul(output, 8)))));
        const k0 = b.let(i32.divU(output, k1));
        const row = b.let(i32.add(i32.mul(i32.add(i32.mul(k0, r0), begin0), k1), i32.sub(output, i32.mul(k0, k1))));
        const start = b.let(i32.add(x, i32.mul(i32.add(i32.mul(row, r1), begin1), bytes)));
        b.for(
          0,
          rows,
          1,
          () => {
            const end16 = b.let(i32.add(start, i32.mul(i32.and(length, -16), bytes)));
            const end4 = b.let(i32.add(start, i32.mul(i32.and(length, -4), bytes)));
            b.for(start, end16, 16 * bytes, (p) => {
              for (let v = 0; v < 4; v++) accumulators.add(v, p, 4 * v * bytes, { centres: about });
            });
            b.for(end16, end4, 4 * bytes, (p) => accumulators.add(0, p, 0, { centres: about }));
            b.if(rest, () => accumulators.add(1, end4, 0, { centres: about, masks }));
            b.increment(start, rowStep);
          },
          { atLeastOnce: true },
        );
        const [sum, ...others] = accumulators.locals as [Local<"v128">, ...Local<"v128">[]];
        for (const other of others) b.set(sum, combine(sum, other));
        // Four lanes, or two of float64.
        if (scalar.bytes === 4) b.set(sum, combine(sum, v128.shuffle(sum, sum, [2, 3, 0, 1])));
        keep(b, out, i32.add(i32.mul(part, outputs), output), combineScalars(scalar.lane(sum, 0), scalar.lane(sum, 1)));
      });
    },
  });

/** Neighbours in memory belong to different outputs, each a lane. Arguments and results as `rowsProgram`. */
const columnsProgram = (fold: Fold, reading: Reading, last: boolean, bytes: number): FunctionDefinition =>
  defineFunction({
    name: "reduceColumns",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, out, centres, k0, r0, k1, blocks, perBlock, group, length0) => {
      const { scalar, pieces } = fold;
      const keep = keeper(fold, last, bytes);
      const outputs = b.let(i32.mul(k0, k1));
      const groups = b.let(i32.divU(i32.sub(i32.add(k1, group), 1), group));
      const part = b.let(i32.divU(task, blocks));
      const first = b.let(i32.mul(i32.remU(task, blocks), perBlock));
      const end = minU(b, i32.add(first, perBlock), i32.mul(k0, groups));
      const begin = b.let(i32.mul(part, length0));
      const rows = minU(b, i32.sub(r0, begin), length0);
      const rowStep = b.let(i32.mul(k1, bytes));
      const accumulators = accumulatorsOf(b, fold, 4);
      const about = Array.from({ length: reading === "squares" ? 8 : 0 }, () => b.local("v128"));
      const p = b.local("i32");

      b.for(first, end, 1, (unit) => {
        const outer = b.let(i32.divU(unit, groups));
        const from = b.let(i32.mul(i32.remU(unit, groups), group));
        const to = minU(b, i32.add(from, group), k1);
        const row = b.let(i32.mul(i32.add(i32.mul(outer, r0), begin), k1));
        /** The first output of this row, among all. */
        const own = b.let(i32.mul(outer, k1));
        const strip = (column: Local<"i32">, vectors: number, stores: (keepLane: (lane: number) => void) => void) => {
          accumulators.clear();
          const index = b.let(i32.add(own, column));
          if (reading === "squares")
            for (let i = 0; i < 2 * vectors; i++)
              b.set(about[i] as Local<"v128">, v128.load(i32.add(centres, i32.mul(index, 8)), 16 * i));
          b.set(p, i32.add(x, i32.mul(i32.add(row, column), bytes)));
          b.for(
            0,
            rows,
            1,
            () => {
              for (let v = 0; v < vectors; v++)
                accumulators.add(v, p, 4 * v * bytes, {
                  centres: reading === "squares" ? about.slice(2 * v, 2 * v + 2) : undefined,
                });
              b.increment(p, rowStep);
            },
            { atLeastOnce: true },
          );
          stores((lane) => {
            const perPiece = 4 / pieces;
            const accumulator = accumulators.locals[Math.floor(lane / perPiece)] as Local<"v128">;
            const place = i32.add(i32.add(i32.mul(part, outputs), index), lane);
            keep(b, out, place, scalar.lane(accumulator, lane % perPiece));
          });
        };
        const end16 = b.let(i32.add(from, i32.and(i32.sub(to, from), -16)));
        b.for(from, end16, 16, (column) =>
          strip(column, 4, (keepLane) => {
            for (let lane = 0; lane < 16; lane++) keepLane(lane);
          }),
        );
        b.for(end16, to, 4, (column) =>
          strip(column, 1, (keepLane) => {
            for (let lane = 0; lane < 4; lane++) b.if(i32.ltU(i32.add(column, lane), to), () => keepLane(lane));
          }),
        );
      });
    },
  });

/** Outputs that one task combines. */
const COMBINED = 2 ** 14;

/**
 * Combines parts, in order; with `mean` divides by the number of terms. To the output, or `toScalar` as the fold's scalar
 * type. Arguments: parts, out, outputs, number of parts, terms.
 */
const combineProgram = <T extends "i32" | "f32" | "f64">(
  { scalar, combineScalars, storeResult }: Fold<T>,
  bytes: number,
  mean: boolean,
  toScalar: boolean,
): FunctionDefinition =>
  defineFunction({
    name: "combine",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, parts, out, outputs, count, terms) => {
      const begin = b.let(i32.mul(task, COMBINED));
      const step = b.let(i32.mul(outputs, scalar.bytes));
      const end = minU(b, i32.add(begin, COMBINED), outputs);
      b.for(begin, end, 1, (output) => {
        const p = b.let(i32.add(parts, i32.mul(output, scalar.bytes)));
        const sum = b.let(scalar.load(p));
        b.for(1, count, 1, () => {
          b.increment(p, step);
          b.set(sum, combineScalars(sum, scalar.load(p)));
        });
        if (mean) b.set(sum, f64.div(sum as Expr as Expr<"f64">, f64.convertI32U(terms)) as Expr as Expr<T>);
        if (toScalar) b.do(scalar.store(i32.add(out, i32.mul(output, scalar.bytes)), sum));
        else b.do(storeResult(i32.add(out, i32.mul(output, bytes)), sum));
      });
    },
  });

// ---------------------------------------------------------------------------------------------------------------

export const reduceKernels = (runtime: Runtime): Pick<WasmKernels, "reduce" | "variance"> => {
  interface Pass {
    readonly kind: Kind;
    readonly dtype: DType;
    readonly form: Form;
    readonly split: Split;
    readonly x: number;
    readonly out: number;
    /** Means about which squares are summed. */
    readonly centres?: number;
    readonly last: boolean;
  }

  const pass = ({ kind, dtype, form, split, x, out, centres, last }: Pass): void => {
    const { k0, r0, k1, r1 } = form;
    const { blocks, perBlock, group, length0, length1, parts1, parts } = split;
    const reading = centres === undefined ? "elements" : "squares";
    const layout = isColumns(form) ? "columns" : "rows";
    const build = () => {
      const program = layout === "columns" ? columnsProgram : rowsProgram;
      return program(foldOf(kind, dtype), reading, last, bytesPerElement[dtype]);
    };
    const key = `reduce ${layout} ${kind} ${dtype} ${reading} ${last}`;
    const layoutArgs =
      layout === "columns"
        ? [k0, r0, k1, blocks, perBlock, group, length0]
        : [k0 * k1, r0, k1, r1, blocks, perBlock, length0, length1, parts1];
    runtime.run(key, build, blocks * parts, [x, out, centres ?? 0, ...layoutArgs]);
  };

  const combine = (
    kind: Kind,
    dtype: DType,
    [from, to]: readonly [number, number],
    [outputs, parts, terms]: readonly [number, number, number],
    { mean, toScalar }: { readonly mean: boolean; readonly toScalar: boolean },
  ): void => {
    const build = () => combineProgram(foldOf(kind, dtype), bytesPerElement[dtype], mean, toScalar);
    const args = [from, to, outputs, parts, terms];
    runtime.run(`reduce combine ${kind} ${dtype} ${mean} ${toScalar}`, build, Math.ceil(outputs / COMBINED), args);
  };

  const reduceForm = (kind: Kind, dtype: DType, form: Form, x: number, out: number): void => {
    const split = splitOf(form);
    if (split.parts === 1) {
      pass({ kind, dtype, form, split, x, out, last: true });
      return;
    }
    const outputs = form.k0 * form.k1;
    runtime.withTemporary(split.parts * outputs * 8, (partial) => {
      pass({ kind, dtype, form, split, x, out: partial, last: false });
      combine(kind, dtype, [partial, out], [outputs, split.parts, 1], { mean: false, toScalar: false });
    });
  };

  /** Reduces the last axis first, where there are too many groups of axes for one pass. */
  const reduce = (kind: Kind, dtype: DType, shape: Shape, axes: readonly number[], x: number, out: number): void => {
    const form = formOf(shape, axes);
    if (form !== undefined) {
      reduceForm(kind, dtype, form, x, out);
      return;
    }
    const axis = axes.at(-1) as number;
    const { outer, extent, inner } = around(shape, axis);
    runtime.withTemporary(outer * inner * bytesPerElement[dtype], (rest) => {
      const first = inner === 1 ? { k0: outer, r0: 1, k1: 1, r1: extent } : { k0: outer, r0: extent, k1: inner, r1: 1 };
      reduceForm(kind, dtype, first, x, rest);
      const left = collapseAxes(shape.toSpliced(axis, 1), axes.slice(0, -1));
      reduce(kind, dtype, left.shape, left.axes, rest, out);
    });
  };

  return {
    reduce: ({ inputs: [x], outputs: [y], attrs: { kind, axes } }) => {
      const collapsed = collapseAxes(x.shape, axes);
      const [from, to] = [x.storage.address, y.storage.address];
      if (collapsed.axes.length > 0) reduce(kind, x.dtype, collapsed.shape, collapsed.axes, from, to);
      else {
        const bytes = sizeOf(x.shape) * bytesPerElement[x.dtype];
        new Uint8Array(runtime.buffer).copyWithin(to, from, from + bytes);
      }
    },

    variance: {
      supports: ({ inputs: [x], attrs: { axes } }) => {
        const collapsed = collapseAxes(x.shape, axes);
        return formOf(collapsed.shape, collapsed.axes) !== undefined;
      },
      run: ({ inputs: [x], outputs: [y], attrs: { axes } }) => {
        const collapsed = collapseAxes(x.shape, axes);
        const form = formOf(collapsed.shape, collapsed.axes) as Form;
        const split = splitOf(form);
        const outputs = form.k0 * form.k1;
        const terms = form.r0 * form.r1;
        const common = { kind: "sum", dtype: "float32", form, split, x: x.storage.address, last: false } as const;
        const counts = [outputs, split.parts, terms] as const;
        runtime.withTemporary((split.parts + 1) * outputs * 8, (means) => {
          const partial = means + outputs * 8;
          pass({ ...common, out: partial });
          combine("sum", "float32", [partial, means], counts, { mean: true, toScalar: true });
          pass({ ...common, out: partial, centres: means });
          combine("sum", "float32", [partial, y.storage.address], counts, { mean: true, toScalar: false });
        });
      },
    },
  };
};
