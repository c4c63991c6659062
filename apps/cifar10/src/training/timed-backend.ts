/** Takes the time of every kernel, on backends that have run one when its call returns. */
import {
  type Attrs,
  type Backend,
  type Call,
  delegate,
  type OpName,
  type Shape,
  sizeOf,
  wrapKernels,
} from "@striate/core/backend";

/** As the WebGPU backend's own profile. */
export interface OpTime {
  readonly op: string;
  readonly dispatches: number;
  readonly milliseconds: number;
  /** Of all kernels. */
  readonly share: number;
  /** 10^9 floating-point operations a second; 0 for ops that are not counted in them. */
  readonly gigaflops: number;
}

type AnyCall = Call<OpName>;

const shapeOf = (operand: { readonly shape: Shape } | undefined): Shape => operand?.shape ?? [];

/** Two for each weight and place of the output: [N, O, H, W] of a weight [O, I / groups, kh, kw]. */
const convolution = (output: Shape, weight: Shape): number => (2 * sizeOf(output) * sizeOf(weight)) / (weight[0] ?? 1);

/** By op; the gradients of a convolution are given two of weight, images and output, and make the third. */
const flops: Readonly<Record<string, (call: AnyCall) => number>> = {
  matmul: ({ inputs, outputs, attrs }) => {
    const a = shapeOf(inputs[0]);
    const { transposeA } = attrs as Attrs<"matmul">;
    return 2 * sizeOf(shapeOf(outputs[0])) * (a.at(transposeA ? -2 : -1) ?? 1);
  },
  conv2d: ({ inputs, outputs }) => convolution(shapeOf(outputs[0]), shapeOf(inputs[1])),
  conv2dRelu: ({ inputs, outputs }) => convolution(shapeOf(outputs[0]), shapeOf(inputs[1])),
  conv2dGradInput: ({ inputs }) => convolution(shapeOf(inputs[1]), shapeOf(inputs[0])),
  conv2dGradWeight: ({ inputs, outputs }) => convolution(shapeOf(inputs[1]), shapeOf(outputs[0])),
};

export interface TimedBackend {
  readonly backend: Backend;
  /** Whether calls count now. */
  counting: boolean;
  /** Longest first, of all calls that counted. */
  report(): OpTime[];
}

interface Sum {
  dispatches: number;
  milliseconds: number;
  flops: number;
}

/** A backend that computes on the inner one, and adds up. */
export const timedBackend = (inner: Backend): TimedBackend => {
  const sums = new Map<string, Sum>();
  const kernels = wrapKernels(inner.kernels, (call, run) => {
    const began = performance.now();
    run();
    if (!timer.counting) return;
    const milliseconds = performance.now() - began;
    const sum = sums.get(call.op) ?? { dispatches: 0, milliseconds: 0, flops: 0 };
    sum.dispatches++;
    sum.milliseconds += milliseconds;
    sum.flops += flops[call.op]?.(call) ?? 0;
    sums.set(call.op, sum);
  });
  const timer: TimedBackend = {
    counting: false,
    backend: { ...delegate(inner), kernels },
    report: () => {
      const total = [...sums.values()].reduce((sum, { milliseconds }) => sum + milliseconds, 0);
      return [...sums]
        .map(([op, { dispatches, milliseconds, flops: count }]) => ({
          op,
          dispatches,
          milliseconds,
          share: milliseconds / total,
          gigaflops: count / milliseconds / 1e6,
        }))
        .sort((a, b) => b.milliseconds - a.milliseconds);
    },
  };
  return timer;
};
