/** The pointwise functions, reductions and moves that the kernels are made of, with their known answers. */
import { type BinaryKind, binaryScalars, type CompareKind, type UnaryKind, unaryScalars } from "@striate/core/backend";
import type { Device, Info } from "./device.js";
import { mapOnHost, zipOnHost } from "./host.js";
import { type Chosen, choose, type Limit, type Primitive, type Probe, type Way } from "./probe.js";
import type { ReportRow } from "./report.js";

export type F1 = (x: Info) => Info;
export type F2 = (a: Info, b: Info) => Info;
export type Select = (condition: Info, t: Info, e: Info) => Info;
export type Reduce = (x: Info, axes: readonly number[]) => Info;
export type ArgReduce = (x: Info, axis: number) => Info;

type Typed<F> = Readonly<Record<"float32" | "int32", F>>;

export interface Primitives {
  readonly unary: { readonly [K in UnaryKind]: Typed<F1> };
  readonly binary: { readonly [K in BinaryKind]: Typed<F2> };
  readonly compare: { readonly [K in CompareKind]: Typed<F2> };
  readonly select: Typed<Select>;
  readonly reduce: { readonly [K in "sum" | "max" | "min"]: Typed<Reduce> };
  readonly argReduce: { readonly [K in "argmax" | "argmin"]: Typed<ArgReduce> };
  /** int32 modulo 256: bytes are kept as int32. */
  readonly wrapByte: F1;
}

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const way = <F>(status: Way<F>["status"], kernels: readonly string[], f: F): Way<F> => ({ status, kernels, f });

const ulpOf = (y: number): number => {
  const size = Math.abs(y);
  return Number.isFinite(size) ? 2 ** (Math.floor(Math.log2(Math.max(size, 2 ** -126))) - 23) : 0;
};

const show = (x: number): string => (Object.is(x, -0) ? "-0" : `${x}`);
const list = (values: readonly number[]): string => `[${values.map(show).join(", ")}]`;

const floats = (device: Device, values: readonly number[], shape: readonly number[] = [values.length]): Info =>
  device.place(Float32Array.from(values), shape);
const integers = (device: Device, values: readonly number[], shape: readonly number[] = [values.length]): Info =>
  device.place(Int32Array.from(values), shape);

// ---- unary ----------------------------------------------------------------------------------------------------------

/** tfjs's kernel, and the name in its public API where that differs. */
const unaryKernels: { readonly [K in UnaryKind]: string } = {
  neg: "Neg",
  abs: "Abs",
  sign: "Sign",
  square: "Square",
  relu: "Relu",
  floor: "Floor",
  ceil: "Ceil",
  round: "Round",
  sqrt: "Sqrt",
  rsqrt: "Rsqrt",
  reciprocal: "Reciprocal",
  exp: "Exp",
  expm1: "Expm1",
  log: "Log",
  log1p: "Log1p",
  sin: "Sin",
  cos: "Cos",
  tanh: "Tanh",
  sigmoid: "Sigmoid",
  erf: "Erf",
};

/** The result is a rounding away from the argument, or none at all. */
const exactKinds: readonly string[] = ["neg", "abs", "sign", "relu", "floor", "ceil", "round", "max", "min"];

/** What shaders promise, roughly: these functions are fast there, not exact. */
const gpuLimit: Limit = (y) => 4e-6 * Math.abs(y) + 2e-6;
const gpuLimits: Readonly<Record<string, Limit>> = {
  tanh: () => 1e-5,
  log1p: (y) => 1e-5 * Math.abs(y),
  pow: (y) => 1e-4 * Math.abs(y) + 2e-6,
};

const limitOf = (device: Device, kind: string): Limit => {
  if (exactKinds.includes(kind)) return () => 0;
  // Held to less than Striate allows, for the probe sees few arguments.
  return device.hostMemory ? (y) => 1.5 * ulpOf(y) : (gpuLimits[kind] ?? gpuLimit);
};

/** Special and simple ones first: the first that is wrong is what the report shows. */
const unaryValues: readonly number[] = [
  ...[nan, inf, -inf, 0, -3.5, -1.5, -0.5, -0.01, 1e-5, 0.01, 0.3, 0.5, 0.7, 1.5, 2.5, 10],
  ...Array.from({ length: 128 }, (_, i) => (i - 64) * 0.29 + 0.07),
];

/** Kernels that are made of comparisons get it right or not at all; a GPU may flush it to zero. */
const subnormal = 2 ** -149;

