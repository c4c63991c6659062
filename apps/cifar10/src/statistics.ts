/** What several runs that differ in the seed alone come to. */
import { ArgumentError } from "@striate/core";

export interface SampleStatistics {
  readonly count: number;
  readonly mean: number;
  /** Of the sample: divided by count - 1. */
  readonly standardDeviation: number;
  /** In which the mean of all seeds lies, with that confidence, if runs are normally distributed. */
  readonly interval: readonly [number, number];
  readonly confidence: number;
}

/**
 * Two-sided 95 % points of Student's t by degrees of freedom, from 1. A table, because @stdlib's quantile brings 230 packages
 * along, jStat has had no release for years, and simple-statistics has no such function.
 */
const quantiles: readonly number[] = [
  12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281, 2.201, 2.1788, 2.1604, 2.1448, 2.1314,
  2.1199, 2.1098, 2.1009, 2.093, 2.086, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
];

const normal = 1.959964;

/** Beyond the table: E. Cornish, R. Fisher's expansion about the normal quantile, exact to the fourth decimal there. */
export const studentQuantile = (freedom: number): number => {
  const z = normal;
  return (
    quantiles[freedom - 1] ??
    z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2)
  );
};

/** @throws ArgumentError for fewer than two values: one tells nothing of their spread. */
export const sampleStatistics = (values: readonly number[]): SampleStatistics => {
  const count = values.length;
  if (count < 2) throw new ArgumentError(`sampleStatistics: ${count} values, expected at least two`);
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardDeviation = Math.sqrt(squares / (count - 1));
  const half = (studentQuantile(count - 1) * standardDeviation) / Math.sqrt(count);
  return { count, mean, standardDeviation, interval: [mean - half, mean + half], confidence: 0.95 };
};
