import { f32x4, f64x2, type I32, i32, type V128, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { HEAVY_CHUNK } from "../loops.js";
import { expF32x4, logF64x2 } from "../math.js";
import type { Runtime } from "../runtime.js";
import { addressesOf, type WasmKernels, type WasmOperand } from "../storage.js";
import {
  demote,
  type Four,
  forLines,
  type Layout,
  type Lines,
  mapPair,
  maxOf,
  type Pair64,
  planLines,
  sumOf,
} from "./lines.js";

export const load = (address: I32, { offset }: Four): V128 => v128.load(i32.add(address, offset));

/** Maximum m of a line, and Σ e^(x - m), of whose terms `each` is told. */
export const exponentialSum = (
  b: FunctionBody,
  lines: Lines,
  x: I32,
  each: (four: Four, exponential: Local<"v128">) => void = () => {},
): { readonly max: Local<"v128">; readonly sum: Pair64 } => {
  const max = maxOf(b, lines, (four) => load(x, four));
  const sum = sumOf(b, lines, (four) => {
    const exponential = expF32x4(b, f32x4.sub(load(x, four), max));
    each(four, exponential);
    return exponential;
  });
  return { max, sum };
};

type Kernel = (b: FunctionBody, lines: Lines, tensors: readonly [I32, I32, I32]) => void;

const softmax: Kernel = (b, lines, [x, y]) => {
  const { sum } = exponentialSum(b, lines, x, (four, exponential) => four.store(y, exponential));
  const factor = demote(
    b,
    mapPair(b, sum, (s) => f64x2.div(f64x2.const(1), s)),
  );
  lines.each((four) => four.store(y, f32x4.mul(load(y, four), factor)));
};

const logSoftmax: Kernel = (b, lines, [x, y]) => {
  const { max, sum } = exponentialSum(b, lines, x);
  const logSum = demote(
    b,
    mapPair(b, sum, (s) => logF64x2(b, s)),
  );
  // In this order: max + logSum would round away what is left where one element outweighs the others.
  lines.each((four) => four.store(y, f32x4.sub(f32x4.sub(load(x, four), max), logSum)));
};

// gx = y (gy - Σ gy·y)
const softmaxGrad: Kernel = (b, lines, [y, gy, gx]) => {
  const dot = demote(
    b,
    sumOf(b, lines, (four) => f32x4.mul(load(y, four), load(gy, four))),
  );
  lines.each((four) => four.store(gx, f32x4.mul(load(y, four), f32x4.sub(load(gy, four), dot))));
};

// gx = gy - e^y Σ gy
const logSoftmaxGrad: Kernel = (b, lines, [y, gy, gx]) => {
  const sum = demote(
    b,
    sumOf(b, lines, (four) => load(gy, four)),
  );
  lines.each((four) => {
    const weighted = f32x4.mul(expF32x4(b, load(y, four)), sum);
    four.store(gx, f32x4.sub(load(gy, four), weighted));
  });
};

const kernels = { softmax, logSoftmax, softmaxGrad, logSoftmaxGrad };

/** Arguments: three tensors (the last unused by kernels of two), then those of the plan. */
const program = (kernel: Kernel, layout: Layout): FunctionDefinition =>
  defineFunction({
    name: "softmax",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, first, second, third, units, chunk, extent, inner) =>
      forLines(b, layout, { task, units, chunk, extent, inner }, (lines) => kernel(b, lines, [first, second, third])),
  });

export const softmaxKernels = (
  runtime: Runtime,
): Pick<WasmKernels, "softmax" | "logSoftmax" | "softmaxGrad" | "logSoftmaxGrad"> => {
  const run = (name: keyof typeof kernels, operands: readonly WasmOperand[], axis: number): void => {
    const { layout, tasks, args } = planLines((operands[0] as WasmOperand).shape, axis, HEAVY_CHUNK);
    const [first, second, third = 0] = addressesOf(operands) as [number, number, number?];
    runtime.run(`${name} ${layout}`, () => program(kernels[name], layout), tasks, [first, second, third, ...args]);
  };
  const kernel = (name: keyof typeof kernels) => ({
    run: (call: {
      readonly inputs: readonly WasmOperand[];
      readonly outputs: readonly WasmOperand[];
      readonly attrs: { readonly axis: number };
    }) => run(name, [...call.inputs, ...call.outputs], call.attrs.axis),
  });
  return {
    softmax: kernel("softmax"),
    logSoftmax: kernel("logSoftmax"),
    softmaxGrad: kernel("softmaxGrad"),
    logSoftmaxGrad: kernel("logSoftmaxGrad"),
  };
};