/** NaN with its sign bit, as Infinity - Infinity is on x86: a kernel that compares bits takes it for a negative number. */
const negativeNaN = (): Float32Array => new Float32Array(Int32Array.of(-1 << 22).buffer);

/** The logarithm of 0 as a case of its own: some GPUs have a finite one. */
const logOf =
  ({ run, place }: Device): F1 =>
  (x) => {
    const condition = run("Equal", { a: x, b: place(Float32Array.of(0), []) });
    const least = run("Fill", {}, { shape: x.shape, value: -inf, dtype: "float32" });
    return run("Select", { condition, t: least, e: run("Log", { x }) });
  };

/** Coefficients of the Taylor polynomial of sin(r) / r in r², highest first: right to 6e-8 for |r| <= π/2. */
const sineTerms = [-1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1] as const;

/** sin(x + phase) for moderate x, of kernels that GPUs have exactly: what they call sin may be off by 2^-11. */
const sineOf =
  (phase: number) =>
  ({ run, place }: Device): F1 =>
  (x) => {
    const by = (a: Info, factor: number): Info => run("Multiply", { a, b: place(Float32Array.of(factor), []) });
    const plus = (a: Info, term: number): Info => run("Add", { a, b: place(Float32Array.of(term), []) });
    const shifted = phase === 0 ? x : plus(x, phase);
    const turns = run("Round", { x: by(shifted, 1 / Math.PI) });
    // π in two parts, the first with few bits (Cody and Waite 1980).
    const coarse = run("Sub", { a: shifted, b: by(turns, 3.140625) });
    const near = run("Sub", { a: coarse, b: by(turns, Math.PI - 3.140625) });
    // Far out nothing is left of the argument, but the result stays finite.
    const bounded = run("Maximum", { a: near, b: place(Float32Array.of(-2), []) });
    const r = run("Minimum", { a: bounded, b: place(Float32Array.of(2), []) });
    const squared = run("Multiply", { a: r, b: r });
    const [highest, ...rest] = sineTerms;
    let sum = by(squared, highest);
    for (const [i, term] of rest.entries()) {
      sum = plus(sum, term);
      if (i < rest.length - 1) sum = run("Multiply", { a: sum, b: squared });
    }
    // 1 for even turns, -1 for odd ones.
    const half = by(turns, 0.5);
    const isOdd = run("Sub", { a: half, b: run("Floor", { x: half }) });
    const sign = plus(by(isOdd, -4), 1);
    return run("Multiply", { a: run("Multiply", { a: r, b: sum }), b: sign });
  };
const sineKernels = ["Multiply", "Add", "Sub", "Round", "Floor", "Maximum", "Minimum"] as const;

/** Other formulas, by kind. */
const unaryFormulas: { readonly [K in UnaryKind]?: readonly [kernels: readonly string[], f: (device: Device) => F1] } =
  {
    relu: [
      ["LessEqual", "ZerosLike", "Select"],
      ({ run, place }) =>
        (x) => {
          const condition = run("LessEqual", { a: x, b: place(Float32Array.of(0), []) });
          return run("Select", { condition, t: run("ZerosLike", { x }), e: x });
        },
    ],
    sin: [sineKernels, sineOf(0)],
    cos: [sineKernels, sineOf(Math.PI / 2)],
    log: [["Equal", "Log", "Fill", "Select"], logOf],
    // Kahan's: what 1 + x has lost of x is made up for. (Higham 2002, section 1.14.1)
    log1p: [
      ["Add", "Sub", "Equal", "Log", "Fill", "Select", "OnesLike", "Multiply", "RealDiv"],
      (device) => {
        const { run, place } = device;
        const log = logOf(device);
        return (x) => {
          const one = place(Float32Array.of(1), []);
          const sum = run("Add", { a: x, b: one });
          const kept = run("Sub", { a: sum, b: one });
          const condition = run("Equal", { a: x, b: kept });
          const ratio = run("Select", { condition, t: run("OnesLike", { x }), e: run("RealDiv", { a: x, b: kept }) });
          const nothing = run("Equal", { a: kept, b: place(Float32Array.of(0), []) });
          return run("Select", { condition: nothing, t: x, e: run("Multiply", { a: log(sum), b: ratio }) });
        };
      },
    ],
  };

