import type { Shape } from "@striate/core/backend";
import { lazyTable, type Specialise } from "../specialise.js";
import type { CpuKernels, Elements } from "../storage.js";
import { eachRun } from "../strides.js";

type Combine = (accumulated: number, x: number) => number;

interface Reduction {
  readonly initial: number;
  readonly combine: Combine;
}

const reductions = {
  sum: { initial: 0, combine: (s, x) => s + x },
  max: { initial: Number.NEGATIVE_INFINITY, combine: (m, x) => Math.max(m, x) },
  min: { initial: Number.POSITIVE_INFINITY, combine: (m, x) => Math.min(m, x) },
} as const satisfies Record<string, Reduction>;

/**
 * Combines x[xi … xi + length] into the accumulators at `ai`: all into one (step 0), or each into its own (step 1).
 * Accumulators are doubles: they hold every int32 sum, and lose nothing that a float32 result could show.
 */
const loop = (
  f: Combine,
  x: Elements,
  xi: number,
  accumulators: Float64Array,
  ai: number,
  step: number,
  length: number,
): void => {
  if (step === 0) {
    let accumulated = accumulators[ai] as number;
    for (let i = 0; i < length; i++) accumulated = f(accumulated, x[xi + i] as number);
    accumulators[ai] = accumulated;
  } else {
    for (let i = 0; i < length; i++) accumulators[ai + i] = f(accumulators[ai + i] as number, x[xi + i] as number);
  }
};

/** As `loop`, summing squared distances from the mean that belongs to each accumulator. */
const squaredDistances = (
  x: Elements,
  xi: number,
  means: Float64Array,
  accumulators: Float64Array,
  ai: number,
  step: number,
  length: number,
): void => {
  for (let i = 0; i < length; i++) {
    const d = (x[xi + i] as number) - (means[ai] as number);
    accumulators[ai] = (accumulators[ai] as number) + d * d;
    ai += step;
  }
};

/** Steps in the reduced array along each axis of the input: 0 along `axes`. */
const reducedStrides = (shape: Shape, axes: readonly number[]): number[] => {
  const strides = new Array<number>(shape.length).fill(0);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (axes.includes(axis)) continue;
    strides[axis] = step;
    step *= shape[axis] as number;
  }
  return strides;
};

export const reduceKernels = (specialise: Specialise): Pick<CpuKernels, "reduce" | "variance"> => {
  const loops = lazyTable((kind: keyof typeof reductions) => specialise(loop, `reduce ${kind}`));

  /** Runs of the input in order, each with the place of its first accumulator. */
  const eachInputRun = (
    shape: Shape,
    axes: readonly number[],
    run: (xi: number, ai: number, step: number, length: number) => void,
  ): void => {
    let xi = 0;
    eachRun(shape, [reducedStrides(shape, axes)], (length, [ai], [step]) => {
      run(xi, ai as number, step as number, length);
      xi += length;
    });
  };

  return {
    reduce: ({ inputs: [x], outputs: [y], attrs: { kind, axes } }) => {
      const { initial, combine } = reductions[kind];
      const xs = x.storage.elements;
      const accumulators = new Float64Array(y.storage.elements.length).fill(initial);
      const run = loops(kind);
      eachInputRun(x.shape, axes, (xi, ai, step, length) => run(combine, xs, xi, accumulators, ai, step, length));
      y.storage.elements.set(accumulators);
    },

    variance: {
      run: ({ inputs: [x], outputs: [y], attrs: { axes } }) => {
        const xs = x.storage.elements;
        const outputs = y.storage.elements.length;
        const count = xs.length / outputs;
        const means = new Float64Array(outputs);
        const variances = new Float64Array(outputs);
        const sum = loops("sum");
        eachInputRun(x.shape, axes, (xi, ai, step, length) =>
          sum(reductions.sum.combine, xs, xi, means, ai, step, length),
        );
        for (let i = 0; i < outputs; i++) means[i] = (means[i] as number) / count;
        eachInputRun(x.shape, axes, (xi, ai, step, length) =>
          squaredDistances(xs, xi, means, variances, ai, step, length),
        );
        for (let i = 0; i < outputs; i++) variances[i] = (variances[i] as number) / count;
        y.storage.elements.set(variances);
      },
    },
  };
};
