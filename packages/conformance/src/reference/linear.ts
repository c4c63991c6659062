import { at, broadcastShape, build, type NdArray } from "./ndarray.js";

/** Batch dimensions broadcast. */
export const matmul = (
  a: NdArray,
  b: NdArray,
  { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {},
): NdArray => {
  const size = (x: NdArray, fromEnd: number): number => x.shape[x.shape.length - fromEnd] as number;
  const batch = broadcastShape([a.shape.slice(0, -2), b.shape.slice(0, -2)]);
  /** Where the matrix that meets output matrix `index` starts. */
  const start = (x: NdArray, index: readonly number[]): number => {
    const lead = batch.length - (x.shape.length - 2);
    let matrix = 0;
    for (let axis = 0; axis < x.shape.length - 2; axis++) {
      const n = x.shape[axis] as number;
      matrix = matrix * n + (n === 1 ? 0 : (index[axis + lead] as number));
    }
    return matrix * size(x, 1) * size(x, 2);
  };
  const element = (x: NdArray, from: number, transposed: boolean, row: number, column: number): number =>
    x.data[from + (transposed ? column * size(x, 1) + row : row * size(x, 1) + column)] as number;
  const inner = size(a, transposeA ? 2 : 1);
  return build([...batch, size(a, transposeA ? 1 : 2), size(b, transposeB ? 2 : 1)], (index) => {
    const [fromA, fromB] = [start(a, index), start(b, index)];
    const row = index[batch.length] as number;
    const column = index[batch.length + 1] as number;
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum += element(a, fromA, transposeA, row, k) * element(b, fromB, transposeB, k, column);
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
