import {
  type BinaryKind,
  binaryScalars,
  broadcastStrides,
  type CompareKind,
  hostArray,
  rowMajorStrides,
} from "@striate/core/backend";
import { lazyTable, type Specialise } from "../specialise.js";
import type { CpuKernels, CpuOperand, Elements } from "../storage.js";
import { eachRun } from "../strides.js";

type Scalar = (a: number, b: number) => number;

/** Where a double does not hold the exact result before it wraps. */
const int32Scalars: { readonly [K in BinaryKind]?: Scalar } = {
  mul: (a, b) => Math.imul(a, b),
};

const comparisons: { readonly [K in CompareKind]: Scalar } = {
  eq: (a, b) => (a === b ? 1 : 0),
  ne: (a, b) => (a !== b ? 1 : 0),
  lt: (a, b) => (a < b ? 1 : 0),
  le: (a, b) => (a <= b ? 1 : 0),
};

/** y[yi + i] = f(a[ai + i·aStep], b[bi + i·bStep]); steps are 0 where an operand broadcasts, else 1. */
const loop = (
  f: Scalar,
  a: Elements,
  ai: number,
  aStep: number,
  b: Elements,
  bi: number,
  bStep: number,
  y: Elements,
  yi: number,
  length: number,
): void => {
  for (const end = yi + length; yi < end; yi++) {
    y[yi] = f(a[ai] as number, b[bi] as number);
    ai += aStep;
    bi += bStep;
  }
};

const broadcast = (run: typeof loop, f: Scalar, a: CpuOperand, b: CpuOperand, y: CpuOperand): void => {
  const [as, bs, ys] = [a.storage.elements, b.storage.elements, y.storage.elements];
  if (as.length === ys.length && bs.length === ys.length) {
    run(f, as, 0, 1, bs, 0, 1, ys, 0, ys.length);
    return;
  }
  const strides = [broadcastStrides(a.shape, y.shape), broadcastStrides(b.shape, y.shape), rowMajorStrides(y.shape)];
  eachRun(y.shape, strides, (length, [ai, bi, yi], [aStep, bStep]) => {
    run(f, as, ai as number, aStep as number, bs, bi as number, bStep as number, ys, yi as number, length);
  });
};

export const binaryKernels = (specialise: Specialise): Pick<CpuKernels, "binary" | "binaryScalar" | "compare"> => {
  const loops = lazyTable((kind: BinaryKind | CompareKind) => specialise(loop, `binary ${kind}`));
  const scalarFor = (kind: BinaryKind, array: CpuOperand): Scalar =>
    (array.dtype === "int32" && int32Scalars[kind]) || binaryScalars[kind];
  return {
    binary: ({ inputs: [a, b], outputs: [y], attrs: { kind } }) => broadcast(loops(kind), scalarFor(kind, y), a, b, y),

    binaryScalar: {
      run: ({ inputs: [x], outputs: [y], attrs: { kind, value, side } }) => {
        // An array of the operand's dtype rounds the constant as a tensor of it would be.
        const constant = hostArray(x.dtype, 1) as Elements;
        constant[0] = value;
        const [xs, ys] = [x.storage.elements, y.storage.elements];
        const f = scalarFor(kind, y);
        if (side === "left") loops(kind)(f, constant, 0, 0, xs, 0, 1, ys, 0, ys.length);
        else loops(kind)(f, xs, 0, 1, constant, 0, 0, ys, 0, ys.length);
      },
    },

    compare: ({ inputs: [a, b], outputs: [y], attrs: { kind } }) => broadcast(loops(kind), comparisons[kind], a, b, y),
  };
};
