import { IndexError } from "@striate/core/backend";
import { f32, f32x4, f64, f64x2, type I32, i32 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition } from "../assembler/module.js";
import { HEAVY_CHUNK } from "../loops.js";
import { logF64x2 } from "../math.js";
import type { Runtime } from "../runtime.js";
import { addressesOf, type WasmKernels, type WasmOperand } from "../storage.js";
import { forLines, planLines, sumOf } from "./lines.js";
import { exponentialSum, load } from "./softmax.js";

// With target t = (1-s) one-hot + s/C.

const at = (address: I32, index: I32): I32 => i32.add(address, i32.mul(index, 4));

/** -Σ t·log softmax(x). Arguments: logits, labels, loss, then those of the plan. */
const lossProgram = (smoothing: number): FunctionDefinition =>
  defineFunction({
    name: "crossEntropy",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, logits, labels, loss, units, chunk, classes, inner) =>
      forLines(b, "row", { task, units, chunk, extent: classes, inner }, (lines) => {
        const { max, sum } = exponentialSum(b, lines, logits);
        const logSum = b.let(f64x2.extractLane(logF64x2(b, sum.low), 0));
        const label = i32.load(at(labels, lines.line));
        const own = f64.promote(f32.load(at(i32.add(logits, lines.offset), label)));
        const distance = f64.sub(f64.promote(f32x4.extractLane(max, 0)), own);
        const value = b.let(f64.mul(f64.const(1 - smoothing), f64.add(distance, logSum)));
        // Without smoothing, a logit of -Infinity must not meet a factor of 0.
        if (smoothing !== 0) {
          const distances = sumOf(b, lines, (four) => f32x4.sub(max, load(logits, four)));
          const count = b.let(f64.convertI32U(classes));
          const all = f64.add(f64x2.extractLane(distances.low, 0), f64.mul(count, logSum));
          b.set(value, f64.add(value, f64.mul(f64.div(f64.const(smoothing), count), all)));
        }
        b.do(f32.store(at(loss, lines.line), f32.demote(value)));
      }),
  });

/** gx = gy (softmax(x) - t). Arguments: logits, labels, gy, gx, then those of the plan. */
const gradProgram = (smoothing: number): FunctionDefinition =>
  defineFunction({
    name: "crossEntropyGrad",
    params: ["i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32", "i32"],
    build: (b, task, _scratch, logits, labels, gy, gx, units, chunk, classes, inner) =>
      forLines(b, "row", { task, units, chunk, extent: classes, inner }, (lines) => {
        const { sum } = exponentialSum(b, lines, logits, (four, exponential) => four.store(gx, exponential));
        const inverse = b.let(f64.div(f64.const(1), f64x2.extractLane(sum.low, 0)));
        const g = b.let(f64.promote(f32.load(at(gy, lines.line))));
        const others = b.let(f64.div(f64.const(smoothing), f64.convertI32U(classes)));
        // p - 1 near p = 1: in double precision.
        const place = b.let(at(i32.add(gx, lines.offset), i32.load(at(labels, lines.line))));
        const probability = f64.mul(f64.promote(f32.load(place)), inverse);
        const target = f64.add(f64.const(1 - smoothing), others);
        const own = b.let(f32.demote(f64.mul(g, f64.sub(probability, target))));
        const factor = b.let(f32x4.splat(f32.demote(f64.mul(g, inverse))));
        const offset = b.let(f32x4.splat(f32.demote(f64.mul(g, others))));
        lines.each((four) => four.store(gx, f32x4.sub(f32x4.mul(load(gx, four), factor), offset)));
        b.do(f32.store(place, own));
      }),
  });

export const crossEntropyKernels = (runtime: Runtime): Pick<WasmKernels, "crossEntropy" | "crossEntropyGrad"> => {
  const checkLabels = (op: string, logits: WasmOperand, labels: WasmOperand): void => {
    const [batch, classes] = logits.shape as [number, number];
    const values = new Int32Array(runtime.buffer, labels.storage.address, batch);
    for (let n = 0; n < batch; n++) {
      const label = values[n] as number;
      if (label < 0 || label >= classes)
        throw new IndexError(`${op}: labels[${n}] is ${label}, expected 0 to ${classes - 1}`);
    }
  };

  const run = (
    op: "crossEntropy" | "crossEntropyGrad",
    operands: readonly WasmOperand[],
    smoothing: number,
    program: (smoothing: number) => FunctionDefinition,
  ): void => {
    const [logits, labels] = operands as [WasmOperand, WasmOperand];
    checkLabels(op, logits, labels);
    const { tasks, args } = planLines(logits.shape, 1, HEAVY_CHUNK);
    runtime.run(`${op} ${smoothing}`, () => program(smoothing), tasks, [...addressesOf(operands), ...args]);
  };

  return {
    crossEntropy: {
      run: ({ inputs, outputs, attrs: { labelSmoothing } }) =>
        run("crossEntropy", [...inputs, ...outputs], labelSmoothing, lossProgram),
    },
    crossEntropyGrad: {
      run: ({ inputs, outputs, attrs: { labelSmoothing } }) =>
        run("crossEntropyGrad", [...inputs, ...outputs], labelSmoothing, gradProgram),
    },
  };
};
