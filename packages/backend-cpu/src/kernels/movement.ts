import { broadcastStrides, mergeAxes, rowMajorStrides, type Shape } from "@striate/core/backend";
import type { CpuKernels, Elements } from "../storage.js";
import { walk } from "../strides.js";

/** An array walked with given steps from `offset`. */
interface View {
  readonly elements: Elements;
  readonly offset: number;
  readonly strides: readonly number[];
}

// Two reads of a strip hit the same 64-byte cache line before it is evicted.
const STRIP = 16;

/** to[i, j] = from[i, j] over n0 x n1, with the steps given. Jumpy reads go by strips of columns: see `copy`. */
const copyMatrix = (
  from: Elements,
  fi: number,
  fromStep0: number,
  fromStep1: number,
  to: Elements,
  ti: number,
  toStep0: number,
  toStep1: number,
  n0: number,
  n1: number,
): void => {
  const strip = Math.abs(fromStep1) <= 1 ? n1 : STRIP;
  for (let j0 = 0; j0 < n1; j0 += strip) {
    const length = Math.min(strip, n1 - j0);
    for (let i = 0; i < n0; i++) {
      let f = fi + i * fromStep0 + j0 * fromStep1;
      let t = ti + i * toStep0 + j0 * toStep1;
      for (let j = 0; j < length; j++) {
        to[t] = from[f] as number;
        f += fromStep1;
        t += toStep1;
      }
    }
  }
};

const moveToEnd = <T>(list: T[], index: number): void => {
  list.push(list.splice(index, 1)[0] as T);
};

/**
 * Copies an array of `shape` between two views: every data movement is this. The last axis writes neighbours; the one
 * before it is made the axis that reads neighbours, so that a transposition uses whole cache lines on both sides.
 */
const copy = (shape: Shape, from: View, to: View): void => {
  const nest = mergeAxes(shape, [from.strides, to.strides]);
  const [fromStrides, toStrides] = nest.strides as [number[], number[]];
  if (nest.shape.length === 1) for (const list of [nest.shape, ...nest.strides]) list.unshift(1);
  const last = nest.shape.length - 1;
  let nearest = last - 1;
  for (let axis = 0; axis < last; axis++)
    if (Math.abs(fromStrides[axis] as number) < Math.abs(fromStrides[nearest] as number)) nearest = axis;
  for (const list of [nest.shape, ...nest.strides]) {
    moveToEnd(list, nearest);
    moveToEnd(list, last - 1);
  }
  const [n0, n1] = nest.shape.slice(-2) as [number, number];
  const [fromStep0, fromStep1] = fromStrides.slice(-2) as [number, number];
  const [toStep0, toStep1] = toStrides.slice(-2) as [number, number];
  const offsets = [from.offset, to.offset];
  walk(nest, last - 1, offsets, () => {
    const [fi, ti] = offsets as [number, number];
    copyMatrix(from.elements, fi, fromStep0, fromStep1, to.elements, ti, toStep0, toStep1, n0, n1);
  });
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, n, i) => sum + n * (b[i] as number), 0);

export const movementKernels: Pick<CpuKernels, "permute" | "slice" | "pad" | "expand" | "concat"> = {
  permute: ({ inputs: [x], outputs: [y], attrs: { perm } }) => {
    const strides = rowMajorStrides(x.shape);
    copy(
      y.shape,
      { elements: x.storage.elements, offset: 0, strides: perm.map((axis) => strides[axis] as number) },
      { elements: y.storage.elements, offset: 0, strides: rowMajorStrides(y.shape) },
    );
  },

  slice: ({ inputs: [x], outputs: [y], attrs: { begin, step } }) => {
    const strides = rowMajorStrides(x.shape);
    copy(
      y.shape,
      {
        elements: x.storage.elements,
        offset: dot(begin, strides),
        strides: strides.map((stride, axis) => stride * (step[axis] as number)),
      },
      { elements: y.storage.elements, offset: 0, strides: rowMajorStrides(y.shape) },
    );
  },

  pad: ({ inputs: [x], outputs: [y], attrs: { before, value } }) => {
    const strides = rowMajorStrides(y.shape);
    y.storage.elements.fill(value);
    copy(
      x.shape,
      { elements: x.storage.elements, offset: 0, strides: rowMajorStrides(x.shape) },
      { elements: y.storage.elements, offset: dot(before, strides), strides },
    );
  },

  expand: ({ inputs: [x], outputs: [y] }) => {
    copy(
      y.shape,
      { elements: x.storage.elements, offset: 0, strides: broadcastStrides(x.shape, y.shape) },
      { elements: y.storage.elements, offset: 0, strides: rowMajorStrides(y.shape) },
    );
  },

  concat: {
    run: ({ inputs, outputs: [y], attrs: { axis } }) => {
      const strides = rowMajorStrides(y.shape);
      let offset = 0;
      for (const x of inputs) {
        copy(
          x.shape,
          { elements: x.storage.elements, offset: 0, strides: rowMajorStrides(x.shape) },
          { elements: y.storage.elements, offset, strides },
        );
        offset += (x.shape[axis] as number) * (strides[axis] as number);
      }
    },
  },
};