const unaryOf = (device: Device, kind: UnaryKind): Primitive<F1> => {
  const kernel = unaryKernels[kind];
  const { run } = device;
  const native: F1 = (x) => run(kernel, { x });
  const f = unaryScalars[kind];
  const formula = unaryFormulas[kind];
  const composed = formula && way("composed", formula[0], formula[1](device));
  const host = way("host", [], mapOnHost(device, f));
  // A loop in double precision is the better one where it is to be had, save for what is exact anyway.
  const isFormulaFirst = !device.hostMemory || exactKinds.includes(kind);
  // Beyond a period or so, GPUs are free to be wrong.
  const ordinary = unaryValues.filter((x) => device.hostMemory || !["sin", "cos"].includes(kind) || Math.abs(x) < 3);
  const values = device.hostMemory && exactKinds.includes(kind) ? [...ordinary, subnormal] : ordinary;
  return {
    op: `unary.${kind}`,
    ways: [
      way("native", [kernel], native),
      way("composed", [kernel, "IsNan", "Select"], (x) =>
        run("Select", { condition: run("IsNan", { x }), t: x, e: native(x) }),
      ),
      ...(isFormulaFirst && composed ? [composed, host] : [host, ...(composed ? [composed] : [])]),
    ],
    probes: [
      {
        code: `tf.${kind} of float32`,
        element: (i) => `tf.${kind}(${show(values[i] as number)})`,
        run: (g) => g(floats(device, values)),
        expected: values.map((x) => Math.fround(f(Math.fround(x)))),
        limit: limitOf(device, kind),
      },
      {
        code: `tf.${kind}(tf.neg(NaN))`,
        run: (g) => g(device.place(negativeNaN(), [1])),
        expected: [nan],
      },
    ],
  };
};

const largeInteger = (device: Device): number[] => (device.integerBits === 31 ? [2 ** 24 + 1] : []);

const int32Unary: {
  readonly [K in UnaryKind]?: { f(x: number): number; composed?: [string, (device: Device) => F1] };
} = {
  neg: {
    f: (x) => -x,
    composed: [
      "Sub",
      ({ run, place }) =>
        (x) =>
          run("Sub", { a: place(Int32Array.of(0), []), b: x }),
    ],
  },
  abs: {
    f: Math.abs,
    composed: [
      "Maximum",
      ({ run, place }) =>
        (x) =>
          run("Maximum", { a: x, b: run("Sub", { a: place(Int32Array.of(0), []), b: x }) }),
    ],
  },
  sign: { f: Math.sign },
  square: {
    f: (x) => Math.imul(x, x),
    composed: [
      "Multiply",
      ({ run }) =>
        (x) =>
          run("Multiply", { a: x, b: x }),
    ],
  },
  relu: {
    f: (x) => Math.max(x, 0),
    composed: [
      "Maximum",
      ({ run, place }) =>
        (x) =>
          run("Maximum", { a: x, b: place(Int32Array.of(0), []) }),
    ],
  },
};

const int32UnaryOf = (device: Device, kind: UnaryKind): Primitive<F1> | undefined => {
  const definition = int32Unary[kind];
  if (!definition) return undefined;
  const { f, composed } = definition;
  const kernel = unaryKernels[kind];
  const values = [-3, 0, 5, ...largeInteger(device)];
  return {
    op: `unary.${kind}`,
    dtype: "int32",
    ways: [
      way("native", [kernel], (x) => device.run(kernel, { x })),
      ...(composed ? [way<F1>("composed", [composed[0]], composed[1](device))] : []),
      way("host", [], mapOnHost(device, f)),
    ],
    probes: [
      {
        code: `tf.${kind}(tf.tensor1d(${list(values)}, "int32"))`,
        element: (i) => `tf.${kind}(tf.scalar(${values[i]}, "int32"))`,
        run: (g) => g(integers(device, values)),
        expected: values.map(f),
      },
    ],
  };
};

// ---- binary ---------------------------------------------------------------------------------------------------------

const binaryKernels: { readonly [K in BinaryKind]: readonly [kernel: string, api: string] } = {
  add: ["Add", "add"],
  sub: ["Sub", "sub"],
  mul: ["Multiply", "mul"],
  div: ["RealDiv", "div"],
  max: ["Maximum", "maximum"],
  min: ["Minimum", "minimum"],
  pow: ["Pow", "pow"],
};

const compareKernels: { readonly [K in CompareKind]: readonly [kernel: string, api: string] } = {
  eq: ["Equal", "equal"],
  ne: ["NotEqual", "notEqual"],
  lt: ["Less", "less"],
  le: ["LessEqual", "lessEqual"],
};

const compareScalars: { readonly [K in CompareKind]: (a: number, b: number) => number } = {
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
};

