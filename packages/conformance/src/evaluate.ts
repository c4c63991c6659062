/** Running one sample on a backend and judging what comes out. */
import {
  GradientError,
  gradcheck,
  memoryUsage,
  mul,
  scope,
  sum,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@striate/core";
import { type Backend, type DType, isFloat } from "@striate/core/backend";
import { ConformanceFailure, check } from "./failure.js";
import { generate } from "./generate.js";
import { decode, encode, formats } from "./number-format.js";
import { finiteDifferences, probesOf } from "./reference/gradient.js";
import { absolute, largest, type NdArray, ndarray, sizeOf } from "./reference/ndarray.js";
import type { InputSpec, Sample } from "./suite.js";
import { boundConstant, flushed, judge, type Precision, type ToleranceContext } from "./tolerance.js";

export interface Measurement {
  readonly ratio: number;
  readonly constant?: number;
}

type Arrays = Readonly<Record<string, NdArray>>;
type Tensors = Readonly<Record<string, Tensor>>;

export const dtypeOf = (spec: InputSpec, dtype: DType): DType => (spec.dtype === "sample" ? dtype : spec.dtype);

/** The host's copy of a sample's inputs, as the dtype holds them. */
export const inputsOf = (inputs: Readonly<Record<string, InputSpec>>, id: string, dtype: DType): Arrays =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, spec], i) => {
      const { round } = formats[dtypeOf(spec, dtype)];
      return [name, ndarray(spec.shape, generate(spec.generator, id, i, sizeOf(spec.shape)).map(round))];
    }),
  );

export const upload = (
  values: Arrays,
  inputs: Readonly<Record<string, InputSpec>>,
  dtype: DType,
  backend: Backend,
): Tensors =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const own = dtypeOf(inputs[name] as InputSpec, dtype);
      return [name, tensor(encode(own, value.data), { backend, shape: value.shape, dtype: own })];
    }),
  );

export const disposeAll = (tensors: Iterable<Tensor>): void => {
  for (const t of tensors) t.dispose();
};

/** Reads and disposes. */
export const download = async (tensors: readonly Tensor[]): Promise<Float64Array[]> => {
  try {
    return await Promise.all(tensors.map(async (t) => decode(t.dtype, await t.data())));
  } finally {
    disposeAll(tensors);
  }
};

