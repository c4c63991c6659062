import { broadcastStrides, rowMajorStrides } from "@striate/core/backend";
import type { CpuKernels } from "../storage.js";
import { eachRun } from "../strides.js";

export const whereKernels: Pick<CpuKernels, "where"> = {
  where: ({ inputs, outputs: [y] }) => {
    const [condition, a, b] = inputs;
    const [cs, as, bs, ys] = [condition.storage.elements, a.storage.elements, b.storage.elements, y.storage.elements];
    const strides = [...inputs.map((operand) => broadcastStrides(operand.shape, y.shape)), rowMajorStrides(y.shape)];
    eachRun(y.shape, strides, (length, offsets, steps) => {
      let [ci, ai, bi, yi] = offsets as [number, number, number, number];
      const [cStep, aStep, bStep] = steps as [number, number, number, number];
      for (const end = yi + length; yi < end; yi++) {
        ys[yi] = (cs[ci] !== 0 ? as[ai] : bs[bi]) as number;
        ci += cStep;
        ai += aStep;
        bi += bStep;
      }
    });
  },
};
