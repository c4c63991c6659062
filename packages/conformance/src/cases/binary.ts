import type { Tensor } from "@striate/core";
import * as core from "@striate/core";
import * as reference from "../reference/elementwise.js";
import { zip } from "../reference/ndarray.js";
import {
  away,
  beyondDispatch,
  cycle,
  defineCases,
  distinct,
  type Fields,
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

interface Operands {
  a: unknown;
  b: unknown;
}

/** Pairs that broadcast, rank 0 to 5. */
const shapePairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [[], []],
  [[1], [1]],
  [[17], [17]],
  [[65], [65]],
  [
    [4, 7],
    [4, 7],
  ],
  [[5, 3], [3]],
  [[3], [5, 3]],
  [
    [5, 3],
    [5, 1],
  ],
  [
    [1, 4],
    [3, 1],
  ],
  [[2, 3, 4], []],
  [
    [2, 3, 4],
    [1, 3, 1],
  ],
  [
    [2, 3, 4, 5],
    [3, 1, 1],
  ],
  [
    [2, 1, 3, 1],
    [1, 4, 1, 5],
  ],
  [
    [1, 2, 3, 2, 3],
    [2, 2, 1, 2, 1],
  ],
];

const pairName = (a: readonly number[], b: readonly number[]): string => `${shapeName(a)}+${shapeName(b)}`;

/** Every special value against every other. */
const crossedWithout = (open: (a: number, b: number) => boolean): Fields<Operands, InputSpec> => {
  const pairs = specials.flatMap((a) => specials.filter((b) => !open(a, b)).map((b) => [a, b] as const));
  return {
    a: cycle(
      [pairs.length],
      pairs.map(([a]) => a),
    ),
    b: cycle(
      [pairs.length],
      pairs.map(([, b]) => b),
    ),
  };
};
const crossed = crossedWithout(() => false);

const mismatches = [
  { name: "shapes", code: "shape", inputs: { a: input([2, 3]), b: input([2, 4]) }, attrs: {} },
  { name: "dtypes", code: "dtype", inputs: { a: input([3]), b: typed("int32", integers([3])) }, attrs: {} },
] as const;

type BinaryName = keyof typeof reference.binary;

interface BinaryDefinition {
  readonly tolerance: Tolerance<never, never>;
  /** Where implementations are free to differ. */
  readonly open?: (a: number, b: number) => boolean;
  readonly int32?: boolean;
  readonly a?: (shape: readonly number[]) => InputSpec;
  readonly b?: (shape: readonly number[]) => InputSpec;
}

const powLimit: WgslLimit = ([base = 1, exponent = 1], _result, ulp) =>
  (16 + 4 * Math.abs(exponent * Math.log2(Math.abs(base) + 1e-30))) * ulp;

const definitions: Readonly<Record<BinaryName, BinaryDefinition>> = {
  add: { tolerance: withinUlps(2), int32: true },
  sub: { tolerance: withinUlps(2), int32: true },
  mul: { tolerance: withinUlps(2), int32: true },
  div: { tolerance: withinUlps(2, (_v, _r, ulp) => 3 * ulp) },
  // Operands from different halves of the grid are never closer than a step.
  maximum: { tolerance: exact, int32: true, a: distinct, b: (shape) => cycle(shape, [0.25, -0.5, 1, -1.25]) },
  minimum: { tolerance: exact, int32: true, a: distinct, b: (shape) => cycle(shape, [0.25, -0.5, 1, -1.25]) },
  // (±1)^±Inf and 1^NaN are 1 in C, NaN in JavaScript and WGSL. Numbers from 65520 on are infinite in float16.
  pow: {
    tolerance: withinUlps(2, powLimit),
    open: (a, b) => Math.abs(a) === 1 && !(Math.abs(b) < 65_520),
    a: (shape) => uniform(shape, 0.25, 3),
    b: away,
  },
};

const casesOf = (name: BinaryName): OpCases => {
  const { tolerance, int32 = false, open = () => false, a = input, b = away } = definitions[name];
  const run: (a: Tensor, b: Tensor) => Tensor = core[name];
  const f: (a: number, b: number) => number = reference.binary[name];
  return defineCases<Operands>({
    tolerance: tolerance as Tolerance<object, object>,
    run: (inputs) => run(inputs.a, inputs.b),
    reference: (inputs) => zip([inputs.a, inputs.b], f),
    samples: [
      ...shapePairs.map(([x, y]) => ({ name: pairName(x, y), inputs: { a: a(x), b: b(y) }, attrs: {} })),
      { name: "special-values", inputs: crossedWithout(open), attrs: {}, kind: "special" },
      { name: "zero-size", inputs: { a: input([2, 0]), b: input([1, 1]) }, attrs: {}, kind: "zero-size" },
      ...(int32
        ? ([
            {
              name: "int",
              inputs: { a: fixed(integers([5, 13], -99, 99)), b: fixed(integers([13], -99, 99)) },
              attrs: {},
              dtypes: ["int32"],
              gradient: false,
            },
          ] as const)
        : []),
      ...(name === "add" || name === "sub"
        ? ([
            {
              name: "int-wraps",
              inputs: { a: fixed(cycle([6], [2147483647, -2147483648])), b: fixed(cycle([6], [1, -1, 2, -2])) },
              attrs: {},
              kind: "special",
              dtypes: ["int32"],
            },
          ] as const)
        : []),
      ...(name === "add"
        ? ([
            {
              name: "large",
              inputs: { a: ramp([beyondDispatch]), b: input([1]) },
              attrs: {},
              kind: "large",
              dtypes: ["float32"],
            },
          ] as const)
        : []),
    ],
    errors: mismatches,
  });
};

