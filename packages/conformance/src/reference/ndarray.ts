/**
 * The float64 reference: plain arrays and plain loops, written to be checked by eye and sharing nothing with core's
 * ops or any backend. Never fast, on purpose.
 */

type Shape = readonly number[];

/** Row-major and contiguous. */
export interface NdArray {
  readonly shape: Shape;
  readonly data: Float64Array;
}

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

/** Copies `data`; zeros without. */
export const ndarray = (shape: Shape, data?: ArrayLike<number>): NdArray => ({
  shape: [...shape],
  data: data === undefined ? new Float64Array(sizeOf(shape)) : Float64Array.from(data),
});

export const scalar = (value: number): NdArray => ndarray([], [value]);

export const offsetOf = (shape: Shape, index: Shape): number => {
  let offset = 0;
  for (let axis = 0; axis < shape.length; axis++) offset = offset * (shape[axis] as number) + (index[axis] as number);
  return offset;
};

export const at = (x: NdArray, index: Shape): number => x.data[offsetOf(x.shape, index)] as number;

/** Calls `visit` with every index of `shape` in row-major order. The index array is reused: copy it to keep it. */
export const forEachIndex = (shape: Shape, visit: (index: number[], position: number) => void): void => {
  const index = new Array<number>(shape.length).fill(0);
  const size = sizeOf(shape);
  for (let position = 0; position < size; position++) {
    visit(index, position);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      index[axis] = 0;
    }
  }
};

/** The array whose element at `index` is `value(index)`. */
export const build = (shape: Shape, value: (index: number[]) => number): NdArray => {
  const result = ndarray(shape);
  forEachIndex(shape, (index, position) => {
    result.data[position] = value(index);
  });
  return result;
};

export const map = (x: NdArray, f: (value: number) => number): NdArray => {
  const result = ndarray(x.shape);
  for (let i = 0; i < x.data.length; i++) result.data[i] = f(x.data[i] as number);
  return result;
};

/** NumPy's broadcasting. */
export const broadcastShape = (shapes: readonly Shape[]): number[] => {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return sizes.find((n) => n !== 1) ?? 1;
  });
};

/** Elementwise over broadcast operands. */
export const zip = (operands: readonly NdArray[], f: (...values: number[]) => number): NdArray => {
  const shape = broadcastShape(operands.map((x) => x.shape));
  if (operands.every((x) => x.data.length === sizeOf(shape))) {
    const result = ndarray(shape);
    for (let i = 0; i < result.data.length; i++) result.data[i] = f(...operands.map((x) => x.data[i] as number));
    return result;
  }
  const lookups = operands.map((x) => {
    const lead = shape.length - x.shape.length;
    const own = new Array<number>(x.shape.length);
    return (index: number[]): number => {
      for (let axis = 0; axis < own.length; axis++)
        own[axis] = x.shape[axis] === 1 ? 0 : (index[axis + lead] as number);
      return at(x, own);
    };
  });
  return build(shape, (index) => f(...lookups.map((lookup) => lookup(index))));
};

export const reshape = (x: NdArray, shape: Shape): NdArray => ({ shape: [...shape], data: x.data });

export const absolute = (x: NdArray): NdArray => map(x, Math.abs);

export const largest = (x: NdArray): number => x.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Axes counted from the front, sorted; undefined means all. */
export const resolveAxes = (axes: number | readonly number[] | undefined, rank: number): number[] =>
  (axes === undefined
    ? Array.from({ length: rank }, (_, i) => i)
    : [axes].flat().map((a) => (a < 0 ? a + rank : a))
  ).sort((a, b) => a - b);

export const resolveAxis = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** `index` with `value` in place of what stands at `axis`. */
export const withAxis = (index: Shape, axis: number, value: number): number[] =>
  index.map((n, i) => (i === axis ? value : n));
