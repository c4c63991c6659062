/** Of samples in any unit. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value; the mean of the two middle ones for an even count. @throws RangeError without values. */
export const median = (values: readonly number[]): number => {
  if (values.length === 0) throw new RangeError("median: no values");
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] as number) + upper) / 2;
};

/** @throws RangeError without values. */
export const summarize = (values: readonly number[]): Summary => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
});

/**
 * How many times `numerators` are `denominators`, of the values of each round that both have. Rounds alternate, so what
 * slows the machine down for a while slows both, and cancels.
 *
 * @throws RangeError if one has no values.
 */
export const summarizeRatio = (numerators: readonly number[], denominators: readonly number[]): Summary => {
  const rounds = Math.min(numerators.length, denominators.length);
  return summarize(Array.from({ length: rounds }, (_, i) => (numerators[i] as number) / (denominators[i] as number)));
};