const pairs = [
  [nan, 1],
  [1, nan],
  [nan, nan],
  [inf, -inf],
  [0, -0],
  [2, 0.5],
  [-2, 3],
  [0.1, 0.7],
  [inf, 1],
  [nan, 0],
  [-inf, 0.5],
  [0, -0.5],
  [0, 1e-7],
] as const;

/** [2, 1, 3] with [2, 1]: broadcasting both ways. */
const outer = { a: [1, 2, 3, 4, 5, 6], b: [1, 3] } as const;

const broadcastProbe = (device: Device, api: string, f: (a: number, b: number) => number, limit: Limit): Probe<F2> => ({
  code: `tf.${api}(tf.tensor(${list(outer.a)}, [2, 1, 3]), tf.tensor(${list(outer.b)}, [2, 1]))`,
  run: (g) => g(floats(device, outer.a, [2, 1, 3]), floats(device, outer.b, [2, 1])),
  expected: [0, 1].flatMap((i) =>
    outer.b.flatMap((b) => [0, 1, 2].map((k) => Math.fround(f(outer.a[i * 3 + k] as number, b)))),
  ),
  limit,
});

const binaryOf = (device: Device, kind: BinaryKind): Primitive<F2> => {
  const [kernel, api] = binaryKernels[kind];
  const { run } = device;
  const f = binaryScalars[kind];
  const limit = limitOf(device, kind);
  // pow(1, NaN) is up to the engine.
  const values = pairs.filter(([a]) => kind !== "pow" || a !== 1);
  const native: F2 = (a, b) => run(kernel, { a, b });
  return {
    op: `binary.${kind}`,
    ways: [
      way("native", [kernel], native),
      // Where either is NaN, so is the sum.
      way("composed", [kernel, "IsNan", "LogicalOr", "Add", "Select"], (a, b) =>
        run("Select", {
          condition: run("LogicalOr", { a: run("IsNan", { x: a }), b: run("IsNan", { x: b }) }),
          t: run("Add", { a, b }),
          e: native(a, b),
        }),
      ),
      ...(kind === "div" && !device.hostMemory
        ? [
            way<F2>("composed", [kernel, "Equal", "Sub", "Add", "Multiply", "Reciprocal", "Select"], (a, b) => {
              // tfjs answers 1 for equal operands: right but for 0 / 0 and Infinity / Infinity, which a - b and 0 / b tell.
              const zero = run("Multiply", { a: run("Reciprocal", { x: b }), b: device.place(Float32Array.of(0), []) });
              const one = run("Add", { a: run("Sub", { a, b }), b: device.place(Float32Array.of(1), []) });
              const t = run("Add", { a: one, b: zero });
              return run("Select", { condition: run("Equal", { a, b }), t, e: native(a, b) });
            }),
          ]
        : []),
      way("host", [], zipOnHost(device, f)),
    ],
    probes: [
      {
        code: `tf.${api}(${list(values.map(([a]) => a))}, ${list(values.map(([, b]) => b))})`,
        element: (i) => `tf.${api}(${(values[i] as readonly number[]).map(show).join(", ")})`,
        run: (g) =>
          g(
            floats(
              device,
              values.map(([a]) => a),
            ),
            floats(
              device,
              values.map(([, b]) => b),
            ),
          ),
        expected: values.map(([a, b]) => Math.fround(f(Math.fround(a), Math.fround(b)))),
        limit,
      },
      broadcastProbe(device, api, f, limit),
    ],
  };
};

const integerPairs = [
  [5, 2],
  [-7, 2],
  [0, -3],
] as const;
const largePairs = [
  [2 ** 31 - 1, 1],
  [2 ** 24 + 1, 2 ** 24],
  [123456789, 987654321],
] as const;

const int32Scalars: { readonly [K in BinaryKind]?: (a: number, b: number) => number } = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: Math.imul,
  max: Math.max,
  min: Math.min,
};

const integerProbe = (device: Device, api: string, f: (a: number, b: number) => number): Probe<F2> => {
  const values = [...integerPairs, ...(device.integerBits === 31 ? largePairs : [])];
  return {
    code: `tf.${api} of int32`,
    element: (i) => `tf.${api}(${(values[i] as readonly number[]).map((x) => `tf.scalar(${x}, "int32")`).join(", ")})`,
    run: (g) =>
      g(
        integers(
          device,
          values.map(([a]) => a),
        ),
        integers(
          device,
          values.map(([, b]) => b),
        ),
      ),
    expected: values.map(([a, b]) => f(a, b)),
  };
};

