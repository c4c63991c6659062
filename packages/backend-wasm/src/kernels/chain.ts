import { type PointwiseAttrs, type PointwiseKind, sizeOf } from "@striate/core/backend";
import { type F32, f32x4, i32, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition, type Local } from "../assembler/module.js";
import { LIGHT_CHUNK, partOf, split, storeLanes } from "../loops.js";
import type { Runtime } from "../runtime.js";
import { addressesOf, type WasmKernels } from "../storage.js";
import { MAX_ARGUMENTS } from "../threads/protocol.js";

const steps: { readonly [K in PointwiseKind]: (a: V128, b: V128) => V128 } = {
  add: f32x4.add,
  sub: f32x4.sub,
  mul: f32x4.mul,
  div: f32x4.div,
  max: f32x4.max,
  min: f32x4.min,
  neg: f32x4.neg,
  square: (a) => f32x4.mul(a, a),
  sqrt: f32x4.sqrt,
};

/** (task, scratch, count, chunk, …inputs, …outputs, …scalars) */
const chainProgram = (attrs: PointwiseAttrs, inputs: number): FunctionDefinition => {
  const outputs = attrs.outputs.length;
  return defineFunction({
    name: "chain",
    params: [
      "i32",
      "i32",
      "i32",
      "i32",
      ...Array.from({ length: inputs + outputs }, () => "i32" as const),
      ...attrs.scalars.map(() => "f32" as const),
    ],
    build: (b, task, _scratch, count, chunk, ...rest) => {
      const addresses = rest.slice(0, inputs + outputs) as Local<"i32">[];
      const scalars = rest.slice(inputs + outputs).map((scalar) => b.let(f32x4.splat(scalar as F32)));
      const { start, length } = partOf(b, task, count, chunk);
      for (const address of addresses) b.increment(address, i32.mul(start, 4));
      b.forever((leave) => {
        const values: V128[] = addresses.slice(0, inputs).map((address) => b.let(v128.load(address)));
        const operandOf = (index: number): V128 => (index < 0 ? scalars[-1 - index] : values[index]) as V128;
        for (const [kind, first, second] of attrs.steps)
          values.push(b.let(steps[kind](operandOf(first), operandOf(second ?? first))));
        const store = (write: (address: Local<"i32">, value: V128) => void): void =>
          attrs.outputs.forEach((index, k) => write(addresses[inputs + k] as Local<"i32">, values[index] as V128));
        b.if(
          i32.geU(length, 4),
          () => store((address, value) => b.do(v128.store(address, value))),
          () => {
            store((address, value) => storeLanes(b, address, value, length));
            b.set(length, i32.const(4));
          },
        );
        for (const address of addresses) b.increment(address, 16);
        b.increment(length, -4);
        leave(i32.eqz(length));
      });
    },
  });
};

export const chainKernels = (runtime: Runtime): Pick<WasmKernels, "pointwise"> => ({
  pointwise: {
    // Count, chunk and every operand are arguments of a program.
    supports: ({ inputs, outputs, attrs }) =>
      2 + inputs.length + outputs.length + attrs.scalars.length <= MAX_ARGUMENTS,
    run: ({ inputs, outputs, attrs }) => {
      const count = sizeOf((outputs[0] as (typeof outputs)[number]).shape);
      const { tasks, chunk } = split(count, LIGHT_CHUNK);
      runtime.run(`pointwise ${attrs.key}`, () => chainProgram(attrs, inputs.length), tasks, [
        count,
        chunk,
        ...addressesOf(inputs),
        ...addressesOf(outputs),
        ...attrs.scalars,
      ]);
    },
  },
});