export const binaryCases = Object.fromEntries(
  (Object.keys(definitions) as BinaryName[]).map((name) => [name, casesOf(name)]),
) as Readonly<Record<BinaryName, OpCases>>;

type CompareName = keyof typeof reference.compare;

const compareCasesOf = (name: CompareName): OpCases => {
  const run: (a: Tensor, b: Tensor) => Tensor = core[name];
  const f: (a: number, b: number) => number = reference.compare[name];
  return defineCases<Operands>({
    tolerance: exact,
    differentiable: false,
    run: (inputs) => run(inputs.a, inputs.b),
    reference: (inputs) => zip([inputs.a, inputs.b], f),
    samples: [
      ...shapePairs.map(([x, y]) => ({
        name: pairName(x, y),
        inputs: { a: integers(x, -2, 2), b: integers(y, -2, 2) },
        attrs: {},
      })),
      { name: "special-values", inputs: crossed, attrs: {}, kind: "special" },
      { name: "int", inputs: { a: integers([41], -2, 2), b: integers([41], -2, 2) }, attrs: {}, dtypes: ["int32"] },
      { name: "zero-size", inputs: { a: input([0]), b: input([1]) }, attrs: {}, kind: "zero-size" },
    ],
    errors: mismatches,
  });
};

export const compareCases = Object.fromEntries(
  (Object.keys(reference.compare) as CompareName[]).map((name) => [name, compareCasesOf(name)]),
) as Readonly<Record<CompareName, OpCases>>;

type LogicalName = keyof typeof reference.logical;

const logicalCasesOf = (name: LogicalName): OpCases => {
  const run: (a: Tensor, b: Tensor) => Tensor = core[name];
  const f: (a: number, b: number) => number = reference.logical[name];
  return defineCases<Operands>({
    tolerance: exact,
    differentiable: false,
    run: (inputs) => run(inputs.a, inputs.b),
    reference: (inputs) => zip([inputs.a, inputs.b], f),
    samples: [
      ...shapePairs.map(
        ([x, y]) =>
          ({ name: pairName(x, y), inputs: { a: mask(x), b: mask(y) }, attrs: {}, dtypes: ["bool"] }) as const,
      ),
      { name: "zero-size", inputs: { a: mask([0]), b: mask([1]) }, attrs: {}, kind: "zero-size", dtypes: ["bool"] },
    ],
    errors: [{ name: "float", code: "dtype", inputs: { a: input([2]), b: input([2]) }, attrs: {} }],
  });
};

export const logicalCases = Object.fromEntries(
  (Object.keys(reference.logical) as LogicalName[]).map((name) => [name, logicalCasesOf(name)]),
) as Readonly<Record<LogicalName, OpCases>>;

interface WhereOperands extends Operands {
  condition: unknown;
}

export const where = defineCases<WhereOperands>({
  tolerance: moved,
  run: ({ condition, a, b }) => core.where(condition, a, b),
  reference: ({ condition, a, b }) => reference.where(condition, a, b),
  samples: [
    ...shapePairs.map(([x, y]) => ({
      name: pairName(x, y),
      inputs: { condition: mask(x), a: input(y), b: input(x) },
      attrs: {},
    })),
    { name: "special-values", inputs: { condition: mask(crossed.a.shape), ...crossed }, attrs: {}, kind: "special" },
    {
      name: "int",
      inputs: { condition: mask([3, 7]), a: integers([3, 7]), b: integers([7]) },
      attrs: {},
      dtypes: ["int32"],
      gradient: false,
    },
    { name: "zero-size", inputs: { condition: mask([0]), a: input([0]), b: input([1]) }, attrs: {}, kind: "zero-size" },
  ],
  errors: [
    { name: "condition", code: "dtype", inputs: { condition: input([2]), a: input([2]), b: input([2]) }, attrs: {} },
    { name: "shapes", code: "shape", inputs: { condition: mask([2]), a: input([3]), b: input([2]) }, attrs: {} },
    {
      name: "dtypes",
      code: "dtype",
      inputs: { condition: mask([2]), a: input([2]), b: typed("int32", integers([2])) },
      attrs: {},
    },
  ],
});
