/**
 * A curve of any length in bounded memory: neighbouring steps share a bucket that keeps their sum and extremes, and
 * when there are too many buckets, they join in pairs. For the server, the page and the report alike.
 */

/** What is known of every step. */
export const columns = ["loss", "accuracy", "lr", "secondsPerImage"] as const;
export type Column = (typeof columns)[number];

/** Of the finite values of a bucket; where there is none, count is 0 and the rest null. */
export interface ColumnData {
  readonly count: number[];
  readonly sum: (number | null)[];
  readonly min: (number | null)[];
  readonly max: (number | null)[];
}

/** JSON can carry it. */
export interface SeriesData {
  /** Steps that share a bucket. */
  readonly size: number;
  /** The last step of each bucket. */
  readonly last: number[];
  /** Steps in each bucket. */
  readonly steps: number[];
  readonly values: Readonly<Record<Column, ColumnData>>;
}

export interface Series {
  readonly data: SeriesData;
  /** Steps come in ascending order. What is not finite leaves a gap. */
  push(step: number, values: Readonly<Record<Column, number>>): void;
  /** Forgets what lies behind `step`; a bucket that reaches beyond it goes as a whole. */
  truncate(step: number): void;
}

const emptyColumn = (): ColumnData => ({ count: [], sum: [], min: [], max: [] });

export const emptySeries = (): SeriesData => ({
  size: 1,
  last: [],
  steps: [],
  values: { loss: emptyColumn(), accuracy: emptyColumn(), lr: emptyColumn(), secondsPerImage: emptyColumn() },
});

/** Of two of which at least one may be null. */
const either = (pick: (a: number, b: number) => number, a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : pick(a, b);

const add = (a: number, b: number): number => a + b;

/** Joins the values at `from` into those at `to`. */
const join = ({ count, sum, min, max }: ColumnData, to: number, from: number): void => {
  count[to] = (count[to] as number) + (count[from] as number);
  sum[to] = either(add, sum[to] ?? null, sum[from] ?? null);
  min[to] = either(Math.min, min[to] ?? null, min[from] ?? null);
  max[to] = either(Math.max, max[to] ?? null, max[from] ?? null);
};

const cut = ({ count, sum, min, max }: ColumnData, length: number): void => {
  for (const list of [count, sum, min, max]) list.length = length;
};

/** Goes on from `data`, which it changes. At most `capacity` buckets, an even number. */
export const createSeries = (capacity: number, data: SeriesData = emptySeries()): Series => {
  const { last, steps, values } = data;
  let { size } = data;

  const move = (to: number, from: number): void => {
    last[to] = last[from] as number;
    steps[to] = steps[from] as number;
    for (const column of columns) {
      const { count, sum, min, max } = values[column];
      for (const list of [count, sum, min, max] as (number | null)[][]) list[to] = list[from] as number | null;
    }
  };

  const resize = (length: number): void => {
    last.length = length;
    steps.length = length;
    for (const column of columns) cut(values[column], length);
  };

  const halve = (): void => {
    const length = last.length;
    for (let from = 0, to = 0; from < length; from += 2, to++) {
      move(to, from);
      if (from + 1 === length) continue;
      last[to] = last[from + 1] as number;
      steps[to] = (steps[to] as number) + (steps[from + 1] as number);
      for (const column of columns) join(values[column], to, from + 1);
    }
    resize(Math.ceil(length / 2));
    size *= 2;
  };

  return {
    get data() {
      return { size, last, steps, values };
    },
    push: (step, given) => {
      if (last.length === 0 || (steps.at(-1) as number) >= size) {
        if (last.length >= capacity) halve();
        last.push(step);
        steps.push(0);
        for (const column of columns) {
          const { count, sum, min, max } = values[column];
          count.push(0);
          for (const list of [sum, min, max]) list.push(null);
        }
      }
      const at = last.length - 1;
      last[at] = step;
      steps[at] = (steps[at] as number) + 1;
      for (const column of columns) {
        const value = given[column];
        if (!Number.isFinite(value)) continue;
        const { count, sum, min, max } = values[column];
        count[at] = (count[at] as number) + 1;
        sum[at] = either(add, sum[at] ?? null, value);
        min[at] = either(Math.min, min[at] ?? null, value);
        max[at] = either(Math.max, max[at] ?? null, value);
      }
    },
    truncate: (step) => {
      let length = last.length;
      while (length > 0 && (last[length - 1] as number) > step) length--;
      resize(length);
    },
  };
};

/** Means of the buckets; null where a bucket has no value. */
export const means = ({ count, sum }: ColumnData): (number | null)[] =>
  sum.map((total, i) => (total === null ? null : total / (count[i] as number)));

/**
 * The exponentially weighted mean of all values up to each bucket, without a pull towards a start: after `window`
 * steps a value weighs 1/e. A window of 0 gives the means themselves.
 */
export const smoothed = ({ steps, values }: SeriesData, column: Column, window: number): (number | null)[] => {
  let weight = 0;
  let total = 0;
  return means(values[column]).map((mean, i) => {
    const keep = window > 0 ? Math.exp(-(steps[i] as number) / window) : 0;
    if (mean === null) return null;
    weight = keep * weight + (1 - keep);
    total = keep * total + (1 - keep) * mean;
    return total / weight;
  });
};
