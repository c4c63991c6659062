import type { Tensor } from "@striate/core";
import * as core from "@striate/core";
import * as reference from "../reference/elementwise.js";
import { map } from "../reference/ndarray.js";
import {
  away,
  beyondDispatch,
  cycle,
  defineCases,
  elementwiseShapes,
  fixed,
  type InputSpec,
  input,
  integers,
  mask,
  type OpCases,
  ramp,
  shapeName,
  specials,
  typed,
  uniform,
} from "../suite.js";
import { exact, moved, type Tolerance, type WgslLimit, withinUlps } from "../tolerance.js";

type UnaryName = keyof typeof reference.unary;

interface UnaryDefinition {
  readonly tolerance: Tolerance<Readonly<Record<string, never>>, unknown> | Tolerance<never, never>;
  /** Where the function and its derivatives are tame; else away from 0. */
  readonly domain?: (shape: readonly number[]) => InputSpec;
  readonly int32?: boolean;
}

const positive = (shape: readonly number[]): InputSpec => uniform(shape, 0.25, 4);

const absolute =
  (error: number): WgslLimit =>
  () =>
    error;

/** WGSL, section "Accuracy of built-in functions"; ranges outside [-pi, pi] for sin and cos are unspecified there. */
const wgsl = {
  exp: ([x = 0], _result, ulp) => (3 + 2 * Math.abs(x)) * ulp,
  log: ([x = 1], _result, ulp) => (x >= 0.5 && x <= 2 ? 2 ** -21 : 3 * ulp),
  sin: ([x = 0]) => (Math.abs(x) <= Math.PI ? 2 ** -11 : Number.POSITIVE_INFINITY),
} satisfies Record<string, WgslLimit>;

const definitions: Readonly<Record<UnaryName, UnaryDefinition>> = {
  neg: { tolerance: moved, int32: true },
  abs: { tolerance: moved, int32: true },
  sign: { tolerance: exact, int32: true },
  square: { tolerance: withinUlps(2), int32: true },
  relu: { tolerance: exact, int32: true },
  floor: { tolerance: exact, domain: (shape) => cycle(shape, [-2.75, -1.25, -0.5, 0.25, 0.75, 1.5, 3.25]) },
  ceil: { tolerance: exact, domain: (shape) => cycle(shape, [-2.75, -1.25, -0.5, 0.25, 0.75, 1.5, 3.25]) },
  round: { tolerance: exact, domain: (shape) => cycle(shape, [-2.75, -1.25, -0.375, 0.25, 0.75, 1.625, 3.25]) },
  sqrt: { tolerance: withinUlps(2, (_v, _r, ulp) => 4 * ulp), domain: positive },
  rsqrt: { tolerance: withinUlps(2), domain: positive },
  reciprocal: { tolerance: withinUlps(2, (_v, _r, ulp) => 3 * ulp) },
  exp: { tolerance: withinUlps(2, wgsl.exp) },
  expm1: { tolerance: withinUlps(2, (v, r, ulp) => wgsl.exp(v, r, ulp) + 2 ** -21) },
  log: { tolerance: withinUlps(2, wgsl.log), domain: positive },
  log1p: {
    tolerance: withinUlps(2, (v, r, ulp) => wgsl.log(v, r, ulp) + 2 ** -21),
    domain: (shape) => uniform(shape, -0.5, 4),
  },
  sin: { tolerance: withinUlps(2, wgsl.sin) },
  cos: { tolerance: withinUlps(2, wgsl.sin) },
  tanh: { tolerance: withinUlps(2, absolute(1e-5)) },
  sigmoid: { tolerance: withinUlps(2, ([x = 0], _r, ulp) => (8 + 2 * Math.abs(x)) * ulp) },
  erf: { tolerance: withinUlps(2, absolute(1e-6)) },
};

const casesOf = (name: UnaryName): OpCases => {
  const { tolerance, domain = away, int32 = false } = definitions[name];
  const f = reference.unary[name];
  const run: (x: Tensor) => Tensor = core[name];
  return defineCases<{ x: unknown }>({
    tolerance: tolerance as Tolerance<object, object>,
    run: ({ x }) => run(x),
    reference: ({ x }) => map(x, f),
    samples: [
      ...elementwiseShapes.map((shape) => ({ name: shapeName(shape), inputs: { x: domain(shape) }, attrs: {} })),
      { name: "wide", inputs: { x: uniform([257], -20, 20) }, attrs: {}, kind: "special" },
      { name: "near-0", inputs: { x: uniform([129], -0.01, 0.01) }, attrs: {}, kind: "special" },
      { name: "special-values", inputs: { x: cycle([specials.length * 3], specials) }, attrs: {}, kind: "special" },
      { name: "zero-size", inputs: { x: input([2, 0, 3]) }, attrs: {}, kind: "zero-size" },
      ...(int32
        ? ([
            {
              name: "int",
              inputs: { x: fixed(integers([3, 17], -9, 9)) },
              attrs: {},
              dtypes: ["int32"],
              gradient: false,
            },
          ] as const)
        : []),
      // One kernel family, one probe.
      ...(name === "relu"
        ? ([
            { name: "large", inputs: { x: ramp([beyondDispatch]) }, attrs: {}, kind: "large", dtypes: ["float32"] },
          ] as const)
        : []),
    ],
    errors: [{ name: "bool", code: "dtype", inputs: { x: mask([3]) }, attrs: {} }],
  });
};

