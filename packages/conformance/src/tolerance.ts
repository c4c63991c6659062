/**
 * How far a result may be from the float64 reference.
 *
 * | class    | for                                       | rule                                                       |
 * |----------|-------------------------------------------|------------------------------------------------------------|
 * | exact    | data movement, comparisons, max, integers | bit equal                                                  |
 * | ulp      | pointwise functions                       | a number of units in the last place                        |
 * | bound    | matmul, conv, sums, means, statistics     | abs(y - y64) <= c·eps·S, S the op on absolute values,      |
 * |          |                                           | c = 2·sqrt(k) + 4 for k terms; grade A where c <= 4 is met |
 * | composed | softmax, norms, losses, gelu …            | a formula for each op                                      |
 *
 * eps is the distance from 1 to the next number of the dtype. In float64 the reference rounds as well: it gets twice
 * the room.
 */
import type { Capabilities, DType } from "@striate/core/backend";
import { formats, ulp } from "./number-format.js";
import { absolute, type NdArray } from "./reference/ndarray.js";

export type ToleranceClass = "exact" | "ulp" | "bound" | "composed";

/**
 * `ieee`: what the CPU and WebAssembly promise. `wgsl`: the limits of the WGSL specification for pointwise ops. `glsl`: the same, and
 * subnormal numbers may be flushed to zero where data is only moved.
 */
export const precisions = ["ieee", "wgsl", "glsl"] as const satisfies readonly Capabilities["precision"][];
export type Precision = (typeof precisions)[number];

/** What a tolerance may look at. */
export interface ToleranceContext<I, A> {
  readonly inputs: I;
  readonly attrs: A;
  readonly expected: NdArray;
  /** Which of the op's outputs. */
  readonly output: number;
  readonly dtype: DType;
  readonly epsilon: number;
  readonly precision: Precision;
  /** The reference on other inputs, this output. */
  reference(inputs: I): NdArray;
}

export interface Tolerance<I, A> {
  readonly class: ToleranceClass;
  /** Whether -0 and +0 differ. Only for the class `exact`. */
  readonly signedZero?: boolean;
  /** Linear in every differentiated input: gradients obey the same bound, with S from absolute values. */
  readonly multilinear?: boolean;
  /** Number of terms that one output element adds up. */
  terms?(inputs: I, attrs: A): number;
  /** Allowed absolute error of element i. */
  allowed(context: ToleranceContext<I, A>): (i: number) => number;
  /** eps·S of element i, where the class has one: error over it is the constant c that grades an op. */
  magnitude?(context: ToleranceContext<I, A>): (i: number) => number;
}

/** c of the class `bound`. */
export const boundConstant = (terms: number): number => 2 * Math.sqrt(terms) + 4;

export const exact: Tolerance<unknown, unknown> = { class: "exact", allowed: () => () => 0 };
/** Bits are moved: the sign of zero stays. */
export const moved: Tolerance<unknown, unknown> = { class: "exact", signedZero: true, allowed: () => () => 0 };

/** Absolute error that WGSL allows, given the argument(s), the result, and its ulp. */
export type WgslLimit = (values: readonly number[], result: number, ulp: number) => number;

/** Where numbers below are flushed to zero, WGSL allows that. */
const smallestNormal: Readonly<Partial<Record<DType, number>>> = { float32: 2 ** -126, float16: 2 ** -14 };

/** Zero for a subnormal number of the dtype, which a device under WGSL's rules may take it for. */
export const flushed = (dtype: DType, value: number): number =>
  Math.abs(value) < (smallestNormal[dtype] ?? 0) ? 0 * value : value;

/** Between two of these, no result can be exact. */
const smallestNumber: Readonly<Partial<Record<DType, number>>> = { float32: 2 ** -149, float16: 2 ** -24 };

