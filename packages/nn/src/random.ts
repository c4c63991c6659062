import { philox4x32 } from "@striate/core";

/** Numbers for one parameter, drawn on the host so that they are the same on every backend. */
export interface RandomSource {
  /** Fill `values` with independent numbers, uniform in (low, high). */
  uniform(values: Float32Array | Float64Array, low: number, high: number): void;
  /** Fill `values` with independent normal numbers. */
  normal(values: Float32Array | Float64Array, mean: number, std: number): void;
}

/** A word as a number in (0, 1): the middle of its interval, so never an end. */
const unit = (word: number): number => (word + 0.5) * 2 ** -32;

/**
 * The numbers of (seed, stream). Each fill is one run of Philox counters [block, fill, stream, 0], so what a fill
 * draws does not depend on how much the ones before it drew. `seed` is a non-negative safe integer, `stream` a uint32.
 */
export const randomSource = (seed: number, stream: number): RandomSource => {
  const key = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0] as const;
  const words = new Uint32Array(4);
  let fills = 0;

  /** `four` turns four words into four numbers in `out`. */
  const fill = (
    values: Float32Array | Float64Array,
    four: (words: Uint32Array, out: Float64Array) => void,
    scale: number,
    shift: number,
  ): void => {
    const numbers = new Float64Array(4);
    for (let at = 0, block = 0; at < values.length; at += 4, block++) {
      philox4x32([block, fills, stream, 0], key, words);
      four(words, numbers);
      const end = Math.min(4, values.length - at);
      for (let i = 0; i < end; i++) values[at + i] = (numbers[i] as number) * scale + shift;
    }
    fills++;
  };

  return {
    uniform: (values, low, high) =>
      fill(
        values,
        (w, out) => {
          for (let i = 0; i < 4; i++) out[i] = unit(w[i] as number);
        },
        high - low,
        low,
      ),
    // Box and Muller's transform: two words, two numbers.
    normal: (values, mean, std) =>
      fill(
        values,
        (w, out) => {
          for (let i = 0; i < 4; i += 2) {
            const radius = Math.sqrt(-2 * Math.log(unit(w[i] as number)));
            const angle = 2 * Math.PI * unit(w[i + 1] as number);
            out[i] = radius * Math.cos(angle);
            out[i + 1] = radius * Math.sin(angle);
          }
        },
        std,
        mean,
      ),
  };
};
