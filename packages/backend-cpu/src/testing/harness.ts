import {
  type Attrs,
  type Backend,
  bytesPerElement,
  type DType,
  type HostArray,
  hostArray,
  type Operand,
  type OpName,
  type Shape,
  sizeOf,
  type TensorSpec,
} from "@striate/core/backend";
import { expect } from "vitest";
import { type CpuBackendOptions, createCpuBackend } from "../index.js";

export interface HostTensor extends TensorSpec {
  readonly data: HostArray;
}

/** A float32 tensor, or one of `dtype`. */
export const tensor = (shape: Shape, values: ArrayLike<number>, dtype: DType = "float32"): HostTensor => {
  const data = hostArray(dtype, sizeOf(shape));
  expect(values.length, `values for shape [${shape}]`).toBe(data.length);
  data.set(values);
  return { shape, dtype, data };
};

/** 1, 2, 3 … */
export const counting = (shape: Shape, dtype: DType = "float32"): HostTensor =>
  tensor(
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => i + 1),
    dtype,
  );

/** Integers in [-4, 4] that look random, the same for the same seed: products of them are exact in any order. */
export const integers = (shape: Shape, seed: number, dtype: DType = "float32"): HostTensor =>
  tensor(
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => ((Math.imul(i * 7919 + seed, 2654435761) >>> 16) % 9) - 4),
    dtype,
  );

export interface Harness {
  readonly backend: Backend;
  /** Runs a kernel into storages that were full of garbage, checks that it left its inputs alone; elements of each output. */
  run<K extends OpName>(
    op: K,
    inputs: readonly HostTensor[],
    outputs: readonly TensorSpec[],
    attrs: Attrs<K>,
  ): number[][];
  /** `run` for one output, float32 unless said otherwise. */
  run1<K extends OpName>(op: K, inputs: readonly HostTensor[], shape: Shape, attrs: Attrs<K>, dtype?: DType): number[];
}

export const createHarness = async (options?: CpuBackendOptions): Promise<Harness> => {
  const backend = await createCpuBackend(options);
  const upload = ({ shape, dtype, data }: HostTensor): Operand => {
    const operand = { shape, dtype, storage: backend.alloc({ shape, dtype }) };
    backend.write(operand, data);
    return operand;
  };
  const read = (operand: Operand): HostArray => (backend.readSync as NonNullable<typeof backend.readSync>)(operand);

  const run: Harness["run"] = (op, inputs, outputs, attrs) => {
    const sources = inputs.map(upload);
    const results = outputs.map(({ shape, dtype }) => {
      const garbage = hostArray(dtype, sizeOf(shape));
      new Uint8Array(garbage.buffer).fill(bytesPerElement[dtype] === 1 ? 77 : 0xff);
      return upload({ shape, dtype, data: garbage });
    });
    const kernel = backend.kernels[op] as unknown;
    const call = { op, inputs: sources, outputs: results, attrs };
    try {
      if (typeof kernel === "function") kernel(call);
      else (kernel as { run(c: unknown): void }).run(call);
      sources.forEach((source, i) => {
        expect(read(source), `input ${i} of ${op}`).toEqual(inputs[i]?.data);
      });
      return results.map((result) => Array.from(read(result)));
    } finally {
      for (const { storage } of [...sources, ...results]) backend.free(storage);
    }
  };

  return {
    backend,
    run,
    run1: (op, inputs, shape, attrs, dtype = "float32") => run(op, inputs, [{ shape, dtype }], attrs)[0] as number[],
  };
};

/** All indices of a shape, in row-major order. */
export const indicesOf = (shape: Shape): number[][] =>
  shape.reduce<number[][]>(
    (list, n) => list.flatMap((index) => Array.from({ length: n }, (_, i) => [...index, i])),
    [[]],
  );

/** The element of a host tensor at an index, 0 outside of it: the naive definition of zero padding. */
export const at = ({ shape, data }: HostTensor, index: readonly number[]): number => {
  let offset = 0;
  for (const [axis, n] of shape.entries()) {
    const i = index[axis] as number;
    if (i < 0 || i >= n) return 0;
    offset = offset * n + i;
  }
  return data[offset] as number;
};
