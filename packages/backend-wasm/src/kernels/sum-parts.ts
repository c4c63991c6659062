/** Sums that several tasks share: each leaves its part, and the parts are added up in order, whatever thread was first. */
import { f32x4, i32, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition } from "../assembler/module.js";
import type { Runtime } from "../runtime.js";
import { storeFixedLanes } from "./tile.js";

const PER_TASK = 2 ** 14;

/** (task, scratch, parts, output) */
const sumProgram = (elements: number, parts: number): FunctionDefinition =>
  defineFunction({
    name: "sumParts",
    params: ["i32", "i32", "i32", "i32"],
    build: (body, task, _scratch, partials, output) => {
      const start = body.let(i32.mul(task, PER_TASK * 4));
      const end = body.let(i32.add(start, PER_TASK * 4));
      body.if(i32.gtU(end, elements * 4), () => body.set(end, i32.const(elements * 4)));
      body.forever((leave) => {
        const from = body.let(i32.add(partials, start));
        const sum = body.let(v128.load(from));
        body.for(1, parts, 1, () => {
          body.increment(from, elements * 4);
          body.set(sum, f32x4.add(sum, v128.load(from)));
        });
        const to = body.let(i32.add(output, start));
        if (elements % 4 === 0) body.do(v128.store(to, sum));
        else
          body.if(
            i32.geU(i32.sub(elements * 4, start), 16),
            () => body.do(v128.store(to, sum)),
            () => storeFixedLanes(body, to, sum, elements % 4),
          );
        body.increment(start, 16);
        leave(i32.geU(start, end));
      });
    },
  });

/** Has `compute` write `parts` arrays of `elements` one behind the other, and leaves their sum in `output`. */
export const sumParts = (
  runtime: Runtime,
  elements: number,
  parts: number,
  output: number,
  compute: (partials: number) => void,
): void => {
  if (parts === 1) {
    compute(output);
    return;
  }
  runtime.withTemporary(parts * elements * 4, (partials) => {
    compute(partials);
    runtime.run(`sumParts ${elements},${parts}`, () => sumProgram(elements, parts), Math.ceil(elements / PER_TASK), [
      partials,
      output,
    ]);
  });
};
