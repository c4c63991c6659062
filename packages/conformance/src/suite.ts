/** What the cases of an op are made of. One op, or one family, is one file in `cases/`. */
import type { StriateError, Tensor } from "@striate/core";
import type { DType, OptionalOp } from "@striate/core/backend";
import type { Generator } from "./generate.js";
import type { NdArray } from "./reference/ndarray.js";
import { exact, type Tolerance } from "./tolerance.js";

/** One tensor argument. */
export interface InputSpec {
  readonly shape: readonly number[];
  readonly generator: Generator;
  /** `sample`: the dtype that the sample runs in. */
  readonly dtype: DType | "sample";
  readonly differentiated: boolean;
}

/** What a sample probes beyond the ordinary; a column of the scorecard. */
export type SampleKind = "ordinary" | "special" | "zero-size" | "large";

export type Fields<I, T> = { readonly [K in keyof I]: T };
type Named<T> = Readonly<Record<string, T>>;

export interface Sample {
  /** With the op's name and the dtype the stable id: `conv2d/s2-p1-d2-g4-b#f32`. */
  readonly name: string;
  readonly kind: SampleKind;
  readonly dtypes: readonly DType[];
  readonly inputs: Named<InputSpec>;
  readonly attrs: object;
  /** Whether the gradients of the differentiated inputs are checked. */
  readonly gradient: boolean;
  readonly tolerance: Tolerance<Named<NdArray>, object>;
  run(inputs: Named<Tensor>): readonly Tensor[];
  reference(inputs: Named<NdArray>): readonly NdArray[];
  /** The reference as it is next to `inputs`, where its kinks may lie too near for finite differences. */
  nextTo?(inputs: Named<NdArray>): (inputs: Named<NdArray>) => NdArray;
  /** For samples whose gradient finite differences cannot tell: ties. */
  referenceGradient?(inputs: Named<NdArray>, gy: NdArray): Named<NdArray>;
}

/** A call that must be refused. */
export interface ErrorSample {
  readonly name: string;
  readonly code: StriateError["code"];
  readonly inputs: Named<InputSpec>;
  /** Values that only a kernel sees (indices): the error may come at the next read. */
  readonly deferred: boolean;
  run(inputs: Named<Tensor>): readonly Tensor[];
}

export interface OpCases {
  readonly tolerance: Tolerance<never, never>["class"];
  /** The optional kernels that make this op native, forward and backward; empty where it needs required ones only. */
  readonly kernels: readonly OptionalOp[];
  readonly samples: readonly Sample[];
  readonly errors: readonly ErrorSample[];
}

interface SampleDefinition<I, A> {
  readonly name: string;
  readonly inputs: Fields<I, InputSpec>;
  readonly attrs: A;
  readonly kind?: SampleKind;
  readonly dtypes?: readonly DType[];
  /** Inputs are small integers: sums are exact, whatever the order, and so must be the result. */
  readonly exact?: boolean;
  /** Default: yes, in floats, for ordinary samples. */
  readonly gradient?: boolean;
  /** Judge by `referenceGradient` of the op instead of finite differences. */
  readonly ties?: boolean;
}

interface ErrorDefinition<I, A> {
  readonly name: string;
  readonly code: StriateError["code"];
  readonly inputs: Fields<I, InputSpec>;
  readonly attrs: A;
  readonly deferred?: boolean;
}

export interface Definition<I, A extends object> {
  readonly tolerance: Tolerance<Fields<I, NdArray>, A>;
  readonly kernels?: readonly OptionalOp[];
  readonly differentiable?: boolean;
  run(inputs: Fields<I, Tensor>, attrs: A): Tensor | readonly Tensor[];
  reference(inputs: Fields<I, NdArray>, attrs: A): NdArray | readonly NdArray[];
  nextTo?(inputs: Fields<I, NdArray>, attrs: A): (inputs: Fields<I, NdArray>) => NdArray;
  referenceGradient?(inputs: Fields<I, NdArray>, gy: NdArray, attrs: A): Partial<Fields<I, NdArray>>;
  readonly samples: readonly SampleDefinition<I, A>[];
  readonly errors?: readonly ErrorDefinition<I, A>[];
}

export const floats: readonly DType[] = ["float32", "float64", "float16"];

/** One or several, as several. */
export const list = <T extends object>(value: T | readonly T[]): readonly T[] =>
  Array.isArray(value) ? value : [value as T];

/**
 * The cases of one op. `I` names its tensor arguments, `A` its other arguments; the types of the functions follow.
 * Inputs, attributes and the functions over them always belong together, so the names and types of `I` and `A` are
 * forgotten outside: that is what the casts say.
 */