const int32BinaryOf = (device: Device, kind: BinaryKind): Primitive<F2> | undefined => {
  const f = int32Scalars[kind];
  if (!f) return undefined;
  const [kernel, api] = binaryKernels[kind];
  return {
    op: `binary.${kind}`,
    dtype: "int32",
    ways: [way("native", [kernel], (a, b) => device.run(kernel, { a, b })), way("host", [], zipOnHost(device, f))],
    probes: [integerProbe(device, api, f)],
  };
};

const compareOf = (device: Device, kind: CompareKind, dtype: "float32" | "int32"): Primitive<F2> => {
  const [kernel, api] = compareKernels[kind];
  const f = compareScalars[kind];
  const { run } = device;
  const native: F2 = (a, b) => run(kernel, { a, b });
  const toBool = (x: Info): Info => device.placeBool(Uint8Array.from(device.valuesOf(x)), x.shape);
  return {
    op: `compare.${kind}`,
    dtype,
    ways: [
      way("native", [kernel], native),
      ...(dtype === "float32"
        ? [
            way<F2>(
              "composed",
              [kernel, "IsNan", "LogicalOr", kind === "ne" ? "LogicalOr" : "LogicalAnd", "LogicalNot"],
              (a, b) => {
                const unordered = run("LogicalOr", { a: run("IsNan", { x: a }), b: run("IsNan", { x: b }) });
                return kind === "ne"
                  ? run("LogicalOr", { a: native(a, b), b: unordered })
                  : run("LogicalAnd", { a: native(a, b), b: run("LogicalNot", { x: unordered }) });
              },
            ),
          ]
        : []),
      way("host", [], (a, b) => toBool(zipOnHost(device, f)(a, b))),
    ],
    probes:
      dtype === "int32"
        ? [integerProbe(device, api, f)]
        : [
            {
              code: `tf.${api}(${list(pairs.map(([a]) => a))}, ${list(pairs.map(([, b]) => b))})`,
              element: (i) => `tf.${api}(${(pairs[i] as readonly number[]).map(show).join(", ")})`,
              run: (g) =>
                g(
                  floats(
                    device,
                    pairs.map(([a]) => a),
                  ),
                  floats(
                    device,
                    pairs.map(([, b]) => b),
                  ),
                ),
              expected: pairs.map(([a, b]) => f(a, b)),
            },
            broadcastProbe(device, api, f, () => 0),
          ],
  };
};

const selectOf = (device: Device, dtype: "float32" | "int32"): Primitive<Select> => {
  const make = dtype === "float32" ? floats : integers;
  const [t, e] =
    dtype === "float32"
      ? [
          [nan, 1, inf, 3],
          [5, nan, 7, -inf],
        ]
      : [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ];
  return {
    op: "where",
    dtype,
    ways: [
      way("native", ["Select"], (condition, a, b) => device.run("Select", { condition, t: a, e: b })),
      way("host", [], (condition, a, b) => {
        const [c, x, y] = [device.valuesOf(condition), device.valuesOf(a), device.valuesOf(b)];
        const result = x.slice();
        for (let i = 0; i < result.length; i++) if (!c[i]) result[i] = y[i] as number;
        return device.place(result, a.shape);
      }),
    ],
    probes: [
      {
        code: `tf.where(tf.tensor2d([[1, 0], [1, 0]], [2, 2], "bool"), tf.tensor2d(${list(t)}, [2, 2]), tf.tensor2d(${list(e)}, [2, 2]))`,
        run: (g) =>
          g(device.placeBool(Uint8Array.of(1, 0, 1, 0), [2, 2]), make(device, t, [2, 2]), make(device, e, [2, 2])),
        expected: [t[0], e[1], t[2], e[3]] as number[],
      },
    ],
  };
};

// ---- reductions -----------------------------------------------------------------------------------------------------

const reduceKernels = {
  sum: ["Sum", "axis"],
  max: ["Max", "reductionIndices"],
  min: ["Min", "axis"],
} as const;

const reduceOnHost =
  (device: Device, start: number, f: (a: number, b: number) => number): Reduce =>
  (x, axes) => {
    const kept = x.shape.filter((_, i) => !axes.includes(i));
    const values = device.valuesOf(x);
    const strides = x.shape.map((_, axis) =>
      axes.includes(axis)
        ? 0
        : x.shape.slice(axis + 1).reduce((n, m, i) => (axes.includes(axis + 1 + i) ? n : n * m), 1),
    );
    const totals = new Float64Array(kept.reduce((n, m) => n * m, 1)).fill(start);
    for (let i = 0; i < values.length; i++) {
      let rest = i;
      let to = 0;
      for (let axis = x.shape.length - 1; axis >= 0; axis--) {
        const n = x.shape[axis] as number;
        to += (rest % n) * (strides[axis] as number);
        rest = Math.floor(rest / n);
      }
      totals[to] = f(totals[to] as number, values[i] as number);
    }
    return device.place(x.dtype === "float32" ? Float32Array.from(totals) : Int32Array.from(totals), kept);
  };