const coordinates = (shape: readonly number[], position: number): string => {
  const index: number[] = [];
  let rest = position;
  for (const n of [...shape].reverse()) {
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return `[${index.join(", ")}]`;
};

/** @throws ConformanceFailure where an element is off by more than allowed. */
const demand = (
  what: string,
  shape: readonly number[],
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  dtype: DType,
  options: Parameters<typeof judge>[3],
): Measurement => {
  const { ratio, constant, failures, worst, error, allowed } = judge(actual, expected, dtype, options);
  check(
    failures === 0,
    () =>
      `${what}${coordinates(shape, worst)} is ${actual[worst]}, expected ${expected[worst]} ` +
      `(error ${Number(error.toPrecision(3))}, allowed ${Number(allowed.toPrecision(3))}); ${failures} of ${expected.length} elements are off`,
  );
  return Number.isNaN(constant) ? { ratio } : { ratio, constant };
};

const worst = (measurements: readonly Measurement[]): Measurement => {
  const constants = measurements.flatMap(({ constant }) => (constant === undefined ? [] : [constant]));
  const ratio = Math.max(0, ...measurements.map((m) => m.ratio));
  return constants.length > 0 ? { ratio, constant: Math.max(...constants) } : { ratio };
};

/** What the reference says of one sample in one dtype. Nothing here depends on a backend. */
export interface Expectation {
  readonly inputs: Arrays;
  readonly outputs: readonly NdArray[];
  /** The gradient that arrives at the first output. */
  readonly arriving: NdArray;
  /** Gradients at the probed elements of each differentiated input; worked out when first asked for. */
  gradients(): readonly ExpectedGradient[];
}

interface ExpectedGradient {
  readonly name: string;
  readonly probes: readonly number[];
  readonly values: Float64Array;
  /** S, where the op is linear in each input, and how many terms meet in an element on average. */
  readonly sum?: { readonly values: Float64Array; readonly terms: number };
}

/**
 * Elements of one input whose gradient is compared: all of up to 96, fewer where the reference takes long. Each costs
 * four runs of it, of one multiplication a term.
 */
const probeCount = (outputs: number, terms: number): number =>
  Math.min(96, Math.max(12, Math.floor(200_000 / Math.max(1, outputs * terms))));

const differentiated = (sample: Sample): string[] =>
  Object.entries(sample.inputs).flatMap(([name, spec]) => (spec.differentiated ? [name] : []));

const expectedGradients = (sample: Sample, inputs: Arrays, y: NdArray, gy: NdArray): readonly ExpectedGradient[] => {
  const exactly = sample.referenceGradient?.(inputs, gy);
  const { multilinear, terms } = sample.tolerance;
  const names = differentiated(sample);
  const positive = Object.fromEntries(
    Object.entries(inputs).map(([name, value]) => [name, names.includes(name) ? absolute(value) : value]),
  );
  return names.map((name) => {
    const x = inputs[name] as NdArray;
    const probes = probesOf(x, probeCount(y.data.length, terms?.(inputs, sample.attrs) ?? 1));
    if (exactly)
      return { name, probes, values: Float64Array.from(probes, (p) => (exactly[name] as NdArray).data[p] as number) };
    const slopes = (at: Arrays, weights: NdArray): Float64Array => {
      const f = sample.nextTo?.(at) ?? (() => sample.reference(at)[0] as NdArray);
      return finiteDifferences(() => f(at), at[name] as NdArray, weights, probes);
    };
    const values = slopes(inputs, gy);
    if (!multilinear || !terms) return { name, probes, values };
    const meeting = (y.data.length * terms(inputs, sample.attrs)) / Math.max(1, x.data.length);
    return { name, probes, values, sum: { values: slopes(positive, absolute(gy)), terms: meeting } };
  });
};

export const expectationOf = (sample: Sample, id: string, dtype: DType): Expectation => {
  const inputs = inputsOf(sample.inputs, id, dtype);
  const outputs = sample.reference(inputs);
  const y = outputs[0] as NdArray;
  const draw = { kind: "uniform", low: -1, high: 1 } as const;
  // Stream 1000, far from those of the inputs.
  const arriving = ndarray(y.shape, generate(draw, id, 1000, y.data.length).map(formats[dtype].round));
  let gradients: readonly ExpectedGradient[] | undefined;
  return {
    inputs,
    outputs,
    arriving,
    gradients: () => {
      gradients ??= expectedGradients(sample, inputs, y, arriving);
      return gradients;
    },
  };
};

export interface EvaluationOptions {
  readonly sample: Sample;
  readonly expectation: Expectation;
  readonly dtype: DType;
  readonly backend: Backend;
  readonly precision: Precision;
}

const sameBits = (before: ArrayLike<number>, after: ArrayLike<number>): boolean =>
  Array.from({ length: before.length }).every((_, i) => Object.is(before[i], after[i]));

/** Run the op and read its outputs; inputs must come out as they went in. */
const run = async ({ sample, expectation, dtype, backend }: EvaluationOptions) => {
  const inputs = upload(expectation.inputs, sample.inputs, dtype, backend);
  try {
    const outputs = scope(() => sample.run(inputs));
    const specs = outputs.map(({ shape, dtype: own }) => ({ shape, dtype: own }));
    const results = await download(outputs);
    if (sample.kind !== "large")
      for (const [name, value] of Object.entries(expectation.inputs)) {
        const input = inputs[name] as Tensor;
        const same = sameBits(value.data, decode(input.dtype, await input.data()));
        check(same, `the op changed its input ${name}`);
      }
    return { specs, results };
  } finally {
    disposeAll(Object.values(inputs));
  }
};

/**
 * What is expected of shaders: where a result is what the reference gives for subnormal inputs taken as zeros, that;
 * else what it gives for the inputs as they are.
 */
const expectedFlushed = (
  { sample, expectation, dtype: inputType }: EvaluationOptions,
  output: number,
  dtype: DType,
  results: Float64Array,
): Float64Array => {
  const expected = (expectation.outputs[output] as NdArray).data;
  const inputs = Object.entries(expectation.inputs).map(([name, { shape, data }]) => {
    const own = dtypeOf(sample.inputs[name] as InputSpec, inputType);
    return [
      name,
      ndarray(
        shape,
        data.map((value) => flushed(own, value)),
      ),
    ] as const;
  });
  const { round } = formats[dtype];
  const alternative = (sample.reference(Object.fromEntries(inputs))[output] as NdArray).data;
  return expected.map((want, i) => {
    const got = results[i] as number;
    const other = round(flushed(dtype, alternative[i] as number));
    return got === other || Object.is(got, other) ? got : want;
  });
};

/** Moving data is no arithmetic and keeps every bit, but in GLSL, which promises nothing for subnormal numbers. */
const mayFlush = ({ sample, precision }: EvaluationOptions): boolean =>
  sample.kind === "special" && (precision === "glsl" || (precision === "wgsl" && !sample.tolerance.signedZero));

/** Forward, against the reference. */
export const checkForward = async (options: EvaluationOptions): Promise<Measurement> => {
  const { sample, expectation, precision } = options;
  const { tolerance } = sample;
  const { specs, results } = await run(options);
  check(specs.length === expectation.outputs.length, `${specs.length} outputs, expected ${expectation.outputs.length}`);
  return worst(
    expectation.outputs.map((expected, output) => {
      const { shape, dtype } = specs[output] as { shape: readonly number[]; dtype: DType };
      check(
        shape.join() === expected.shape.join(),
        () => `output ${output} has shape [${shape.join(", ")}], expected [${expected.shape.join(", ")}]`,
      );
      const context: ToleranceContext<Arrays, object> = {
        inputs: expectation.inputs,
        attrs: sample.attrs,
        expected,
        output,
        dtype,
        epsilon: formats[dtype].epsilon,
        precision,
        reference: (inputs) => sample.reference(inputs)[output] as NdArray,
      };
      const result = results[output] as Float64Array;
      const judged = isFloat(dtype)
        ? { allowed: tolerance.allowed(context), magnitude: tolerance.magnitude?.(context) }
        : { allowed: () => 0 };
      const wanted = mayFlush(options) ? expectedFlushed(options, output, dtype, result) : expected.data;
      return demand(`output ${output} `, shape, result, wanted, dtype, {
        ...judged,
        signedZero: tolerance.signedZero ?? false,
      });
    }),
  );
};

/** Gradients by core on the backend; the first output counts. */
const gradients = async ({ sample, expectation, dtype, backend }: EvaluationOptions) => {
  const inputs = upload(expectation.inputs, sample.inputs, dtype, backend);
  const { shape, data } = expectation.arriving;
  const weights = tensor(encode(dtype, data), { backend, shape, dtype });
  try {
    const { value, grads } = valueAndGrad(
      () => scope(() => sum(mul(sample.run(inputs)[0] as Tensor, weights))),
      differentiated(sample).map((name) => inputs[name] as Tensor),
    );
    value.dispose();
    const shapes = grads.map((gradient) => gradient.shape);
    const results = await download(grads);
    return results.map((values, i) => ({ shape: shapes[i] as readonly number[], values }));
  } finally {
    disposeAll([weights, ...Object.values(inputs)]);
  }
};

/** float64 results are held to what finite differences can tell. */
const finestGradient = 2 ** -30;

/** Room that gradients get in units of eps of the largest one, where the class has no bound of its own. */
const gradientConstant = 32;

/**
 * Backward, against finite differences of the reference. Where the op is linear in each input (`bound`), the bound for
 * its result holds for its gradient, with the average number of terms that meet in an element; otherwise the error may
 * be 32 eps of the element and of the largest gradient of that input, since those share their factors.
 */
export const checkGradient = async (options: EvaluationOptions): Promise<Measurement> => {
  const { expectation, dtype } = options;
  const actual = await gradients(options);
  const epsilon = Math.max(formats[dtype].epsilon, finestGradient);
  const floor = epsilon * largest(expectation.arriving);
  return worst(
    expectation.gradients().map(({ name, probes, values, sum: bounded }, nth) => {
      const { shape, values: found } = actual[nth] as { shape: readonly number[]; values: Float64Array };
      const x = expectation.inputs[name] as NdArray;
      check(
        shape.join() === x.shape.join(),
        () => `the gradient of ${name} has shape [${shape.join(", ")}], expected [${x.shape.join(", ")}]`,
      );
      const most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const c = bounded ? boundConstant(bounded.terms) : gradientConstant;
      const unit = (i: number): number =>
        epsilon * (bounded ? Math.abs(bounded.values[i] as number) : Math.abs(values[i] as number) + most);
      const compared = Float64Array.from(probes, (p) => found[p] as number);
      return demand(`d/d${name}, probe `, [probes.length], compared, values, dtype, {
        allowed: (i) => c * unit(i) + floor,
        magnitude: bounded && unit,
      });
    }),
  );
};

/** The backend's gradient against finite differences of its own forward, in float64. */
export const checkGradcheck = async ({ sample, expectation, backend }: EvaluationOptions): Promise<Measurement> => {
  const inputs = upload(expectation.inputs, sample.inputs, "float64", backend);
  const names = differentiated(sample);
  try {
    const { worst: ratio } = await gradcheck(
      (...moved) => {
        const replaced = Object.fromEntries(names.map((name, i) => [name, moved[i] as Tensor]));
        return sample.run({ ...inputs, ...replaced })[0] as Tensor;
      },
      names.map((name) => inputs[name] as Tensor),
      { maxElements: 12 },
    );
    return { ratio };
  } catch (error) {
    throw error instanceof GradientError ? new ConformanceFailure(error.message) : error;
  } finally {
    disposeAll(Object.values(inputs));
  }
};

export interface Usage {
  readonly tensors: number;
  readonly storages: number;
  readonly bytes: number;
}

export const usageOf = (backend: Backend): Usage => {
  const { tensors, storages, bytes } = memoryUsage(backend);
  return { tensors, storages, bytes };
};

/** @throws ConformanceFailure if more or less is alive than before. */
export const demandUsage = (before: Usage, after: Usage): void => {
  for (const key of ["tensors", "storages", "bytes"] as const)
    check(before[key] === after[key], () => `${key}: ${after[key]} alive after the case, ${before[key]} before it`);
};

/** Forward and backward leave nothing behind. */
export const checkLeaks = async (options: EvaluationOptions): Promise<void> => {
  const before = usageOf(options.backend);
  await run(options);
  if (options.sample.gradient && isFloat(options.dtype)) await gradients(options);
  demandUsage(before, usageOf(options.backend));
};
