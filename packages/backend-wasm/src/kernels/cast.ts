import type { DType } from "@striate/core/backend";
import { f32x4, i32x4, type V128, v128 } from "../assembler/instructions.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { bytesOf, createPointwise, type Pointwise } from "./pointwise.js";

/** Bytes arrive as integers from 0 to 255, and must leave as such. */
const convert = (from: DType, to: DType): ((x: V128) => V128) => {
  if (to === "bool")
    return from === "float32"
      ? (x) => i32x4.shrU(f32x4.ne(x, f32x4.const(0)), 31)
      : (x) => i32x4.shrU(i32x4.ne(x, i32x4.splat(0)), 31);
  if (to === "float32") return from === "float32" ? (x) => x : f32x4.convertI32x4S;
  const integer = from === "float32" ? i32x4.truncSatF32x4S : (x: V128) => x;
  return to === "uint8" ? (x) => v128.and(integer(x), i32x4.splat(255)) : integer;
};

export const castKernels = (runtime: Runtime): Pick<WasmKernels, "cast"> => {
  const run = createPointwise(runtime);
  const operations = new Map<string, Pointwise>();
  return {
    cast: ({ inputs, outputs: [y] }) => {
      const [x] = inputs;
      const key = `cast ${x.dtype} ${y.dtype}`;
      let operation = operations.get(key);
      if (operation === undefined) {
        const f = convert(x.dtype, y.dtype);
        operation = { key, inputs: [bytesOf(x)], output: bytesOf(y), compute: (_, [lanes]) => f(lanes as V128) };
        operations.set(key, operation);
      }
      run(operation, inputs, y);
    },
  };
};
