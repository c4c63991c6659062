import { IndexError, rowMajorStrides, type Shape } from "@striate/core/backend";
import type { CpuKernels, Elements } from "../storage.js";
import { eachRun } from "../strides.js";

/**
 * Calls `visit(i, j)` for each element i of `index`, in order, where j is the element of an array of `shape` at the same
 * coordinates but for `axis`, whose coordinate is index[i]. @throws IndexError for one outside the axis.
 */
const eachIndexed = (
  op: string,
  shape: Shape,
  axis: number,
  index: Elements,
  indexShape: Shape,
  visit: (i: number, j: number) => void,
): void => {
  const extent = shape[axis] as number;
  const strides = rowMajorStrides(shape);
  const axisStride = strides[axis] as number;
  strides[axis] = 0;
  let i = 0;
  eachRun(indexShape, [strides], (length, [start], [step]) => {
    for (let r = 0; r < length; r++, i++) {
      const at = index[i] as number;
      if (at < 0 || at >= extent)
        throw new IndexError(`${op}: index[${i}] (flat) is ${at}, expected 0 to ${extent - 1} on axis ${axis}`);
      visit(i, (start as number) + r * (step as number) + at * axisStride);
    }
  });
};

export const gatherKernels: Pick<CpuKernels, "gather" | "scatterAdd"> = {
  gather: ({ inputs: [x, index], outputs: [y], attrs: { axis } }) => {
    const xs = x.storage.elements;
    const ys = y.storage.elements;
    eachIndexed("gather", x.shape, axis, index.storage.elements, index.shape, (i, j) => {
      ys[i] = xs[j] as number;
    });
  },

  scatterAdd: ({ inputs: [x, index, source], outputs: [y], attrs: { axis } }) => {
    const sources = source.storage.elements;
    const sums = new Float64Array(x.storage.elements);
    eachIndexed("scatterAdd", x.shape, axis, index.storage.elements, index.shape, (i, j) => {
      sums[j] = (sums[j] as number) + (sources[i] as number);
    });
    y.storage.elements.set(sums);
  },
};
