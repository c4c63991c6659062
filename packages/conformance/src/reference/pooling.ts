import { at, build, forEachIndex, type NdArray, ndarray, offsetOf } from "./ndarray.js";
import { argMaxOf } from "./reduce.js";
import { type Axis, type PairLike, pair, source, type WindowOptions, windowAxes } from "./window.js";

export interface PoolOptions extends WindowOptions {
  readonly kernel: PairLike;
  readonly ceilMode?: boolean;
}

const poolAxes = (x: NdArray, options: PoolOptions): readonly [Axis, Axis] =>
  windowAxes(x.shape, options.kernel, { ...options, stride: options.stride ?? options.kernel }, options.ceilMode);

/** Positions y·W + x that window (i, j) sees inside the image, in row-major order. */
const visible = (rows: Axis, columns: Axis, i: number, j: number): number[] => {
  const positions: number[] = [];
  for (let u = 0; u < rows.kernel; u++)
    for (let v = 0; v < columns.kernel; v++) {
      const row = source(rows, i, u);
      const column = source(columns, j, v);
      if (row !== undefined && column !== undefined) positions.push(row * columns.size + column);
    }
  return positions;
};

/** Padding is -Inf; ties and NaN go to the first in row-major order. `indices` are positions in the input plane. */
export const maxPool2d = (x: NdArray, options: PoolOptions): { y: NdArray; indices: NdArray } => {
  const [rows, columns] = poolAxes(x, options);
  const lead = x.shape.slice(0, -2);
  const plane = rows.size * columns.size;
  const indices = build([...lead, rows.count, columns.count], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    const base = offsetOf(lead, index.slice(0, -2)) * plane;
    const positions = visible(rows, columns, i, j);
    return positions[argMaxOf(positions.map((p) => x.data[base + p] as number))] as number;
  });
  const y = build(
    indices.shape,
    (index) => x.data[offsetOf(lead, index.slice(0, -2)) * plane + at(indices, index)] as number,
  );
  return { y, indices };
};

/** gy goes to the position of each window's maximum. */
export const maxPool2dGradient = (x: NdArray, gy: NdArray, options: PoolOptions): NdArray =>
  maxUnpool2d(gy, maxPool2d(x, options).indices, x.shape.slice(-2) as [number, number]);

/** Values at their indices, the rest 0; what shares a position adds up (which only a pool's gradient ever needs). */
export const maxUnpool2d = (x: NdArray, indices: NdArray, outputSize: readonly [number, number]): NdArray => {
  const lead = x.shape.slice(0, -2);
  const y = ndarray([...lead, ...outputSize]);
  forEachIndex(x.shape, (index, position) => {
    const target =
      offsetOf(lead, index.slice(0, -2)) * outputSize[0] * outputSize[1] + (indices.data[position] as number);
    y.data[target] = (y.data[target] as number) + (x.data[position] as number);
  });
  return y;
};

export interface AvgPoolOptions extends PoolOptions {
  readonly countIncludePad?: boolean;
}

/** Window positions inside the padded input: ceil mode's overhang does not count. */
const padded = (axis: Axis, window: number): number => {
  const start = window * axis.stride - axis.before;
  return Math.min(axis.kernel, Math.ceil((axis.size + axis.after - start) / axis.dilation));
};

export const avgPool2d = (x: NdArray, options: AvgPoolOptions): NdArray => {
  const [rows, columns] = poolAxes(x, options);
  const lead = x.shape.slice(0, -2);
  return build([...lead, rows.count, columns.count], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    const base = offsetOf(lead, index.slice(0, -2)) * rows.size * columns.size;
    const positions = visible(rows, columns, i, j);
    const count = (options.countIncludePad ?? true) ? padded(rows, i) * padded(columns, j) : positions.length;
    return positions.reduce((sum, p) => sum + (x.data[base + p] as number), 0) / count;
  });
};

/** Window i of m runs from floor(i·n/m) to ceil((i+1)·n/m). */
const adaptive = (x: NdArray, outputSize: PairLike, f: (values: number[]) => number): NdArray => {
  const [height, width] = x.shape.slice(-2) as [number, number];
  const [rows, columns] = pair(outputSize);
  const range = (i: number, n: number, m: number): [number, number] => [
    Math.floor((i * n) / m),
    Math.ceil(((i + 1) * n) / m),
  ];
  return build([...x.shape.slice(0, -2), rows, columns], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    const [top, bottom] = range(i, height, rows);
    const [left, right] = range(j, width, columns);
    const values: number[] = [];
    for (let row = top; row < bottom; row++)
      for (let column = left; column < right; column++) values.push(at(x, [...index.slice(0, -2), row, column]));
    return f(values);
  });
};

export const adaptiveAvgPool2d = (x: NdArray, outputSize: PairLike): NdArray =>
  adaptive(x, outputSize, (values) => values.reduce((a, b) => a + b, 0) / values.length);

export const adaptiveMaxPool2d = (x: NdArray, outputSize: PairLike): NdArray =>
  adaptive(x, outputSize, (values) => values[argMaxOf(values)] as number);

export interface UpsampleOptions {
  readonly scale: number;
  readonly mode?: "nearest" | "bilinear";
}

/** Bilinear as PyTorch with align_corners false: sample centres, clamped at the first row and column. */
export const upsample2d = (x: NdArray, { scale, mode = "nearest" }: UpsampleOptions): NdArray => {
  const [height, width] = x.shape.slice(-2) as [number, number];
  const taps = (i: number, n: number): readonly (readonly [position: number, weight: number])[] => {
    if (mode === "nearest") return [[Math.floor(i / scale), 1]];
    const centre = Math.max((i + 0.5) / scale - 0.5, 0);
    const low = Math.floor(centre);
    return [
      [low, 1 - (centre - low)],
      [Math.min(low + 1, n - 1), centre - low],
    ];
  };
  return build([...x.shape.slice(0, -2), height * scale, width * scale], (index) => {
    const [i, j] = index.slice(-2) as [number, number];
    let sum = 0;
    for (const [row, a] of taps(i, height))
      for (const [column, b] of taps(j, width)) sum += a * b * at(x, [...index.slice(0, -2), row, column]);
    return sum;
  });
};
