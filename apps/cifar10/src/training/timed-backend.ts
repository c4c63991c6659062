/** Takes the time of every kernel, on backends that have run one when its call returns. */
import type { Backend, Shape } from "@striate/core/backend";

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

interface AnyCall {
  readonly op: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly inputs: readonly { readonly shape: Shape }[];
  readonly outputs: readonly { readonly shape: Shape }[];
}

const sizeOf = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1);

const shapeOf = (operand: { readonly shape: Shape } | undefined): Shape => operand?.shape ?? [];

/** Two for each weight and place of the output: [N, O, H, W] of a weight [O, I / groups, kh, kw]. */
const convolution = (output: Shape, weight: Shape): number => (2 * sizeOf(output) * sizeOf(weight)) / (weight[0] ?? 1);

/** By op; the gradients of a convolution are given two of weight, images and output, and make the third. */
const flops: Readonly<Record<string, (call: AnyCall) => number>> = {
  matmul: ({ inputs, outputs, attrs }) => {
    const a = shapeOf(inputs[0]);
    return 2 * sizeOf(shapeOf(outputs[0])) * (a.at(attrs["transposeA"] ? -2 : -1) ?? 1);
  },
  conv2d: ({ inputs, outputs }) => convolution(shapeOf(outputs[0]), shapeOf(inputs[1])),
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

type Run = (call: AnyCall) => void;

/** A backend that computes on the inner one, and adds up. */
export const timedBackend = (inner: Backend): TimedBackend => {
  const sums = new Map<string, Sum>();
  const timed =
    (run: Run): Run =>
    (call) => {
      const began = performance.now();
      run(call);
      if (!timer.counting) return;
      const milliseconds = performance.now() - began;
      const sum = sums.get(call.op) ?? { dispatches: 0, milliseconds: 0, flops: 0 };
      sum.dispatches++;
      sum.milliseconds += milliseconds;
      sum.flops += flops[call.op]?.(call) ?? 0;
      sums.set(call.op, sum);
    };
  const kernels = Object.fromEntries(
    Object.entries(
      inner.kernels as unknown as Record<string, Run | { run: Run; supports?: (call: unknown) => boolean }>,
    ).map(([name, kernel]) => [
      name,
      typeof kernel === "function"
        ? timed(kernel)
        : {
            ...(kernel.supports && { supports: (call: unknown) => kernel.supports?.(call) }),
            run: timed((call) => kernel.run(call)),
          },
    ]),
  ) as unknown as Backend["kernels"];
  const { readSync } = inner;
  const timer: TimedBackend = {
    counting: false,
    // Method by method: the inner one may be an instance of a class.
    backend: {
      apiVersion: inner.apiVersion,
      name: inner.name,
      ...(inner.description !== undefined && { description: inner.description }),
      caps: inner.caps,
      kernels,
      alloc: (spec) => inner.alloc(spec),
      free: (storage) => inner.free(storage),
      write: (destination, data) => inner.write(destination, data),
      read: (source) => inner.read(source),
      ...(readSync && { readSync: (source) => readSync.call(inner, source) }),
      flush: () => inner.flush(),
      sync: () => inner.sync(),
      lost: inner.lost,
      dispose: () => inner.dispose(),
    },
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
