import {
  broadcastStrides,
  bytesPerElement,
  mergeAxes,
  type Nest,
  rowMajorStrides,
  sizeOf,
} from "@striate/core/backend";
import { f32x4, type I32Like, i32, i32x4, type V128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionBody, type FunctionDefinition, type Local } from "../assembler/module.js";
import { HEAVY_CHUNK, LIGHT_CHUNK, partOf, pointwiseLoop, split } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmOperand } from "../storage.js";

type Bytes = 1 | 4;

/**
 * A function of single elements, four at a time. Elements of one byte come and go as int32 lanes from 0 to 255.
 * @see pointwiseLoop
 */
export interface Pointwise {
  /** Names all that the rest depends on. */
  readonly key: string;
  readonly inputs: readonly Bytes[];
  readonly output: Bytes;
  /** Numbers that are arguments of each call; `compute` gets vectors of them. */
  readonly scalars?: readonly ("i32" | "f32")[];
  /** Whether `compute` is long: a transcendental function. */
  readonly heavy?: boolean;
  compute(b: FunctionBody, xs: readonly V128[], scalars: readonly V128[]): V128;
}

export const bytesOf = ({ dtype }: WasmOperand): Bytes => bytesPerElement[dtype] as Bytes;

type Walk = readonly (0 | 1)[];

const splatAll = (b: FunctionBody, scalars: readonly Local[]): V128[] =>
  scalars.map((scalar) =>
    b.let(scalar.type === "f32" ? f32x4.splat(scalar as Local<"f32">) : i32x4.splat(scalar as Local<"i32">)),
  );

/** Inputs of the output's size, or of one element: (task, scratch, count, chunk, output, …inputs, …scalars). */
const flatProgram = (op: Pointwise, steps: Walk): FunctionDefinition =>
  defineFunction({
    name: op.key,
    params: ["i32", "i32", "i32", "i32", "i32", ...op.inputs.map(() => "i32" as const), ...(op.scalars ?? [])],
    build: (b, task, _scratch, count, chunk, output, ...rest) => {
      const inputs = rest.slice(0, op.inputs.length) as Local<"i32">[];
      const scalars = splatAll(b, rest.slice(op.inputs.length));
      const { start, length } = partOf(b, task, count, chunk);
      op.inputs.forEach((bytes, k) => {
        if (steps[k] === 1) b.increment(inputs[k] as Local<"i32">, i32.mul(start, bytes));
      });
      b.increment(output, i32.mul(start, op.output));
      pointwiseLoop(
        b,
        length,
        op.inputs.map((bytes, k) => ({ address: inputs[k] as Local<"i32">, bytes, step: steps[k] as 0 | 1 })),
        { address: output, bytes: op.output },
        (xs) => op.compute(b, xs, scalars),
        op.heavy ? 1 : 4,
      );
    },
  });

/** A loop nest: `units` runs of at most `runLength` elements along the last axis; axes before it are counted off. */
interface BroadcastPlan {
  readonly key: string;
  readonly nest: Nest;
  readonly steps: Walk;
  /** Runs that a row is cut into. */
  readonly parts: number;
  readonly runLength: number;
  readonly units: number;
  readonly tasks: number;
  readonly chunk: number;
}

const planBroadcast = (op: Pointwise, inputs: readonly WasmOperand[], output: WasmOperand): BroadcastPlan => {
  const nest = mergeAxes(output.shape, [
    ...inputs.map(({ shape }) => broadcastStrides(shape, output.shape)),
    rowMajorStrides(output.shape),
  ]);
  const limit = op.heavy ? HEAVY_CHUNK : LIGHT_CHUNK;
  const inner = nest.shape[nest.shape.length - 1] as number;
  const parts = Math.ceil(inner / limit);
  const runLength = parts === 1 ? inner : Math.ceil(inner / parts / 16) * 16;
  const units = (sizeOf(nest.shape) / inner) * parts;
  const steps = inputs.map((_, k) => nest.strides[k]?.[nest.shape.length - 1] as 0 | 1);
  // How often the outermost axis is counted is an argument.
  const key = `${op.key} ${nest.shape.slice(nest.shape.length > 1 ? 1 : 0)} ${nest.strides.join("|")}`;
  return { key, nest, steps, parts, runLength, units, ...split(units, Math.max(1, Math.floor(limit / runLength))) };
};