const reduceOf = (device: Device, kind: "sum" | "max" | "min", dtype: "float32" | "int32"): Primitive<Reduce> => {
  const [kernel, axesName] = reduceKernels[kind];
  const { run } = device;
  const start = { sum: 0, max: -inf, min: inf }[kind];
  const f = { sum: binaryScalars.add, max: Math.max, min: Math.min }[kind];
  const native: Reduce = (x, axes) => run(kernel, { x }, { [axesName]: [...axes], keepDims: false });
  const isFloat = dtype === "float32";
  const values = isFloat
    ? [1, 2, nan, -inf, -5, -6, -inf, -inf, -2, inf, 3, 4]
    : [1, 2, 3, -4, -5, -6, 7, 8, 9, -1, 0, 11];
  const make = isFloat ? floats : integers;
  const along = (axes: readonly number[], groups: readonly (readonly number[])[]): Probe<Reduce> => ({
    code: `tf.${kind}(tf.tensor3d(${list(values)}, [2, 2, 3], "${dtype}"), ${list(axes)})`,
    run: (g) => g(make(device, values, [2, 2, 3]), axes),
    expected: groups.map((group) => group.reduce((total, i) => f(total, values[i] as number), start)),
  });
  return {
    op: `reduce.${kind}`,
    dtype,
    ways: [
      way("native", [kernel], native),
      ...(isFloat && kind !== "sum"
        ? [
            // A sum is NaN where an element is, and not elsewhere once the numbers are zero.
            way<Reduce>("composed", [kernel, "IsNan", "Select", "ZerosLike", "Sum"], (x, axes) => {
              const zeros = run("ZerosLike", { x });
              const marks = run(
                "Sum",
                { x: run("Select", { condition: run("IsNan", { x }), t: x, e: zeros }) },
                { axis: [...axes], keepDims: false },
              );
              return run("Select", { condition: run("IsNan", { x: marks }), t: marks, e: native(x, axes) });
            }),
          ]
        : []),
      way("host", [], reduceOnHost(device, start, f)),
    ],
    probes: [
      along(
        [2],
        [
          [0, 1, 2],
          [3, 4, 5],
          [6, 7, 8],
          [9, 10, 11],
        ],
      ),
      along(
        [0],
        [
          [0, 6],
          [1, 7],
          [2, 8],
          [3, 9],
          [4, 10],
          [5, 11],
        ],
      ),
      along(
        [0, 1],
        [
          [0, 3, 6, 9],
          [1, 4, 7, 10],
          [2, 5, 8, 11],
        ],
      ),
      along([0, 1, 2], [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]),
    ],
  };
};

const argReduceOf = (device: Device, kind: "argmax" | "argmin", dtype: "float32" | "int32"): Primitive<ArgReduce> => {
  const kernel = kind === "argmax" ? "ArgMax" : "ArgMin";
  const api = kind === "argmax" ? "argMax" : "argMin";
  const { run } = device;
  const native: ArgReduce = (x, axis) => run(kernel, { x }, { axis });
  const sign = kind === "argmax" ? 1 : -1;
  const rows = [
    [1, 3, 3],
    [2, 2, 1],
    [-5, -2, -2],
    ...(dtype === "float32"
      ? [
          [1, nan, 3],
          [nan, 5, nan],
          [inf, 1, nan],
          [-inf, -inf, -inf],
        ]
      : []),
  ];
  const best = (row: readonly number[]): number =>
    row.reduce((at, value, i) => {
      const champion = row[at] as number;
      return (Number.isNaN(value) && !Number.isNaN(champion)) || sign * value > sign * champion ? i : at;
    }, 0);
  const make = dtype === "float32" ? floats : integers;
  return {
    op: `argReduce.${kind}`,
    dtype,
    ways: [
      way("native", [kernel], native),
      ...(dtype === "float32"
        ? [
            way<ArgReduce>("composed", [kernel, "ArgMax", "Max", "IsNan", "Cast", "NotEqual", "Select"], (x, axis) => {
              const marks = run("Cast", { x: run("IsNan", { x }) }, { dtype: "float32" });
              const any = run("Max", { x: marks }, { reductionIndices: [axis], keepDims: false });
              const condition = run("NotEqual", { a: any, b: device.place(Float32Array.of(0), []) });
              return run("Select", { condition, t: run("ArgMax", { x: marks }, { axis }), e: native(x, axis) });
            }),
          ]
        : []),
      way("host", [], (x, axis) => {
        const n = x.shape[axis] as number;
        const inner = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
        const values = device.valuesOf(x);
        const result = new Int32Array(values.length / n);
        for (let i = 0; i < result.length; i++) {
          const base = Math.floor(i / inner) * n * inner + (i % inner);
          result[i] = best(Array.from({ length: n }, (_, k) => values[base + k * inner] as number));
        }
        return device.place(
          result,
          x.shape.filter((_, i) => i !== axis),
        );
      }),
    ],
    probes: [
      ...rows.map(
        (row): Probe<ArgReduce> => ({
          code: `tf.${api}(tf.tensor1d(${list(row)}, "${dtype}"))`,
          run: (g) => g(make(device, row, [1, 3]), 1),
          expected: [best(row)],
        }),
      ),
      {
        code: `tf.${api}(tf.tensor2d([1, 2, 3, 3, 2, 1], [2, 3], "${dtype}"), 0)`,
        run: (g) => g(make(device, [1, 2, 3, 3, 2, 1], [2, 3]), 0),
        expected: kind === "argmax" ? [1, 0, 0] : [0, 0, 1],
      },
    ],
  };
};

