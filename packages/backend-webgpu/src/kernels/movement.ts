import { broadcastStrides, mergeAxes, rowMajorStrides, type Shape, sizeOf } from "@striate/core/backend";
import { nestOffsets, nestParams, nestWords } from "../nest.js";
import type { Stream } from "../stream.js";
import { i32, reads, repeat, u32, writes } from "../wgsl/shader.js";
import { constantWord } from "./binary.js";
import { type GpuKernels, type GpuOperand, groupsFor } from "./types.js";

const THREADS = 64;

/** An array walked with given steps from `offset`. */
interface View {
  readonly operand: GpuOperand;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Copies an array of `shape` between two views, bit by bit. */
const copy = (stream: Stream, op: string, shape: Shape, from: View, to: View): void => {
  const nest = mergeAxes(shape, [from.strides, to.strides]);
  const rank = nest.shape.length;
  const size = sizeOf(shape);
  stream.dispatch({
    program: {
      label: op,
      key: `copy/rank${rank}`,
      shader: () => ({
        bindings: [reads("x", "u32"), writes("y", "u32")],
        params: [...u32("count"), ...i32("source", "destination"), ...nestParams(rank, 2)],
        threads: THREADS,
        body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
${nestOffsets(rank, ["p.source", "p.destination"], "i")}
y[at1] = x[at0];`,
      }),
    },
    inputs: [from.operand.storage],
    outputs: [to.operand.storage],
    params: [size, from.offset, to.offset, ...nestWords(nest)],
    groups: groupsFor(size, THREADS),
  });
};

/** Each element of y from x where its coordinates, less `before`, lie within x, else `value`. */
const pad = (stream: Stream, x: GpuOperand, y: GpuOperand, before: readonly number[], value: number): void => {
  const rank = Math.max(1, y.shape.length);
  const size = sizeOf(y.shape);
  const scalar = y.shape.length === 0;
  const [inner, outer] = scalar ? [[1], [1]] : [x.shape, y.shape];
  stream.dispatch({
    program: {
      label: "pad",
      key: `pad/rank${rank}`,
      shader: () => ({
        bindings: [reads("x", "i32"), writes("y", "i32")],
        params: [
          ...u32("count"),
          ...i32("value"),
          ...nestParams(rank, 1),
          ...i32(...inner.map((_, axis) => `before${axis}`), ...inner.map((_, axis) => `inner${axis}`)),
        ],
        threads: THREADS,
        body: `
let i = group * ${THREADS}u + thread;
if (i >= p.count) { return; }
${nestOffsets(rank, [`-(${repeat(rank, (axis) => `p.before${axis} * p.s0_${axis}`, " + ")})`], "i")}
let inside = ${repeat(rank, (axis) => `c${axis} >= p.before${axis} && c${axis} < p.before${axis} + p.inner${axis}`, " && ")};
if (inside) { y[i] = x[at0]; } else { y[i] = p.value; }`,
      }),
    },
    inputs: [x.storage],
    outputs: [y.storage],
    params: [
      size,
      constantWord(value, y.dtype),
      ...nestWords({ shape: outer, strides: [rowMajorStrides(inner)] }),
      ...(scalar ? [0] : before),
      ...inner,
    ],
    groups: groupsFor(size, THREADS),
  });
};

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, n, i) => sum + n * (b[i] as number), 0);

const whole = (operand: GpuOperand, strides: readonly number[] = rowMajorStrides(operand.shape), offset = 0): View => ({
  operand,
  offset,
  strides,
});

export const movementKernels = (
  stream: Stream,
): Pick<GpuKernels, "permute" | "slice" | "pad" | "expand" | "concat"> => ({
  permute: ({ inputs: [x], outputs: [y], attrs: { perm } }) => {
    const strides = rowMajorStrides(x.shape);
    const permuted = perm.map((axis) => strides[axis] as number);
    copy(stream, "permute", y.shape, whole(x, permuted), whole(y));
  },

  slice: ({ inputs: [x], outputs: [y], attrs: { begin, step } }) => {
    const strides = rowMajorStrides(x.shape);
    const stepped = strides.map((stride, axis) => stride * (step[axis] as number));
    copy(stream, "slice", y.shape, whole(x, stepped, dot(begin, strides)), whole(y));
  },

  pad: ({ inputs: [x], outputs: [y], attrs: { before, value } }) => pad(stream, x, y, before, value),

  expand: ({ inputs: [x], outputs: [y] }) =>
    copy(stream, "expand", y.shape, whole(x, broadcastStrides(x.shape, y.shape)), whole(y)),

  concat: {
    // One input a dispatch: any number of them, whatever the limit on buffers is.
    run: ({ inputs, outputs: [y], attrs: { axis } }) => {
      const strides = rowMajorStrides(y.shape);
      let offset = 0;
      for (const x of inputs) {
        copy(stream, "concat", x.shape, whole(x), whole(y, strides, offset));
        offset += (x.shape[axis] as number) * (strides[axis] as number);
      }
    },
  },
});
