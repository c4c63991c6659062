/** Kernels that work along one axis: on one line of neighbours in memory, or on four parallel lines, one a lane. */
import { around, type Shape } from "@striate/core/backend";
import { f32x4, f64x2, type I32, i32, i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody, Local } from "../assembler/module.js";
import { split, storeLanes } from "../loops.js";
import { forUnits } from "./rows.js";

type Vector = Local<"v128">;

/** Four elements: of one line, or one of each of four lines. */
export interface Four {
  /** Bytes from the start of the tensor. */
  readonly offset: I32;
  /** `neutral` in lanes that belong to no element and would be folded into a result. */
  valid(value: V128, neutral: V128): V128;
  /** To the elements' places in a tensor of the same shape and of float32. */
  store(address: I32, value: V128): void;
}

export interface Lines {
  /** Number of the (first) line, in the order of the array without the axis. */
  readonly line: I32;
  /** Bytes from the start of the tensor to the line. */
  readonly offset: I32;
  each(visit: (four: Four) => void): void;
  /** What was folded in lanes becomes each line's result, in its lane or in all. */
  fold(value: Vector, combine: (a: V128, b: V128) => V128): void;
  /** Whether all lanes hold the same line's result. */
  readonly single: boolean;
  /** One value a line, four bytes each. */
  storeResult(address: I32, value: V128): void;
}

export type Layout = "row" | "columns";

export interface LinesPlan {
  readonly layout: Layout;
  readonly tasks: number;
  /** What programs take after their own arguments: units (rows, or groups of columns), units a task, extent, inner. */
  readonly args: readonly [units: number, chunk: number, extent: number, inner: number];
}

/** `taskElements`: elements worth a task. */
export const planLines = (shape: Shape, axis: number, taskElements: number): LinesPlan => {
  const { outer, extent, inner } = around(shape, axis);
  const units = outer * Math.ceil(inner / 4);
  const unitElements = inner === 1 ? extent : 4 * extent;
  const { tasks, chunk } = split(units, Math.max(1, Math.round(taskElements / unitElements)));
  return { layout: inner === 1 ? "row" : "columns", tasks, args: [units, chunk, extent, inner] };
};

export interface LinesLocals {
  readonly task: Local<"i32">;
  readonly units: I32;
  readonly chunk: I32;
  readonly extent: I32;
  readonly inner: I32;
}

/** 0, 1, 2, 3 */
export const laneNumbers = (): V128 =>
  [1, 2, 3].reduce((v, lane) => i32x4.replaceLane(v, lane, i32.const(lane)), i32x4.splat(0));

const whole = (value: V128): V128 => value;