const wrapByteOf = (device: Device): Primitive<F1> => {
  const { run } = device;
  const values = [0, 255, 256, 300, -1, -300];
  return {
    op: "uint8",
    dtype: "int32",
    ways: [
      way("native", ["BitwiseAnd"], (x) =>
        run("BitwiseAnd", { a: x, b: run("Fill", {}, { shape: x.shape, value: 255, dtype: "int32" }) }),
      ),
      way("composed", ["FloorMod"], (x) => run("FloorMod", { a: x, b: device.place(Int32Array.of(256), []) })),
      way(
        "host",
        [],
        mapOnHost(device, (x) => x & 255),
      ),
    ],
    probes: [
      {
        code: `tf.bitwiseAnd(tf.tensor1d(${list(values)}, "int32"), 255)`,
        run: (f) => f(integers(device, values)),
        expected: values.map((x) => x & 255),
      },
    ],
  };
};

// ---- moves and products ---------------------------------------------------------------------------------------------

/** Kernels without a substitute: if one of these is wrong, the report says so, and so does the suite. */
const plainOf = (device: Device): readonly Primitive<() => Info>[] => {
  const { run } = device;
  const x = (): Info => floats(device, [1, 2, 3, 4, 5, 6], [2, 3]);
  const plain = (op: string, kernel: string, code: string, f: () => Info, expected: readonly number[]) => ({
    op,
    ways: [way("native", [kernel], f)],
    probes: [{ code, run: (g: () => Info) => g(), expected }],
  });
  const example = "tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3])";
  return [
    plain(
      "fill",
      "Fill",
      "tf.fill([2], -Infinity)",
      () => run("Fill", {}, { shape: [2], value: -inf, dtype: "float32" }),
      [-inf, -inf],
    ),
    plain(
      "cast",
      "Cast",
      'tf.cast([-1.75, 2.5], "int32")',
      () => run("Cast", { x: floats(device, [-1.75, 2.5]) }, { dtype: "int32" }),
      [-1, 2],
    ),
    plain(
      "matmul",
      "BatchMatMul",
      `tf.matMul(${example}, ${example}, false, true)`,
      () => {
        const a = device.view(x(), [1, 2, 3]);
        return run("BatchMatMul", { a, b: a }, { transposeA: false, transposeB: true });
      },
      [14, 32, 32, 77],
    ),
    plain(
      "permute",
      "Transpose",
      `tf.transpose(${example})`,
      () => run("Transpose", { x: x() }, { perm: [1, 0] }),
      [1, 4, 2, 5, 3, 6],
    ),
    plain(
      "slice",
      "Slice",
      `tf.slice(${example}, [0, 1], [2, 2])`,
      () => run("Slice", { x: x() }, { begin: [0, 1], size: [2, 2] }),
      [2, 3, 5, 6],
    ),
    plain(
      "slice.backwards",
      "Reverse",
      `tf.reverse(${example}, 1)`,
      () => run("Reverse", { x: x() }, { dims: [1] }),
      [3, 2, 1, 6, 5, 4],
    ),
    plain(
      "pad",
      "PadV2",
      `tf.pad(${example}, [[0, 0], [1, 0]], -Infinity)`,
      () =>
        run(
          "PadV2",
          { x: x() },
          {
            paddings: [
              [0, 0],
              [1, 0],
            ],
            constantValue: -inf,
          },
        ),
      [-inf, 1, 2, 3, -inf, 4, 5, 6],
    ),
    plain(
      "expand",
      "Tile",
      "tf.tile([[1], [2]], [1, 2])",
      () => run("Tile", { x: floats(device, [1, 2], [2, 1]) }, { reps: [1, 2] }),
      [1, 1, 2, 2],
    ),
    plain(
      "concat",
      "Concat",
      `tf.concat([${example}, ${example}], 1)`,
      () => run("Concat", [x(), x()], { axis: 1 }),
      [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6],
    ),
    plain(
      "gather",
      "GatherV2",
      "tf.gather([1, 2, 3], [2, 0])",
      () =>
        run("GatherV2", { x: floats(device, [1, 2, 3]), indices: integers(device, [2, 0]) }, { axis: 0, batchDims: 0 }),
      [3, 1],
    ),
    plain(
      "scatterAdd",
      "ScatterNd",
      "tf.scatterND([[1], [1], [0]], [1, 2, 4], [3])",
      () =>
        run(
          "ScatterNd",
          { indices: integers(device, [1, 1, 0], [3, 1]), updates: floats(device, [1, 2, 4]) },
          { shape: [3] },
        ),
      [4, 3, 0],
    ),
  ];
};