export const defineCases = <I, A extends object = object>(definition: Definition<I, A>): OpCases => {
  const run = (inputs: Named<Tensor>, attrs: A): readonly Tensor[] =>
    list<Tensor>(definition.run(inputs as Fields<I, Tensor>, attrs));
  const samples = definition.samples.map((sample): Sample => {
    const { attrs, kind = "ordinary", dtypes = floats } = sample;
    const tolerance = (sample.exact ? exact : definition.tolerance) as Tolerance<Named<NdArray>, object>;
    const { nextTo, referenceGradient } = definition;
    const differentiable = definition.differentiable ?? true;
    return {
      name: sample.name,
      kind,
      dtypes,
      inputs: sample.inputs,
      attrs,
      gradient: sample.gradient ?? (differentiable && kind === "ordinary"),
      tolerance,
      run: (inputs) => run(inputs, attrs),
      reference: (inputs) => list<NdArray>(definition.reference(inputs as Fields<I, NdArray>, attrs)),
      ...(nextTo && {
        nextTo: (inputs: Named<NdArray>) =>
          nextTo(inputs as Fields<I, NdArray>, attrs) as (inputs: Named<NdArray>) => NdArray,
      }),
      ...(sample.ties &&
        referenceGradient && {
          referenceGradient: (inputs: Named<NdArray>, gy: NdArray) =>
            referenceGradient(inputs as Fields<I, NdArray>, gy, attrs) as Named<NdArray>,
        }),
    };
  });
  const errors = (definition.errors ?? []).map(
    ({ name, code, inputs, attrs, deferred = false }): ErrorSample => ({
      name,
      code,
      inputs,
      deferred,
      run: (tensors) => run(tensors, attrs),
    }),
  );
  return { tolerance: definition.tolerance.class, kernels: definition.kernels ?? [], samples, errors };
};

// ---------------------------------------------------------------------------------------------------------------
// Inputs

type Shape = readonly number[];

/** A differentiated float input; without a generator evenly in [-1, 1). */
export const input = (shape: Shape, generator: Generator = { kind: "uniform", low: -1, high: 1 }): InputSpec => ({
  shape,
  generator,
  dtype: "sample",
  differentiated: true,
});

export const uniform = (shape: Shape, low: number, high: number): InputSpec =>
  input(shape, { kind: "uniform", low, high });
export const away = (shape: Shape): InputSpec => input(shape, { kind: "away" });
export const distinct = (shape: Shape): InputSpec => input(shape, { kind: "distinct" });
export const integers = (shape: Shape, low = -4, high = 4): InputSpec => input(shape, { kind: "integers", low, high });
export const cycle = (shape: Shape, values: readonly number[]): InputSpec => input(shape, { kind: "cycle", values });
export const ramp = (shape: Shape): InputSpec => input(shape, { kind: "ramp" });

/** Not differentiated. */
export const fixed = (spec: InputSpec): InputSpec => ({ ...spec, differentiated: false });
export const typed = (dtype: DType, spec: InputSpec): InputSpec => ({ ...spec, dtype, differentiated: false });

/** int32 in [0, below). */
export const indices = (shape: Shape, below: number): InputSpec => typed("int32", integers(shape, 0, below - 1));
export const mask = (shape: Shape): InputSpec => typed("bool", integers(shape, 0, 1));

/** The values that break careless kernels. 2^24 + 1 is the first integer that float32 lacks. */
export const specials: readonly number[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  2 ** -149,
  -(2 ** -140),
  2 ** -126,
  2 ** 24 + 1,
  -(2 ** 24 + 1),
  3.4028234663852886e38,
  -3.4028234663852886e38,
  0.5,
  -0.5,
  1.5,
  2.5,
  1,
  -1,
  88.5,
  -103.5,
  1e-7,
  -1e-7,
];

/** Shapes for elementwise ops: rank 0 to 5, size 1, primes, the edges of vectors. */
export const elementwiseShapes: readonly Shape[] = [
  [],
  [1],
  [3],
  [4],
  [5],
  [15],
  [16],
  [17],
  [63],
  [64],
  [65],
  [1, 1],
  [7, 13],
  [2, 3, 5],
  [2, 1, 3, 4],
  [1, 2, 3, 2, 3],
];

/** One element more than 65,535 workgroups of 64 can hold. */
export const beyondDispatch = 65536 * 64 + 1;

export const shapeName = (shape: Shape): string => (shape.length === 0 ? "scalar" : shape.join("x"));