/** Calls `kernel`, once for each way in which lanes are used, for all lines of a task. `bytes` an element. */
export const forLines = (
  b: FunctionBody,
  layout: Layout,
  { task, units, chunk, extent, inner }: LinesLocals,
  kernel: (lines: Lines) => void,
  bytes = 4,
): void => {
  if (layout === "row") {
    const rest = b.let(i32.and(extent, 3));
    const mask = b.let(i32x4.gtS(i32x4.splat(rest), laneNumbers()));
    forUnits(b, task, chunk, units, (line) => {
      const offset = b.let(i32.mul(line, i32.mul(extent, bytes)));
      const end = b.let(i32.add(offset, i32.mul(i32.and(extent, -4), bytes)));
      kernel({
        line,
        offset,
        single: true,
        each: (visit) => {
          b.for(offset, end, 4 * bytes, (at) =>
            visit({
              offset: at,
              valid: whole,
              store: (address, value) => b.do(v128.store(i32.add(address, at), value)),
            }),
          );
          b.if(rest, () =>
            visit({
              offset: end,
              valid: (value, neutral) => v128.bitselect(value, neutral, mask),
              store: (address, value) => storeLanes(b, b.let(i32.add(address, end)), value, rest),
            }),
          );
        },
        fold: (value, combine) => {
          b.set(value, combine(value, v128.shuffle(value, value, [2, 3, 0, 1])));
          b.set(value, combine(value, v128.shuffle(value, value, [1, 0, 3, 2])));
        },
        storeResult: (address, value) => b.do(v128.store32Lane(i32.add(address, i32.mul(line, 4)), value, 0)),
      });
    });
    return;
  }
  const groups = b.let(i32.shrU(i32.add(inner, 3), 2));
  const step = b.let(i32.mul(inner, bytes));
  forUnits(b, task, chunk, units, (unit) => {
    const outer = b.let(i32.divU(unit, groups));
    const column = b.let(i32.mul(i32.remU(unit, groups), 4));
    const line = b.let(i32.add(i32.mul(outer, inner), column));
    const offset = b.let(i32.mul(i32.add(i32.mul(i32.mul(outer, inner), extent), column), bytes));
    const valid = b.let(i32.sub(inner, column));
    const columns = (store: (address: I32, value: V128) => void): Lines => ({
      line,
      offset,
      single: false,
      each: (visit) => {
        const at = b.let(offset);
        b.for(
          0,
          extent,
          1,
          () => {
            visit({ offset: at, valid: whole, store: (address, value) => store(i32.add(address, at), value) });
            b.increment(at, step);
          },
          { atLeastOnce: true },
        );
      },
      fold: () => {},
      storeResult: (address, value) => store(i32.add(address, i32.mul(line, 4)), value),
    });
    b.if(
      i32.geU(valid, 4),
      () => kernel(columns((address, value) => b.do(v128.store(address, value)))),
      () => kernel(columns((address, value) => storeLanes(b, b.let(address), value, valid))),
    );
  });
};

/** Two float64 for the lower two lanes, two for the upper; the same local where all four are equal. */
export interface Pair64 {
  readonly low: Vector;
  readonly high: Vector;
}

export const promote = (b: FunctionBody, value: V128): Pair64 => {
  const v = b.let(value);
  return {
    low: b.let(f64x2.promoteLowF32x4(v)),
    high: b.let(f64x2.promoteLowF32x4(v128.shuffle(v, v, [2, 3, 2, 3]))),
  };
};

export const mapPair = (b: FunctionBody, { low, high }: Pair64, f: (v: Vector) => V128): Pair64 => {
  const first = b.let(f(low));
  return { low: first, high: low === high ? first : b.let(f(high)) };
};

export const demote = (b: FunctionBody, { low, high }: Pair64): Vector => {
  const [a, c] = [f32x4.demoteF64x2Zero(low), f32x4.demoteF64x2Zero(high)];
  return b.let(v128.shuffle(a, c, [0, 1, 4, 5]));
};

/** Each line's maximum, NaN not counted: what is computed with it and the elements becomes NaN anyway. */
export const maxOf = (b: FunctionBody, lines: Lines, value: (four: Four) => V128): Vector => {
  const lowest = f32x4.const(Number.NEGATIVE_INFINITY);
  const max = b.let(lowest);
  lines.each((four) => b.set(max, f32x4.pmax(max, four.valid(value(four), lowest))));
  lines.fold(max, f32x4.pmax);
  return max;
};

/** Each line's sum of float32 values, in float64. */
export const sumOf = (b: FunctionBody, lines: Lines, value: (four: Four) => V128): Pair64 => {
  const low = b.let(f64x2.const(0));
  const high = b.let(f64x2.const(0));
  lines.each((four) => {
    const term = promote(b, four.valid(value(four), f32x4.const(0)));
    b.set(low, f64x2.add(low, term.low));
    b.set(high, f64x2.add(high, term.high));
  });
  if (!lines.single) return { low, high };
  b.set(low, f64x2.add(low, high));
  b.set(low, f64x2.add(low, v128.shuffle(low, low, [2, 3, 0, 1])));
  return { low, high: low };
};
