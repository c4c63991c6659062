/**
 * Gradients of the reference by finite differences in float64: the five-point stencil
 * (f(x-2h) - 8f(x-h) + 8f(x+h) - f(x+2h)) / 12h with h = 2^-12, exact up to h⁴·f⁽⁵⁾/30 + eps·abs(f)/h, about 1e-11
 * of the values around. That is far below what float32 may be off, and independent of every backend. Generators keep
 * kinks (ReLU, maxima, clamps) farther than 2h from the inputs, or samples say what holds on one side: `nextTo`.
 */
import type { NdArray } from "./ndarray.js";

const step = 2 ** -12;
const stencil: readonly (readonly [offset: number, weight: number])[] = [
  [-2, 1],
  [-1, -8],
  [1, 8],
  [2, -1],
];

/**
 * d sum(gy·f(x)) / dx at the elements of x named by `probes`, in their order.
 *
 * @param f may read `x.data`, which is changed between calls and restored at the end.
 */
export const finiteDifferences = (
  f: () => NdArray,
  x: NdArray,
  gy: NdArray,
  probes: readonly number[],
): Float64Array => {
  const result = new Float64Array(probes.length);
  probes.forEach((position, i) => {
    const value = x.data[position] as number;
    const slopes = new Float64Array(gy.data.length);
    for (const [offset, weight] of stencil) {
      x.data[position] = value + offset * step;
      const y = f();
      for (let j = 0; j < slopes.length; j++) slopes[j] = (slopes[j] as number) + weight * (y.data[j] as number);
    }
    x.data[position] = value;
    let slope = 0;
    for (let j = 0; j < slopes.length; j++) slope += ((slopes[j] as number) / (12 * step)) * (gy.data[j] as number);
    result[i] = slope;
  });
  return result;
};

/** All positions up to `limit`, or as many spread evenly over the array, first and last among them. */
export const probesOf = (x: NdArray, limit: number): number[] => {
  const size = x.data.length;
  if (size <= limit) return Array.from({ length: size }, (_, i) => i);
  return Array.from({ length: limit }, (_, i) => Math.floor((i * (size - 1)) / (limit - 1)));
};
