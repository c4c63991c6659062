import type { Stream } from "../stream.js";
import { reads, writes } from "../wgsl/shader.js";
import { dispatchLines, logSumExp } from "./lines.js";
import type { GpuKernels, GpuOperand } from "./types.js";

type SoftmaxKernels = Pick<GpuKernels, "softmax" | "logSoftmax" | "softmaxGrad" | "logSoftmaxGrad">;

export const softmaxKernels = (stream: Stream): SoftmaxKernels => {
  const forward = (op: string, value: string, x: GpuOperand, y: GpuOperand, axis: number): void =>
    dispatchLines(stream, {
      op,
      variant: "",
      bindings: [reads("x", "f32"), writes("y", "f32")],
      body: `${logSumExp}
EACH { y[i] = ${value}; }`,
      shape: x.shape,
      axis,
      inputs: [x.storage],
      outputs: [y.storage],
    });

  const backward = (op: string, body: string, y: GpuOperand, gy: GpuOperand, gx: GpuOperand, axis: number): void =>
    dispatchLines(stream, {
      op,
      variant: "",
      bindings: [reads("y", "f32"), reads("gy", "f32"), writes("gx", "f32")],
      body,
      shape: y.shape,
      axis,
      inputs: [y.storage, gy.storage],
      outputs: [gx.storage],
    });

  return {
    softmax: {
      run: ({ inputs: [x], outputs: [y], attrs: { axis } }) =>
        forward("softmax", "expOf(x[i] - most - logSum)", x, y, axis),
    },
    logSoftmax: {
      run: ({ inputs: [x], outputs: [y], attrs: { axis } }) =>
        forward("logSoftmax", "x[i] - most - logSum", x, y, axis),
    },
    // gx = y (gy - Σ gy·y)
    softmaxGrad: {
      run: ({ inputs: [y, gy], outputs: [gx], attrs: { axis } }) =>
        backward(
          "softmaxGrad",
          `
var sum = 0.0;
EACH { sum += gy[i] * y[i]; }
let all = total(lane, sum);
EACH { gx[i] = y[i] * (gy[i] - all); }`,
          y,
          gy,
          gx,
          axis,
        ),
    },
    // gx = gy - e^y Σ gy
    logSoftmaxGrad: {
      run: ({ inputs: [y, gy], outputs: [gx], attrs: { axis } }) =>
        backward(
          "logSoftmaxGrad",
          `
var sum = 0.0;
EACH { sum += gy[i]; }
let all = total(lane, sum);
EACH { gx[i] = gy[i] - expOf(y[i]) * all; }`,
          y,
          gy,
          gx,
          axis,
        ),
    },
  };
};