/** (task, scratch, units, chunk, output, …inputs, …scalars) */
const broadcastProgram = (op: Pointwise, { nest, steps, parts, runLength }: BroadcastPlan): FunctionDefinition =>
  defineFunction({
    name: op.key,
    params: ["i32", "i32", "i32", "i32", "i32", ...op.inputs.map(() => "i32" as const), ...(op.scalars ?? [])],
    build: (b, task, _scratch, units, chunk, output, ...rest) => {
      const bases = [...(rest.slice(0, op.inputs.length) as Local<"i32">[]), output];
      const bytes = [...op.inputs, op.output];
      const scalars = splatAll(b, rest.slice(op.inputs.length));
      const { start, length } = partOf(b, task, units, chunk);
      const inner = nest.shape.length - 1;
      b.for(start, b.let(i32.add(start, length)), 1, (unit) => {
        const addresses = bases.map((base) => b.let(base));
        const move = (index: I32Like, stride: (k: number) => number): void =>
          addresses.forEach((address, k) => {
            const amount = stride(k) * (bytes[k] as number);
            if (amount !== 0) b.increment(address, i32.mul(index, amount));
          });
        const row = b.let(parts === 1 ? unit : i32.divU(unit, parts));
        const count = b.let(i32.const(runLength));
        if (parts > 1) {
          const first = b.let(i32.mul(i32.remU(unit, parts), runLength));
          move(first, (k) => steps[k] ?? 1);
          const left = b.let(i32.sub(nest.shape[inner] as number, first));
          b.if(i32.ltU(left, count), () => b.set(count, left));
        }
        for (let axis = inner - 1; axis >= 0; axis--) {
          const extent = nest.shape[axis] as number;
          const index = axis === 0 ? row : b.let(i32.remU(row, extent));
          move(index, (k) => nest.strides[k]?.[axis] as number);
          if (axis > 0) b.set(row, i32.divU(row, extent));
        }
        pointwiseLoop(
          b,
          count,
          op.inputs.map((size, k) => ({
            address: addresses[k] as Local<"i32">,
            bytes: size,
            step: steps[k] as 0 | 1,
          })),
          { address: addresses[op.inputs.length] as Local<"i32">, bytes: op.output },
          (xs) => op.compute(b, xs, scalars),
          op.heavy ? 1 : 4,
        );
      });
    },
  });

const stepsOf = (inputs: readonly WasmOperand[], size: number): Walk =>
  inputs.map(({ shape }) => (sizeOf(shape) === size ? 1 : 0));

/** Runs pointwise functions on operands that broadcast to the output's shape. */
export const createPointwise = (
  runtime: Runtime,
): ((op: Pointwise, inputs: readonly WasmOperand[], output: WasmOperand, scalars?: readonly number[]) => void) => {
  const plans = new Map<string, BroadcastPlan>();
  return (op, inputs, output, scalars = []) => {
    const size = sizeOf(output.shape);
    let flat = true;
    let repeated = "";
    const args = [0, 0, output.storage.address];
    for (const { shape, storage } of inputs) {
      const own = sizeOf(shape);
      flat &&= own === size || own === 1;
      if (own !== size) repeated += ` ${args.length - 3}`;
      args.push(storage.address);
    }
    args.push(...scalars);
    if (flat) {
      const { tasks, chunk } = split(size, op.heavy ? HEAVY_CHUNK : LIGHT_CHUNK);
      args[0] = size;
      args[1] = chunk;
      const key = repeated === "" ? op.key : `${op.key}, of one element:${repeated}`;
      runtime.run(key, () => flatProgram(op, stepsOf(inputs, size)), tasks, args);
      return;
    }
    const planKey = `${op.key} ${output.shape}|${inputs.map(({ shape }) => shape.join()).join("|")}`;
    let plan = plans.get(planKey);
    if (plan === undefined) {
      plan = planBroadcast(op, inputs, output);
      plans.set(planKey, plan);
    }
    const { key, tasks, units, chunk } = plan;
    args[0] = units;
    args[1] = chunk;
    runtime.run(key, () => broadcastProgram(op, plan), tasks, args);
  };
};
