import { fillNormal, fillUniform } from "@striate/core";

/** Numbers for one parameter, drawn on the host so that they are the same on every backend. */
export interface RandomSource {
  /** Fill `values` with independent numbers, uniform in [low, high). */
  uniform(values: Float32Array | Float64Array, low: number, high: number): void;
  /** Fill `values` with independent normal numbers. */
  normal(values: Float32Array | Float64Array, mean: number, std: number): void;
}

/**
 * The numbers of (seed, stream). Each fill has an offset of its own, so what it draws does not depend on how much the
 * ones before it drew.
 */
export const randomSource = (seed: number, stream: number): RandomSource => {
  let fills = 0;
  return {
    uniform: (values, low, high) => fillUniform(values, { seed, stream, offset: fills++ }, low, high),
    normal: (values, mean, std) => fillNormal(values, { seed, stream, offset: fills++ }, mean, std),
  };
};
