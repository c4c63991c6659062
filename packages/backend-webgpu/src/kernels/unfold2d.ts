import { sizeOf, type Window2d } from "@striate/core/backend";
import type { Stream } from "../stream.js";
import { reads, writes } from "../wgsl/shader.js";
import { type GpuKernels, groupsFor } from "./types.js";

const THREADS = 64;

const windowKey = ({ kernel, stride, padding, dilation }: Window2d): string =>
  [kernel, stride, padding, dilation].map((list) => list.join("x")).join("_");

export const unfold2dKernels = (stream: Stream): Pick<GpuKernels, "unfold2d" | "fold2d"> => ({
  unfold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
    const [, , height, width] = x.shape as [number, number, number, number];
    const [oh, ow] = outputSize;
    const size = sizeOf(y.shape);
    const { kernel, stride, padding, dilation } = window;
    stream.dispatch({
      program: {
        label: "unfold2d",
        key: `unfold2d/${height}x${width}/${oh}x${ow}/${windowKey(window)}/${size}`,
        shader: () => ({
          bindings: [reads("x", "u32"), writes("y", "u32")],
          threads: THREADS,
          body: `
let i = group * ${THREADS}u + thread;
if (i >= ${size}u) { return; }
let column = i32(i % ${oh * ow}u);
let row = i / ${oh * ow}u;
let tap = i32(row % ${kernel[0] * kernel[1]}u);
let plane = i32(row / ${kernel[0] * kernel[1]}u);
let h = column / ${ow} * ${stride[0]} - ${padding[0]} + tap / ${kernel[1]} * ${dilation[0]};
let w = column % ${ow} * ${stride[1]} - ${padding[2]} + tap % ${kernel[1]} * ${dilation[1]};
if (h < 0 || h >= ${height} || w < 0 || w >= ${width}) { y[i] = 0u; return; }
y[i] = x[(plane * ${height} + h) * ${width} + w];`,
        }),
      },
      inputs: [x.storage],
      outputs: [y.storage],
      groups: groupsFor(size, THREADS),
    });
  },

  // Each pixel adds up the entries that unfold2d takes it to.
  fold2d: ({ inputs: [x], outputs: [y], attrs: { window, outputSize } }) => {
    const [, , height, width] = y.shape as [number, number, number, number];
    const [oh, ow] = outputSize;
    const size = sizeOf(y.shape);
    const { kernel, stride, padding, dilation } = window;
    stream.dispatch({
      program: {
        label: "fold2d",
        key: `fold2d/${height}x${width}/${oh}x${ow}/${windowKey(window)}/${size}`,
        shader: () => ({
          bindings: [reads("x", "f32"), writes("y", "f32")],
          threads: THREADS,
          body: `
let i = i32(group * ${THREADS}u + thread);
if (i >= ${size}) { return; }
let plane = i / ${height * width};
let h = i % ${height * width} / ${width} + ${padding[0]};
let w = i % ${width} + ${padding[2]};
var total = 0.0;
for (var r = 0; r < ${kernel[0]}; r++) {
  let top = h - r * ${dilation[0]};
  if (top < 0 || top % ${stride[0]} != 0 || top / ${stride[0]} >= ${oh}) { continue; }
  for (var s = 0; s < ${kernel[1]}; s++) {
    let left = w - s * ${dilation[1]};
    if (left < 0 || left % ${stride[1]} != 0 || left / ${stride[1]} >= ${ow}) { continue; }
    total += x[((plane * ${kernel[0]} + r) * ${kernel[1]} + s) * ${oh * ow} + top / ${stride[0]} * ${ow} + left / ${stride[1]}];
  }
}
y[i] = total;`,
        }),
      },
      inputs: [x.storage],
      outputs: [y.storage],
      groups: groupsFor(size, THREADS),
    });
  },
});