// ---- all of it ------------------------------------------------------------------------------------------------------

/** Collects what was chosen. */
export interface Collector {
  /** @throws Error where a primitive that cannot be done without has no way at all. */
  required<F>(primitive: Primitive<F>): Promise<F>;
  optional<F>(primitive: Primitive<F>): Promise<F | undefined>;
  /** `optional`, with what else there is to know. */
  chosen<F>(primitive: Primitive<F>): Promise<Chosen<F>>;
  readonly rows: ReportRow[];
}

export const createCollector = (device: Device): Collector => {
  const rows: ReportRow[] = [];
  const take = async <F>(primitive: Primitive<F>): Promise<Chosen<F>> => {
    const chosen = await choose(device, primitive);
    rows.push(chosen.row);
    return chosen;
  };
  return {
    rows,
    required: async (primitive) => {
      const { f } = await take(primitive);
      if (f === undefined) throw new Error(`no kernel of this tfjs backend can do ${primitive.op}`);
      return f;
    },
    optional: async (primitive) => (await take({ ...primitive, optional: true })).f,
    chosen: (primitive) => take({ ...primitive, optional: true }),
  };
};

const mapKeys = async <K extends string, V>(
  keys: readonly K[],
  f: (key: K) => Promise<V>,
): Promise<{ readonly [P in K]: V }> => {
  const entries: [K, V][] = [];
  for (const key of keys) entries.push([key, await f(key)]);
  return Object.fromEntries(entries) as { [P in K]: V };
};

const keysOf = <K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] => Object.keys(table) as K[];

export const choosePrimitives = async (device: Device, { required }: Collector): Promise<Primitives> => {
  /** Core never asks for the dtypes that a kind does not have. */
  const typed = async <F>(float32: Primitive<F>, int32: Primitive<F> | undefined): Promise<Typed<F>> => {
    const f = await required(float32);
    return { float32: f, int32: int32 ? await required(int32) : f };
  };
  for (const primitive of plainOf(device)) await required(primitive);
  return {
    unary: await mapKeys(keysOf(unaryKernels), (kind) => typed(unaryOf(device, kind), int32UnaryOf(device, kind))),
    binary: await mapKeys(keysOf(binaryKernels), (kind) => typed(binaryOf(device, kind), int32BinaryOf(device, kind))),
    compare: await mapKeys(keysOf(compareKernels), (kind) =>
      typed(compareOf(device, kind, "float32"), compareOf(device, kind, "int32")),
    ),
    select: await typed(selectOf(device, "float32"), selectOf(device, "int32")),
    reduce: await mapKeys(keysOf(reduceKernels), (kind) =>
      typed(reduceOf(device, kind, "float32"), reduceOf(device, kind, "int32")),
    ),
    argReduce: await mapKeys(["argmax", "argmin"], (kind) =>
      typed(argReduceOf(device, kind, "float32"), argReduceOf(device, kind, "int32")),
    ),
    wrapByte: await required(wrapByteOf(device)),
  };
};
