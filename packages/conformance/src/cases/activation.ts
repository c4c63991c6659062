import type { Tensor } from "@striate/core";
import * as core from "@striate/core";
import * as reference from "../reference/elementwise.js";
import { map, type NdArray } from "../reference/ndarray.js";
import {
  away,
  cycle,
  defineCases,
  distinct,
  elementwiseShapes,
  fixed,
  input,
  integers,
  mask,
  type OpCases,
  shapeName,
  specials,
  typed,
  uniform,
} from "../suite.js";
import { composed, exact, type Tolerance, type ToleranceContext, withinUlps } from "../tolerance.js";

interface X {
  x: unknown;
}

const finite = (value: number): number => (Number.isFinite(value) ? Math.abs(value) : 0);

/**
 * 4 epsilons of the result and of a term that cancels: x for gelu, alpha for elu. WGSL's exp alone may be off by 3 + 2|x| of
 * the result's.
 */
const cancelling = <A>(term: (x: number, attrs: A) => number): Tolerance<{ x: NdArray }, A> =>
  composed(({ inputs, attrs, expected, epsilon, precision }: ToleranceContext<{ x: NdArray }, A>) => (i) => {
    const [x, y] = [inputs.x.data[i] as number, Math.abs(expected.data[i] as number)];
    const exponential = precision === "ieee" ? 0 : epsilon * (3 + 2 * finite(x)) * y;
    return 4 * epsilon * (y + term(x, attrs)) + (Number.isFinite(exponential) ? exponential : 0);
  });

interface ActivationDefinition<A extends object> {
  readonly tolerance: Tolerance<{ x: NdArray }, A>;
  readonly attrs: readonly A[];
  run(x: Tensor, attrs: A): Tensor;
  reference(x: NdArray, attrs: A): NdArray;
  /** Values that the definition leaves open: -Inf · 0. */
  readonly undefinedAt?: (x: number) => boolean;
}

const attrsName = (attrs: object): string =>
  Object.entries(attrs)
    .map(([name, value]) => `-${name}${value}`)
    .join("");

const activationCases = <A extends object>({
  tolerance,
  attrs,
  run,
  reference: f,
  undefinedAt,
}: ActivationDefinition<A>): OpCases => {
  const values = specials.filter((value) => !undefinedAt?.(value));
  return defineCases<X, A>({
    tolerance,
    kernels: ["activation", "activationGrad"],
    run: ({ x }, own) => run(x, own),
    reference: ({ x }, own) => f(x, own),
    samples: attrs.flatMap((own, nth) => [
      ...(nth === 0 ? elementwiseShapes : [[65], [3, 17]]).map((shape) => ({
        name: `${shapeName(shape)}${attrsName(own)}`,
        inputs: { x: away(shape) },
        attrs: own,
      })),
      { name: `wide${attrsName(own)}`, inputs: { x: uniform([257], -20, 20) }, attrs: own, kind: "special" as const },
      {
        name: `special-values${attrsName(own)}`,
        inputs: { x: cycle([values.length * 3], values) },
        attrs: own,
        kind: "special" as const,
      },
      { name: `zero-size${attrsName(own)}`, inputs: { x: input([0, 3]) }, attrs: own, kind: "zero-size" as const },
    ]),
    errors: [{ name: "int", code: "dtype", inputs: { x: typed("int32", integers([3])) }, attrs: attrs[0] as A }],
  });
};

const negativeInfinity = (x: number): boolean => x === Number.NEGATIVE_INFINITY;

export const leakyRelu = activationCases<{ readonly slope: number }>({
  tolerance: withinUlps(2) as Tolerance<{ x: NdArray }, unknown>,
  attrs: [{ slope: 0.01 }, { slope: 0.25 }],
  run: (x, { slope }) => core.leakyRelu(x, slope),
  reference: (x, { slope }) => reference.leakyRelu(x, slope),
});

export const elu = activationCases<{ readonly alpha: number }>({
  tolerance: cancelling((_x, { alpha }) => alpha),
  attrs: [{ alpha: 1 }, { alpha: 0.5 }],
  run: (x, { alpha }) => core.elu(x, alpha),
  reference: (x, { alpha }) => reference.elu(x, alpha),
});

export const gelu = activationCases<object>({
  tolerance: cancelling((x) => finite(x)),
  attrs: [{}],
  run: (x) => core.gelu(x),
  reference: (x) => reference.gelu(x),
  undefinedAt: negativeInfinity,
});

export const silu = activationCases<object>({
  tolerance: cancelling((x) => Math.min(finite(x), 1e-30)),
  attrs: [{}],
  run: (x) => core.silu(x),
  reference: (x) => reference.silu(x),
  undefinedAt: negativeInfinity,
});

export const softplus = activationCases<object>({
  tolerance: cancelling(() => 1e-30),
  attrs: [{}],
  run: (x) => core.softplus(x),
  reference: (x) => map(x, reference.softplus),
});

interface ClampAttrs {
  readonly min?: number;
  readonly max?: number;
}

export const clamp = defineCases<X, ClampAttrs>({
  tolerance: exact,
  kernels: ["clamp"],
  run: ({ x }, attrs) => core.clamp(x, attrs),
  reference: ({ x }, attrs) => reference.clamp(x, attrs),
  samples: [
    ...elementwiseShapes.map((shape) => ({
      name: shapeName(shape),
      inputs: { x: distinct(shape) },
      attrs: { min: -0.25, max: 0.5 },
    })),
    { name: "min", inputs: { x: distinct([33]) }, attrs: { min: -0.125 } },
    { name: "max", inputs: { x: distinct([33]) }, attrs: { max: 0.125 } },
    {
      name: "int",
      inputs: { x: fixed(integers([17], -9, 9)) },
      attrs: { min: -3, max: 5 },
      dtypes: ["int32"],
      gradient: false,
    },
    {
      name: "special-values",
      inputs: { x: cycle([specials.length], specials) },
      attrs: { min: -1, max: 1 },
      kind: "special",
    },
    { name: "zero-size", inputs: { x: input([0]) }, attrs: { min: 0, max: 1 }, kind: "zero-size" },
  ],
  errors: [
    { name: "order", code: "argument", inputs: { x: input([2]) }, attrs: { min: 1, max: 0 } },
    { name: "bool", code: "dtype", inputs: { x: mask([2]) }, attrs: { min: 0, max: 1 } },
  ],
});