export const withinUlps = (
  ulps: number,
  wgsl: WgslLimit = (_values, _result, unit) => ulps * unit,
): Tolerance<Readonly<Record<string, NdArray>>, unknown> => ({
  class: "ulp",
  allowed({ expected, inputs, dtype, precision }) {
    const operands = Object.values(inputs);
    return (i) => {
      const result = expected.data[i] as number;
      const unit = ulp(dtype, result);
      if (precision === "ieee") return ulps * unit;
      const values = operands.map((x) => x.data[i % x.data.length] as number);
      return wgsl(values, result, unit) + (smallestNormal[dtype] ?? 0);
    };
  },
});

const absoluteInputs = <I>(inputs: I): I =>
  Object.fromEntries(
    Object.entries(inputs as Record<string, NdArray>).map(([name, value]) => [name, absolute(value)]),
  ) as I;

/** Sums of terms that are not linear in the inputs: S is given. */
export const boundBy = <I, A>(
  terms: (inputs: I, attrs: A) => number,
  sum: (context: ToleranceContext<I, A>) => (i: number) => number,
): Tolerance<I, A> => {
  const magnitude: NonNullable<Tolerance<I, A>["magnitude"]> = (context) => {
    const s = sum(context);
    return (i) => context.epsilon * s(i);
  };
  return {
    class: "bound",
    terms,
    magnitude,
    allowed(context) {
      const unit = magnitude(context);
      const c = boundConstant(terms(context.inputs, context.attrs));
      return (i) => c * unit(i);
    },
  };
};

/** Ops that are linear in each input: S is the op on absolute values. */
export const bound = <I, A>(terms: (inputs: I, attrs: A) => number): Tolerance<I, A> => ({
  ...boundBy(terms, ({ inputs, reference }) => {
    const { data } = reference(absoluteInputs(inputs));
    return (i) => data[i] as number;
  }),
  multilinear: true,
});

/** An explicit formula; it gives the allowed absolute error. */
export const composed = <I, A>(
  allowed: (context: ToleranceContext<I, A>) => (i: number) => number,
): Tolerance<I, A> => ({
  class: "composed",
  allowed(context) {
    const limit = allowed(context);
    const least = context.precision === "ieee" ? smallestNumber : smallestNormal;
    const floor = least[context.dtype] ?? 0;
    return (i) => limit(i) + floor;
  },
});

/** The worst element of a comparison. */
export interface Judgement {
  /** Worst error over allowed error; Infinity where an exact class is missed. */
  readonly ratio: number;
  /** Worst error over eps·S; NaN where the class has no S. */
  readonly constant: number;
  readonly failures: number;
  readonly worst: number;
  readonly error: number;
  readonly allowed: number;
}

const same = (a: number, b: number, signedZero: boolean): boolean => Object.is(a, b) || (!signedZero && a === b);

/** Compare element by element. NaN must meet NaN, infinities must agree. */
export const judge = (
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  dtype: DType,
  options: {
    readonly allowed: (i: number) => number;
    readonly magnitude?: ((i: number) => number) | undefined;
    readonly signedZero?: boolean;
  },
): Judgement => {
  const { round } = formats[dtype];
  const slack = dtype === "float64" ? 2 : 1;
  let ratio = 0;
  let constant = options.magnitude ? 0 : Number.NaN;
  let failures = 0;
  let worst = 0;
  let worstError = 0;
  let worstAllowed = 0;
  for (let i = 0; i < expected.length; i++) {
    const got = actual[i] as number;
    const want = expected[i] as number;
    if (same(got, round(want), options.signedZero ?? false)) continue;
    const error = Math.abs(got - want);
    const limit = slack * options.allowed(i);
    const r =
      !(limit > 0) || Number.isNaN(error) || error === Number.POSITIVE_INFINITY
        ? Number.POSITIVE_INFINITY
        : error / limit;
    if (r > 1) failures++;
    if (r > ratio) {
      ratio = r;
      worst = i;
      worstError = error;
      worstAllowed = limit;
    }
    if (options.magnitude) {
      const unit = slack * options.magnitude(i);
      if (unit > 0) constant = Math.max(constant, error / unit);
    }
  }
  return { ratio, constant, failures, worst, error: worstError, allowed: worstAllowed };
};
