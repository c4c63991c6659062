import { at, broadcastShape, build, type NdArray } from "./ndarray.js";

/** Batch dimensions broadcast. */
export const matmul = (
  a: NdArray,
  b: NdArray,
  { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {},
): NdArray => {
  const size = (x: NdArray, fromEnd: number): number => x.shape[x.shape.length - fromEnd] as number;
  const inner = size(a, transposeA ? 2 : 1);
  const batch = broadcastShape([a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  const indexOf = (x: NdArray, outer: readonly number[], row: number, column: number): number[] => {
    const lead = outer.length - (x.shape.length - 2);
    return [...x.shape.slice(0, -2).map((n, axis) => (n === 1 ? 0 : (outer[axis + lead] as number))), row, column];
  };
  return build([...batch, size(a, transposeA ? 1 : 2), size(b, transposeB ? 2 : 1)], (index) => {
    const outer = index.slice(0, -2);
    const [row, column] = index.slice(-2) as [number, number];
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum +=
        at(a, transposeA ? indexOf(a, outer, k, row) : indexOf(a, outer, row, k)) *
        at(b, transposeB ? indexOf(b, outer, column, k) : indexOf(b, outer, k, column));
    return sum;
  });
};

/** x · wᵀ + bias, w [out, in]. */
export const linear = (x: NdArray, w: NdArray, bias?: NdArray): NdArray => {
  const inner = w.shape[1] as number;
  return build([...x.shape.slice(0, -1), w.shape[0] as number], (index) => {
    const out = index[index.length - 1] as number;
    let sum = bias === undefined ? 0 : (bias.data[out] as number);
    for (let k = 0; k < inner; k++) sum += at(x, [...index.slice(0, -1), k]) * at(w, [out, k]);
    return sum;
  });
};
