import type { Outputs } from "./peer.js";

/** Where two peers differ the most. */
export interface Agreement {
  /** The output, `loss` or `0.weight`. */
  readonly output: string;
  /** Root mean square of the difference over that of the reference. */
  readonly error: number;
}

/** Far above the rounding of float32, and of a rectifier that rounding pushes over zero; far below any mistake. */
export const tolerance = 1e-2;

/** Updates are held to their own size, but not below this share of the largest: behind a batch norm a bias has none. */
const smallestUpdate = 1e-2;

const rootMeanSquare = (values: Float64Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / Math.max(1, values.length));

const difference = (a: Float32Array, b: Float32Array): Float64Array =>
  Float64Array.from(a, (value, i) => value - (b[i] as number));

/**
 * The output in which `found` differs the most from `reference`. Outputs that are in `origin` too (the parameters
 * before a training step) count by what was added to them. Infinity for an output that is missing or of another size, and
 * for none at all; NaN if one has a NaN.
 */
export const compareOutputs = (
  reference: Outputs,
  found: Outputs,
  origin: ReadonlyMap<string, { readonly data: Float32Array }>,
): Agreement => {
  const sizes = new Map<string, number>();
  for (const [name, values] of reference) {
    const start = origin.get(name)?.data;
    sizes.set(name, rootMeanSquare(start ? difference(values, start) : Float64Array.from(values)));
  }
  const largest = Math.max(0, ...[...sizes].filter(([name]) => origin.has(name)).map(([, size]) => size));
  let worst: Agreement | undefined;
  for (const name of new Set([...reference.keys(), ...found.keys()])) {
    const [expected, actual] = [reference.get(name), found.get(name)];
    if (!expected || !actual || expected.length !== actual.length)
      return { output: name, error: Number.POSITIVE_INFINITY };
    const size = Math.max(sizes.get(name) as number, origin.has(name) ? smallestUpdate * largest : 0);
    const distance = rootMeanSquare(difference(actual, expected));
    const error = distance === 0 ? 0 : distance / size;
    if (Number.isNaN(error)) return { output: name, error };
    if (!worst || error > worst.error) worst = { output: name, error };
  }
  return worst ?? { output: "none", error: Number.POSITIVE_INFINITY };
};
