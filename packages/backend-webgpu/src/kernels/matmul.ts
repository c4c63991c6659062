import type { Stream } from "../stream.js";
import { dispatchGemm, type GemmOperand } from "./gemm.js";
import type { GpuKernels } from "./types.js";

/** A matrix of `outer` x `k` elements, stored that way or transposed; `step`: elements from one z to the next. */
const matrix = (
  name: string,
  outer: string,
  k: string,
  step: string,
  alongK: boolean,
  vector: boolean,
): GemmOperand => ({
  along: alongK ? "k" : "outer",
  outer: alongK
    ? `return vec4i(z * ${step} + i * ${k}, 0, 0, 0);`
    : `return vec4i(${vector ? `(z * ${step} + i) / 4` : `z * ${step} + i`}, 0, 0, 0);`,
  inner: `return vec4i(${alongK ? "k" : `k * ${vector ? `(${outer} / 4)` : outer}`}, 0, 0, 0);`,
  load: `return ${name}[o.x + k.x];`,
  vector,
});

export const matmulKernels = (stream: Stream): Pick<GpuKernels, "matmul"> => ({
  matmul: ({ inputs: [a, b], outputs: [y], attrs: { transposeA, transposeB } }) => {
    const [batch, m, n] = y.shape as [number, number, number];
    const k = a.shape[transposeA ? 1 : 2] as number;
    const [aVector, bVector] = [transposeA && m % 4 === 0, !transposeB && n % 4 === 0];
    dispatchGemm(stream, {
      op: "matmul",
      variant: [transposeA, transposeB, aVector, bVector].map(Number).join(""),
      m,
      n,
      k,
      batch,
      // One matrix for all z has a step of 0.
      sizes: {
        aOuter: m,
        bOuter: n,
        depth: k,
        aStep: a.shape[0] === 1 ? 0 : m * k,
        bStep: b.shape[0] === 1 ? 0 : n * k,
      },
      operands: (s) => ({
        a: matrix("a", s.aOuter, s.depth, s.aStep, !transposeA, aVector),
        b: matrix("b", s.bOuter, s.depth, s.bStep, transposeB, bVector),
        column: `z * ${s.aOuter} * ${s.bOuter} + n`,
        rowStride: s.bOuter,
      }),
      inputs: [a.storage, b.storage],
      output: y,
      forUpdate: true,
    });
  },
});