export const unaryCases = Object.fromEntries(
  (Object.keys(definitions) as UnaryName[]).map((name) => [name, casesOf(name)]),
) as Readonly<Record<UnaryName, OpCases>>;

export const logicalNot = defineCases<{ x: unknown }>({
  tolerance: exact,
  differentiable: false,
  run: ({ x }) => core.logicalNot(x),
  reference: ({ x }) => reference.logicalNot(x),
  samples: [
    ...elementwiseShapes.map(
      (shape) => ({ name: shapeName(shape), inputs: { x: mask(shape) }, attrs: {}, dtypes: ["bool"] }) as const,
    ),
    { name: "zero-size", inputs: { x: mask([0, 2]) }, attrs: {}, dtypes: ["bool"], kind: "zero-size" },
  ],
  errors: [{ name: "float", code: "dtype", inputs: { x: input([3]) }, attrs: {} }],
});

interface CastAttrs {
  readonly dtype: "float32" | "int32" | "uint8" | "bool";
}

const inBytes = (shape: readonly number[]): InputSpec => integers(shape, 0, 255);

export const cast = defineCases<{ x: unknown }, CastAttrs>({
  tolerance: exact,
  run: ({ x }, { dtype }) => core.cast(x, dtype),
  reference: ({ x }, { dtype }) =>
    map(x, (value) =>
      dtype === "bool" ? (value === 0 ? 0 : 1) : dtype === "float32" ? Math.fround(value) : Math.trunc(value),
    ),
  samples: [
    ...[[], [1], [5], [65], [3, 1, 7]].map(
      (shape) =>
        ({
          name: `to-int-${shapeName(shape)}`,
          inputs: { x: uniform(shape, -100, 100) },
          attrs: { dtype: "int32" },
          gradient: false,
        }) as const,
    ),
    { name: "to-f32", inputs: { x: input([4, 33]) }, attrs: { dtype: "float32" }, dtypes: ["float32"] },
    {
      name: "to-f32-rounds",
      inputs: { x: cycle([9], [1 / 3, 2 ** 24 + 1, 0.1]) },
      attrs: { dtype: "float32" },
      dtypes: ["float64"],
      gradient: false,
    },
    { name: "to-byte", inputs: { x: uniform([67], 0, 255) }, attrs: { dtype: "uint8" }, gradient: false },
    {
      name: "to-bool",
      inputs: { x: cycle([11], [0, -0, 0.25, -3, Number.NaN, 2 ** -149]) },
      attrs: { dtype: "bool" },
      kind: "special",
      gradient: false,
      dtypes: ["float32", "float64"],
    },
    {
      name: "truncates",
      inputs: { x: cycle([14], [-1.75, -0.75, 0.75, 1.75, 2147483520, -2147483648, 2.5]) },
      attrs: { dtype: "int32" },
      kind: "special",
      dtypes: ["float32", "float64"],
    },
    {
      name: "byte-to-f32",
      inputs: { x: typed("uint8", inBytes([2, 65])) },
      attrs: { dtype: "float32" },
      dtypes: ["uint8"],
      gradient: false,
    },
    { name: "bool-to-f32", inputs: { x: mask([19]) }, attrs: { dtype: "float32" }, dtypes: ["bool"], gradient: false },
    { name: "bool-to-int", inputs: { x: mask([19]) }, attrs: { dtype: "int32" }, dtypes: ["bool"], gradient: false },
    {
      name: "int-to-f32",
      inputs: { x: typed("int32", cycle([9], [0, -1, 2 ** 24 - 1, 2 ** 24 + 1, 2147483647])) },
      attrs: { dtype: "float32" },
      dtypes: ["int32"],
      gradient: false,
    },
    {
      name: "int-to-byte",
      inputs: { x: typed("int32", inBytes([31])) },
      attrs: { dtype: "uint8" },
      dtypes: ["int32"],
      gradient: false,
    },
    {
      name: "int-to-bool",
      inputs: { x: typed("int32", integers([31], -1, 1)) },
      attrs: { dtype: "bool" },
      dtypes: ["int32"],
      gradient: false,
    },
    { name: "zero-size", inputs: { x: input([0]) }, attrs: { dtype: "int32" }, kind: "zero-size" },
  ],
});
