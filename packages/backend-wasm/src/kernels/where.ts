import { i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { bytesOf, createPointwise, type Pointwise } from "./pointwise.js";

const operation = (bytes: 1 | 4): Pointwise => ({
  key: `where ${bytes}`,
  inputs: [1, bytes, bytes],
  output: bytes,
  compute: (_, [condition, a, b]) => v128.bitselect(b as V128, a as V128, i32x4.eq(condition as V128, i32x4.splat(0))),
});

const operations = { 1: operation(1), 4: operation(4) } as const;

export const whereKernels = (runtime: Runtime): Pick<WasmKernels, "where"> => {
  const run = createPointwise(runtime);
  return {
    where: ({ inputs, outputs: [y] }) => run(operations[bytesOf(y)], inputs, y),
  };
};
