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

/** A number with an error bound's worth: `size` is the same chain on absolute values, where nothing cancels. */
class Scalar implements core.Arithmetic<Scalar> {
  constructor(
    readonly value: number,
    readonly size: number,
  ) {}
  #with(b: Scalar | number, value: (x: number, y: number) => number, size: (x: number, y: number) => number): Scalar {
    const y = typeof b === "number" ? new Scalar(b, Math.abs(b)) : b;
    return new Scalar(value(this.value, y.value), size(this.size, y.size));
  }
  add(b: Scalar | number): Scalar {
    return this.#with(
      b,
      (x, y) => x + y,
      (x, y) => x + y,
    );
  }
  sub(b: Scalar | number): Scalar {
    return this.#with(
      b,
      (x, y) => x - y,
      (x, y) => x + y,
    );
  }
  mul(b: Scalar | number): Scalar {
    return this.#with(
      b,
      (x, y) => x * y,
      (x, y) => x * y,
    );
  }
  div(b: Scalar | number): Scalar {
    return this.#with(
      b,
      (x, y) => x / y,
      (x, y) => x / y,
    );
  }
  maximum(b: Scalar | number): Scalar {
    return this.#with(b, Math.max, Math.max);
  }
  minimum(b: Scalar | number): Scalar {
    return this.#with(b, Math.min, Math.max);
  }
  neg(): Scalar {
    return new Scalar(-this.value, this.size);
  }
  square(): Scalar {
    return this.mul(this);
  }
  sqrt(): Scalar {
    return new Scalar(Math.sqrt(this.value), Math.sqrt(this.size));
  }
}

const evaluate = (name: ChainName, inputs: { a: NdArray; b: NdArray; c: NdArray }): Scalar[][] =>
  Array.from(inputs.a.data, (_, i) => {
    const [a, b, c] = [inputs.a, inputs.b, inputs.c].map(({ data }) => {
      const value = data[i] as number;
      return new Scalar(value, Math.abs(value));
    }) as [Scalar, Scalar, Scalar];
    return [...(chains[name] as Chain)(a, b, c)];
  });

const outputsOf = (name: ChainName, inputs: { a: NdArray; b: NdArray; c: NdArray }): NdArray[] => {
  const rows = evaluate(name, inputs);
  const count = { momentum: 2, adam: 3, bounds: 1, repeated: 3 }[name];
  return Array.from({ length: count }, (_, output) =>
    ndarray(
      inputs.a.shape,
      rows.map((row) => (row[output] as Scalar).value),
    ),
  );
};

const inputsOf = (shape: readonly number[]): { a: InputSpec; b: InputSpec; c: InputSpec } => ({
  a: input(shape),
  b: away(shape),
  c: uniform(shape, 0.5, 2),
});

const names = Object.keys(chains) as ChainName[];

export const pointwise = defineCases<Inputs, { readonly chain: ChainName }>({
  // At most 12 steps, each rounded once.
  tolerance: composed(({ inputs, attrs, epsilon }) => {
    const sizes = evaluate(attrs.chain, inputs).map((row) => Math.max(...row.map(({ size }) => size)));
    return (i) => 12 * epsilon * (sizes[i] as number);
  }),
  kernels: ["pointwise"],
  run: ({ a, b, c }, { chain }) =>
    core.pointwise([a, b, c], (x, y, z) =>
      (chains[chain] as Chain)(x as core.PointwiseValue, y as core.PointwiseValue, z as core.PointwiseValue),
    ),
  reference: (inputs, { chain }) => outputsOf(chain, inputs),
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
