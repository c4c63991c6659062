import * as core from "@striate/core";
import { type NdArray, ndarray } from "../reference/ndarray.js";
import {
  away,
  beyondDispatch,
  cycle,
  defineCases,
  elementwiseShapes,
  fixed,
  type InputSpec,
  input,
  shapeName,
  specials,
  uniform,
} from "../suite.js";
import { composed } from "../tolerance.js";

interface Inputs {
  a: unknown;
  b: unknown;
  c: unknown;
}

/** A chain of steps, in any arithmetic. */
type Chain = <T extends core.Arithmetic<T>>(a: T, b: T, c: T) => readonly T[];

const chains = {
  /** Gradient descent with momentum and a penalty: two outputs, one of which the other needs. */
  momentum: (a, b, c) => {
    const velocity = c.mul(0.9).add(b.add(a.mul(5e-4)));
    return [a.sub(velocity.mul(0.1)), velocity];
  },
  /** Adam's moments and step: three outputs, one step used more than once. */
  adam: (a, b, c) => {
    const mean = c.mul(0.9).add(b.mul(0.1));
    const square = b.square().mul(0.001).add(0.25);
    return [a.sub(mean.div(square.sqrt().add(1e-8)).mul(0.01)), mean, square];
  },
  /** The rest of the steps. */
  bounds: (a, b, c) => [a.neg().maximum(b).minimum(c.maximum(0.125)).minimum(3)],
  /** An input handed through, and a step asked for twice. */
  repeated: (a, b) => {
    const sum = a.add(b);
    return [sum, a, sum];
  },
} as const satisfies Record<string, Chain>;

type ChainName = keyof typeof chains;

/** Numbers with their error bounds' worth: `size` is the same chain on absolute values, where nothing cancels. */
class Column implements core.Arithmetic<Column> {
  constructor(
    readonly value: Float64Array,
    readonly size: Float64Array,
  ) {}

  static of(value: Float64Array): Column {
    return new Column(value, value.map(Math.abs));
  }

  #with(b: Column | number, value: (x: number, y: number) => number, size = value): Column {
    const apply = (f: (x: number, y: number) => number, x: Float64Array, y: Float64Array | number): Float64Array =>
      x.map((element, i) => f(element, typeof y === "number" ? y : (y[i] as number)));
    const constant = typeof b === "number";
    return new Column(
      apply(value, this.value, constant ? b : b.value),
      apply(size, this.size, constant ? Math.abs(b) : b.size),
    );
  }

  add(b: Column | number): Column {
    return this.#with(b, (x, y) => x + y);
  }
  sub(b: Column | number): Column {
    return this.#with(
      b,
      (x, y) => x - y,
      (x, y) => x + y,
    );
  }
  mul(b: Column | number): Column {
    return this.#with(b, (x, y) => x * y);
  }
  div(b: Column | number): Column {
    return this.#with(b, (x, y) => x / y);
  }
  maximum(b: Column | number): Column {
    return this.#with(b, Math.max);
  }
  minimum(b: Column | number): Column {
    return this.#with(b, Math.min, Math.max);
  }
  neg(): Column {
    return new Column(
      this.value.map((x) => -x),
      this.size,
    );
  }
  square(): Column {
    return this.mul(this);
  }
  sqrt(): Column {
    return new Column(this.value.map(Math.sqrt), this.size.map(Math.sqrt));
  }
}

const evaluate = (name: ChainName, { a, b, c }: { a: NdArray; b: NdArray; c: NdArray }): readonly Column[] =>
  (chains[name] as Chain)(Column.of(a.data), Column.of(b.data), Column.of(c.data));

const inputsOf = (shape: readonly number[]): { a: InputSpec; b: InputSpec; c: InputSpec } => ({
  a: input(shape),
  b: away(shape),
  c: uniform(shape, 0.5, 2),
});

const names = Object.keys(chains) as ChainName[];

export const pointwise = defineCases<Inputs, { readonly chain: ChainName }>({
  // At most 12 steps, each rounded once.
  tolerance: composed(({ inputs, attrs, epsilon }) => {
    const sizes = evaluate(attrs.chain, inputs).map(({ size }) => size);
    return (i) => 12 * epsilon * Math.max(...sizes.map((size) => size[i] as number));
  }),
  kernels: ["pointwise"],
  run: ({ a, b, c }, { chain }) =>
    core.pointwise([a, b, c], (x, y, z) =>
      (chains[chain] as Chain)(x as core.PointwiseValue, y as core.PointwiseValue, z as core.PointwiseValue),
    ),
  reference: (inputs, { chain }) => evaluate(chain, inputs).map(({ value }) => ndarray(inputs.a.shape, value)),
  samples: [
    ...names.flatMap((chain) =>
      elementwiseShapes.map((shape) => ({
        name: `${chain}-${shapeName(shape)}`,
        inputs: inputsOf(shape),
        attrs: { chain },
        // Ties of maximum and minimum have no derivative.
        gradient: chain !== "bounds",
      })),
    ),
    ...names.map((chain) => ({
      name: `${chain}-special`,
      kind: "special" as const,
      inputs: {
        a: cycle([specials.length], specials),
        b: fixed(cycle([specials.length], [1, -2, 0.5])),
        c: fixed(cycle([specials.length], [0.5, 2])),
      },
      attrs: { chain },
    })),
    {
      name: "momentum-zero-size",
      kind: "zero-size" as const,
      inputs: inputsOf([0, 3]),
      attrs: { chain: "momentum" as const },
    },
    {
      name: "repeated-beyond-dispatch",
      inputs: inputsOf([beyondDispatch]),
      attrs: { chain: "repeated" as const },
      gradient: false,
      dtypes: ["float32"] as const,
    },
  ],
  errors: [
    {
      name: "shapes-differ",
      code: "shape",
      inputs: { a: input([2, 3]), b: input([3]), c: input([2, 3]) },
      attrs: { chain: "momentum" as const },
    },
    {
      name: "dtypes-differ",
      code: "dtype",
      inputs: { a: input([3]), b: { ...input([3]), dtype: "int32" as const, differentiated: false }, c: input([3]) },
      attrs: { chain: "momentum" as const },
    },
  ],
});
