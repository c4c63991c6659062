import {
  at,
  build,
  forEachIndex,
  type NdArray,
  ndarray,
  offsetOf,
  resolveAxes,
  resolveAxis,
  withAxis,
} from "./ndarray.js";

export { reshape } from "./ndarray.js";

export const permute = (x: NdArray, perm: readonly number[]): NdArray => {
  const axes = perm.map((axis) => resolveAxis(axis, x.shape.length));
  return build(
    axes.map((axis) => x.shape[axis] as number),
    (index) => {
      const source = new Array<number>(index.length);
      axes.forEach((axis, i) => {
        source[axis] = index[i] as number;
      });
      return at(x, source);
    },
  );
};

export const transpose = (x: NdArray, a: number, b: number): NdArray => {
  const perm = x.shape.map((_, i) => i);
  const [first, second] = [resolveAxis(a, perm.length), resolveAxis(b, perm.length)];
  perm[first] = second;
  perm[second] = first;
  return permute(x, perm);
};

export const expand = (x: NdArray, shape: readonly number[]): NdArray => {
  const lead = shape.length - x.shape.length;
  const target = shape.map((n, i) => (n === -1 ? (x.shape[i - lead] as number) : n));
  return build(target, (index) =>
    at(
      x,
      x.shape.map((n, axis) => (n === 1 ? 0 : (index[axis + lead] as number))),
    ),
  );
};

export interface SliceOptions {
  readonly begin: readonly number[];
  readonly end?: readonly number[];
  readonly step?: readonly number[];
}

/** Python's x[begin:end:step] an axis; axes that `begin` does not reach are whole. */
export const slice = (x: NdArray, { begin, end, step }: SliceOptions): NdArray => {
  const plan = x.shape.map((n, axis) => {
    const by = step?.[axis] ?? 1;
    const [low, high] = by > 0 ? [0, n] : [-1, n - 1];
    const place = (value: number): number => Math.min(Math.max(value < 0 ? value + n : value, low), high);
    const first = begin[axis] === undefined ? (by > 0 ? 0 : n - 1) : place(begin[axis]);
    const last = end?.[axis] === undefined ? (by > 0 ? n : -1) : place(end[axis]);
    return { first, by, count: Math.max(0, Math.ceil((last - first) / by)) };
  });
  return build(
    plan.map(({ count }) => count),
    (index) =>
      at(
        x,
        plan.map(({ first, by }, axis) => first + by * (index[axis] as number)),
      ),
  );
};

export const flip = (x: NdArray, axes: number | readonly number[]): NdArray => {
  const flipped = resolveAxes(axes, x.shape.length);
  return build(x.shape, (index) =>
    at(
      x,
      index.map((i, axis) => (flipped.includes(axis) ? (x.shape[axis] as number) - 1 - i : i)),
    ),
  );
};

export const concat = (xs: readonly NdArray[], axis: number): NdArray => {
  const first = xs[0] as NdArray;
  const along = resolveAxis(axis, first.shape.length);
  const length = xs.reduce((sum, x) => sum + (x.shape[along] as number), 0);
  return build(withAxis(first.shape, along, length), (index) => {
    let position = index[along] as number;
    const x = xs.find((part) => {
      const inside = position < (part.shape[along] as number);
      if (!inside) position -= part.shape[along] as number;
      return inside;
    }) as NdArray;
    return at(x, withAxis(index, along, position));
  });
};

export const stack = (xs: readonly NdArray[], axis: number): NdArray => {
  const shape = (xs[0] as NdArray).shape;
  const along = axis < 0 ? axis + shape.length + 1 : axis;
  return build([...shape.slice(0, along), xs.length, ...shape.slice(along)], (index) =>
    at(xs[index[along] as number] as NdArray, [...index.slice(0, along), ...index.slice(along + 1)]),
  );
};

export interface PadOptions {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value?: number;
}

export const pad = (x: NdArray, { before, after, value = 0 }: PadOptions): NdArray =>
  build(
    x.shape.map((n, axis) => n + (before[axis] as number) + (after[axis] as number)),
    (index) => {
      const source = index.map((i, axis) => i - (before[axis] as number));
      return source.every((i, axis) => i >= 0 && i < (x.shape[axis] as number)) ? at(x, source) : value;
    },
  );

export type PadMode = "constant" | "reflect" | "replicate";

const reflected = (i: number, n: number): number => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i);

export const pad2d = (
  x: NdArray,
  [top, bottom, left, right]: readonly number[] & { readonly length: 4 },
  { mode = "constant", value = 0 }: { readonly mode?: PadMode; readonly value?: number } = {},
): NdArray => {
  const rank = x.shape.length;
  const [height, width] = x.shape.slice(-2) as [number, number];
  const sourceOf = (i: number, n: number): number =>
    mode === "reflect" ? reflected(i, n) : mode === "replicate" ? Math.min(Math.max(i, 0), n - 1) : i;
  const padded = [height + (top as number) + (bottom as number), width + (left as number) + (right as number)];
  return build([...x.shape.slice(0, -2), ...padded], (index) => {
    const row = sourceOf((index[rank - 2] as number) - (top as number), height);
    const column = sourceOf((index[rank - 1] as number) - (left as number), width);
    const inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? at(x, [...index.slice(0, -2), row, column]) : value;
  });
};

export const gather = (x: NdArray, axis: number, index: NdArray): NdArray => {
  const along = resolveAxis(axis, x.shape.length);
  return build(index.shape, (i) => at(x, withAxis(i, along, at(index, i))));
};

/** A row or a column of -1 shows what the byte 0 becomes. */
export const remapLookUp = (x: NdArray, rows: NdArray, columns: NdArray, table: NdArray): NdArray => {
  const [images, channels] = x.shape as [number, number];
  return build([images, channels, rows.shape[1] as number, columns.shape[1] as number], (index) => {
    const [n, c, i, j] = index as [number, number, number, number];
    const [row, column] = [at(rows, [n, i]), at(columns, [n, j])];
    const byte = row < 0 || column < 0 ? 0 : at(x, [n, c, row, column]);
    return at(table, [table.shape[0] === 1 ? 0 : n, c, byte]);
  });
};

export const scatterAdd = (x: NdArray, axis: number, index: NdArray, source: NdArray): NdArray => {
  const along = resolveAxis(axis, x.shape.length);
  const result = ndarray(x.shape, x.data);
  forEachIndex(index.shape, (i) => {
    const target = offsetOf(x.shape, withAxis(i, along, at(index, i)));
    result.data[target] = (result.data[target] as number) + at(source, i);
  });
  return result;
};

export const indexSelect = (x: NdArray, axis: number, index: NdArray): NdArray => {
  const along = resolveAxis(axis, x.shape.length);
  return build(withAxis(x.shape, along, index.data.length), (i) =>
    at(x, withAxis(i, along, index.data[i[along] as number] as number)),
  );
};

export const oneHot = (labels: NdArray, classes: number): NdArray =>
  build([...labels.shape, classes], (index) => (at(labels, index.slice(0, -1)) === index[index.length - 1] ? 1 : 0));
