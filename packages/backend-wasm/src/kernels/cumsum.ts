import { around, bytesPerElement, type DType } from "@striate/core/backend";
import { f32, f64, f64x2, i32 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition } from "../assembler/module.js";
import { LIGHT_CHUNK, split } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { demote, forLines, planLines, promote } from "./lines.js";
import { forUnits } from "./rows.js";
import { load } from "./softmax.js";

/** Four lines at a time, in float64. Arguments: x, y, then those of the plan. */
const columnsProgram = (): FunctionDefinition =>
  defineFunction({
    name: "cumsum",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, y, units, chunk, extent, inner) =>
      forLines(b, "columns", { task, units, chunk, extent, inner }, (lines) => {
        const low = b.let(f64x2.const(0));
        const high = b.let(f64x2.const(0));
        lines.each((four) => {
          const term = promote(b, load(x, four));
          b.set(low, f64x2.add(low, term.low));
          b.set(high, f64x2.add(high, term.high));
          four.store(y, demote(b, { low, high }));
        });
      }),
  });

/** Line by line; float32 in float64. Arguments: x, y, lines, lines a task, extent, inner. */
const lineProgram = (dtype: DType): FunctionDefinition =>
  defineFunction({
    name: "cumsum",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, x, y, count, chunk, extent, inner) => {
      const bytes = bytesPerElement[dtype];
      const step = b.let(i32.mul(inner, bytes));
      const [sum64, sum32] = [b.local("f64"), b.local("i32")];
      forUnits(b, task, chunk, count, (line) => {
        const outer = b.let(i32.divU(line, inner));
        const first = i32.add(i32.mul(i32.mul(outer, inner), extent), i32.remU(line, inner));
        const at = b.let(i32.mul(first, bytes));
        b.set(sum64, f64.const(0));
        b.set(sum32, i32.const(0));
        b.for(
          0,
          extent,
          1,
          () => {
            const [from, to] = [i32.add(x, at), i32.add(y, at)];
            if (dtype === "float32") {
              b.set(sum64, f64.add(sum64, f64.promote(f32.load(from))));
              b.do(f32.store(to, f32.demote(sum64)));
            } else if (dtype === "int32") {
              b.set(sum32, i32.add(sum32, i32.load(from)));
              b.do(i32.store(to, sum32));
            } else {
              b.set(sum32, i32.add(sum32, i32.load8U(from)));
              b.do(i32.store8(to, sum32));
            }
            b.increment(at, step);
          },
          { atLeastOnce: true },
        );
      });
    },
  });

export const cumsumKernels = (runtime: Runtime): Pick<WasmKernels, "cumsum"> => ({
  cumsum: {
    run: ({ inputs: [x], outputs: [y], attrs: { axis } }) => {
      const { outer, extent, inner } = around(x.shape, axis);
      const places = [x.storage.address, y.storage.address];
      if (x.dtype === "float32" && inner > 1) {
        const { tasks, args } = planLines(x.shape, axis, LIGHT_CHUNK);
        runtime.run("cumsum columns", columnsProgram, tasks, [...places, ...args]);
      } else {
        const { chunk, tasks } = split(outer * inner, Math.max(1, Math.round(LIGHT_CHUNK / extent)));
        const args = [...places, outer * inner, chunk, extent, inner];
        runtime.run(`cumsum ${x.dtype}`, () => lineProgram(x.dtype), tasks, args);
      }
    },
  },
});
