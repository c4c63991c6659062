import type { CpuKernels, CpuOperand } from "../storage.js";
import { type Gemm, type Matrix, steps, transpose } from "./gemm.js";

/** The matrices of a [B, rows, columns] array; one alone serves every batch index. */
const matricesOf = ({ shape, storage }: CpuOperand): ((batch: number) => Matrix) => {
  const [batches, height, width] = shape as [number, number, number];
  const rows = steps(height, width);
  const columns = steps(width, 1);
  const step = batches === 1 ? 0 : height * width;
  return (batch) => ({ elements: storage.elements, base: batch * step, rows, columns });
};

export const matmulKernels = (gemm: Gemm): Pick<CpuKernels, "matmul"> => ({
  matmul: ({ inputs, outputs: [c], attrs: { transposeA, transposeB } }) => {
    const [aAt, bAt] = inputs.map(matricesOf) as [ReturnType<typeof matricesOf>, ReturnType<typeof matricesOf>];
    const cAt = matricesOf(c);
    for (let batch = 0; batch < (c.shape[0] as number); batch++) {
      const a = aAt(batch);
      const b = bAt(batch);
      gemm.multiply(cAt(batch), transposeA ? transpose(a) : a, transposeB ? transpose(b) : b);
    }
  },
});
