import { bytesPerElement, type DType } from "@striate/core/backend";
import { type Expr, f32, f32x4, type I32, i32, i32x4, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition } from "../assembler/module.js";
import { LIGHT_CHUNK, loadBytes } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { forLines, type Layout, type Lines, planLines } from "./lines.js";

type Kind = "argmax" | "argmin";

/** One line, element by element. A NaN beats every number, and nothing beats it. */
const alongRow = (b: FunctionBody, { offset }: Lines, x: I32, extent: I32, kind: Kind, dtype: DType): V128 => {
  const bytes = bytesPerElement[dtype];
  const at = b.let(i32.add(x, offset));
  const best = b.let(i32.const(0));
  const scan = <T extends "f32" | "i32">(
    read: () => Expr<T>,
    beats: (value: Expr<T>, extreme: Expr<T>) => I32,
  ): void => {
    const extreme = b.let(read());
    const value = b.local(extreme.type);
    b.for(1, extent, 1, (index) => {
      b.increment(at, bytes);
      b.set(value, read());
      b.if(beats(value, extreme), () => {
        b.set(extreme, value);
        b.set(best, index);
      });
    });
  };
  if (dtype === "float32") {
    scan(
      () => f32.load(at),
      (value, extreme) => {
        const more = kind === "argmax" ? f32.gt(value, extreme) : f32.lt(value, extreme);
        return i32.or(more, i32.and(f32.ne(value, value), f32.eq(extreme, extreme)));
      },
    );
  } else {
    const more = kind === "argmax" ? i32.gtS : i32.ltS;
    scan(() => (dtype === "int32" ? i32.load(at) : i32.load8U(at)), more);
  }
  return i32x4.splat(best);
};

/** Four lines, one a lane. */
const alongColumns = (b: FunctionBody, lines: Lines, x: I32, kind: Kind, dtype: DType): V128 => {
  const loadFour = (offset: I32): V128 => (bytesPerElement[dtype] === 1 ? loadBytes : v128.load)(i32.add(x, offset), 0);
  const extreme = b.let(loadFour(lines.offset));
  const best = b.let(i32x4.splat(0));
  const index = b.let(i32x4.splat(0));
  lines.each(({ offset }) => {
    const value = b.let(loadFour(offset));
    let more: V128;
    if (dtype === "float32") {
      const further = kind === "argmax" ? f32x4.gt(value, extreme) : f32x4.lt(value, extreme);
      more = v128.or(further, v128.and(f32x4.ne(value, value), f32x4.eq(extreme, extreme)));
    } else more = kind === "argmax" ? i32x4.gtS(value, extreme) : i32x4.ltS(value, extreme);
    const mask = b.let(more);
    b.set(extreme, v128.bitselect(value, extreme, mask));
    b.set(best, v128.bitselect(index, best, mask));
    b.set(index, i32x4.add(index, i32x4.splat(1)));
  });
  return best;
};

/** Arguments: x, y, then those of the plan. */
const program = (layout: Layout, kind: Kind, dtype: DType): FunctionDefinition =>
  defineFunction({
    name: "argReduce",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, y, units, chunk, extent, inner) =>
      forLines(
        b,
        layout,
        { task, units, chunk, extent, inner },
        (lines) => {
          const best =
            layout === "row" ? alongRow(b, lines, x, extent, kind, dtype) : alongColumns(b, lines, x, kind, dtype);
          lines.storeResult(y, best);
        },
        bytesPerElement[dtype],
      ),
  });

export const argReduceKernels = (runtime: Runtime): Pick<WasmKernels, "argReduce"> => ({
  argReduce: ({ inputs: [x], outputs: [y], attrs: { kind, axis } }) => {
    const { layout, tasks, args } = planLines(x.shape, axis, LIGHT_CHUNK);
    const build = () => program(layout, kind, x.dtype);
    runtime.run(`${kind} ${layout} ${x.dtype}`, build, tasks, [x.storage.address, y.storage.address, ...args]);
  },
});
