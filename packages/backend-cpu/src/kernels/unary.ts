import { type UnaryKind, unaryScalars } from "@striate/core/backend";
import { lazyTable, type Specialise } from "../specialise.js";
import type { CpuKernels, Elements } from "../storage.js";

type Scalar = (x: number) => number;

/** Where a double does not hold the exact result before it wraps. */
const int32Scalars: { readonly [K in UnaryKind]?: Scalar } = {
  square: (x) => Math.imul(x, x),
};

const loop = (f: Scalar, x: Elements, y: Elements): void => {
  for (let i = 0; i < y.length; i++) y[i] = f(x[i] as number);
};

export const unaryKernels = (specialise: Specialise): Pick<CpuKernels, "unary"> => {
  const loops = lazyTable((kind: UnaryKind) => specialise(loop, `unary ${kind}`));
  return {
    unary: ({ inputs: [x], outputs: [y], attrs: { kind } }) => {
      const f = (x.dtype === "int32" && int32Scalars[kind]) || unaryScalars[kind];
      loops(kind)(f, x.storage.elements, y.storage.elements);
    },
  };
};
