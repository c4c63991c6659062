import type { Elements } from "../storage.js";

/**
 * A matrix by address: its entry (i, j) is elements[base + rows[i] + columns[j]]. Batch entries, transposes and the
 * columns of a convolution are such matrices of an array as it lies in memory; nothing is rearranged beforehand.
 */
export interface Matrix {
  readonly elements: Elements;
  readonly base: number;
  readonly rows: Int32Array;
  readonly columns: Int32Array;
}

/** A number for each row of a product: elements[base + i]. */
export interface RowBias {
  readonly elements: Elements;
  readonly base: number;
}

export interface Gemm {
  /** sums += a · b in double precision, in an array from `createSums`. */
  accumulate(sums: Float64Array, a: Matrix, b: Matrix): void;
  /** c = a · b + bias */
  multiply(c: Matrix, a: Matrix, b: Matrix, bias?: RowBias): void;
  /** c += a · b, where several entries of c may have one place. */
  multiplyAdd(c: Matrix, a: Matrix, b: Matrix): void;
}

// The product is computed in tiles of 2 x 4: eight sums, which V8 keeps in registers (on one core 5.0 GFLOP/s; tiles of
// 4 x 4 reach 5.4 and of 1 x 4 3.2). Factors are first packed into panels of four lanes (rows of a, columns of b), depth
// by depth and as doubles, so that the inner loop neither converts nor jumps.
const TILE_ROWS = 2;
const PANEL = 4;
// A block of packed panels is 512 KiB: half of a common second-level cache. One panel, 8 KiB, stays in the first level.
const BLOCK_LANES = 256;
const BLOCK_DEPTH = 256;

const roundUp = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** Room for the sums of a product, row-major; rows and columns are padded to whole tiles, whose excess means nothing. */
const sumsLength = (rows: number, columns: number): number => roundUp(rows, TILE_ROWS) * roundUp(columns, PANEL);

export const createSums = (rows: number, columns: number): Float64Array => new Float64Array(sumsLength(rows, columns));

/** 0, step, 2·step … */
export const steps = (count: number, step: number): Int32Array => {
  const result = new Int32Array(count);
  for (let i = 0; i < count; i++) result[i] = i * step;
  return result;
};

/** The sums of one number from each list, in row-major order: addresses of a strided array from its axes' steps. */
export const outerSum = (...lists: readonly Int32Array[]): Int32Array =>
  lists.reduce((outer, inner) => {
    const result = new Int32Array(outer.length * inner.length);
    let r = 0;
    for (let i = 0; i < outer.length; i++)
      for (let j = 0; j < inner.length; j++) result[r++] = (outer[i] as number) + (inner[j] as number);
    return result;
  }, new Int32Array(1));

export const transpose = ({ elements, base, rows, columns }: Matrix): Matrix => ({
  elements,
  base,
  rows: columns,
  columns: rows,
});

/** Packs all `lanes`, at some `depths`. The last panel's missing lanes repeat its first one. */
const pack = (
  elements: Elements,
  base: number,
  lanes: Int32Array,
  laneFrom: number,
  laneTo: number,
  depths: Int32Array,
  depthFrom: number,
  depthTo: number,
  packed: Float64Array,
): void => {
  let p = 0;
  for (let lane = laneFrom; lane < laneTo; lane += PANEL) {
    const left = laneTo - lane;
    const i0 = base + (lanes[lane] as number);
    const i1 = left > 1 ? base + (lanes[lane + 1] as number) : i0;
    const i2 = left > 2 ? base + (lanes[lane + 2] as number) : i0;
    const i3 = left > 3 ? base + (lanes[lane + 3] as number) : i0;
    for (let d = depthFrom; d < depthTo; d++) {
      const depth = depths[d] as number;
      packed[p] = elements[i0 + depth] as number;
      packed[p + 1] = elements[i1 + depth] as number;
      packed[p + 2] = elements[i2 + depth] as number;
      packed[p + 3] = elements[i3 + depth] as number;
      p += PANEL;
    }
  }
};

/** Adds one tile's product: two lanes from the panel of a that holds `ai`, all four of b's panel at `bi`. */
const multiplyTile = (
  a: Float64Array,
  ai: number,
  b: Float64Array,
  bi: number,
  depth: number,
  sums: Float64Array,
  si: number,
  rowStep: number,
): void => {
  let s00 = 0;
  let s01 = 0;
  let s02 = 0;
  let s03 = 0;
  let s10 = 0;
  let s11 = 0;
  let s12 = 0;
  let s13 = 0;
  for (let d = 0; d < depth; d++) {
    const a0 = a[ai] as number;
    const a1 = a[ai + 1] as number;
    const b0 = b[bi] as number;
    const b1 = b[bi + 1] as number;
    const b2 = b[bi + 2] as number;
    const b3 = b[bi + 3] as number;
    s00 += a0 * b0;
    s01 += a0 * b1;
    s02 += a0 * b2;
    s03 += a0 * b3;
    s10 += a1 * b0;
    s11 += a1 * b1;
    s12 += a1 * b2;
    s13 += a1 * b3;
    ai += PANEL;
    bi += PANEL;
  }
  sums[si] = (sums[si] as number) + s00;
  sums[si + 1] = (sums[si + 1] as number) + s01;
  sums[si + 2] = (sums[si + 2] as number) + s02;
  sums[si + 3] = (sums[si + 3] as number) + s03;
  si += rowStep;
  sums[si] = (sums[si] as number) + s10;
  sums[si + 1] = (sums[si + 1] as number) + s11;
  sums[si + 2] = (sums[si + 2] as number) + s12;
  sums[si + 3] = (sums[si + 3] as number) + s13;
};

/** Rounds sums into their places. */
export const store = (sums: Float64Array, { elements, base, rows, columns }: Matrix, bias?: RowBias): void => {
  const rowStep = roundUp(columns.length, PANEL);
  for (let i = 0; i < rows.length; i++) {
    const row = base + (rows[i] as number);
    const b = bias ? (bias.elements[bias.base + i] as number) : 0;
    for (let j = 0; j < columns.length; j++)
      elements[row + (columns[j] as number)] = (sums[i * rowStep + j] as number) + b;
  }
};

/** Adds sums to what their places hold. */
const add = (sums: Float64Array, { elements, base, rows, columns }: Matrix): void => {
  const rowStep = roundUp(columns.length, PANEL);
  for (let i = 0; i < rows.length; i++) {
    const row = base + (rows[i] as number);
    for (let j = 0; j < columns.length; j++) {
      const at = row + (columns[j] as number);
      elements[at] = (elements[at] as number) + (sums[i * rowStep + j] as number);
    }
  }
};

/** The core of `matmul` and the convolutions. Its scratch memory, 1.5 MiB, is allocated at the first use. */
export const createGemm = (): Gemm => {
  let scratch: { readonly a: Float64Array; readonly b: Float64Array; readonly sums: Float64Array } | undefined;
  const ensureScratch = () => {
    scratch ??= {
      a: new Float64Array(BLOCK_LANES * BLOCK_DEPTH),
      b: new Float64Array(BLOCK_LANES * BLOCK_DEPTH),
      sums: createSums(BLOCK_LANES, BLOCK_LANES),
    };
    return scratch;
  };

  const accumulate = (sums: Float64Array, a: Matrix, b: Matrix): void => {
    const packed = ensureScratch();
    const rowStep = roundUp(b.columns.length, PANEL);
    for (let j0 = 0; j0 < b.columns.length; j0 += BLOCK_LANES) {
      const j1 = Math.min(j0 + BLOCK_LANES, b.columns.length);
      for (let d0 = 0; d0 < b.rows.length; d0 += BLOCK_DEPTH) {
        const d1 = Math.min(d0 + BLOCK_DEPTH, b.rows.length);
        const depth = d1 - d0;
        pack(b.elements, b.base, b.columns, j0, j1, b.rows, d0, d1, packed.b);
        for (let i0 = 0; i0 < a.rows.length; i0 += BLOCK_LANES) {
          const i1 = Math.min(i0 + BLOCK_LANES, a.rows.length);
          pack(a.elements, a.base, a.rows, i0, i1, a.columns, d0, d1, packed.a);
          for (let j = j0; j < j1; j += PANEL) {
            for (let i = i0; i < i1; i += TILE_ROWS) {
              const half = (i - i0) % PANEL;
              const ai = (i - i0 - half) * depth + half;
              multiplyTile(packed.a, ai, packed.b, (j - j0) * depth, depth, sums, i * rowStep + j, rowStep);
            }
          }
        }
      }
    }
  };

  /** The product by blocks, each handed to `finish` with its place in c and its first row. */
  const multiplyBlocks = (
    c: Matrix,
    a: Matrix,
    b: Matrix,
    finish: (sums: Float64Array, block: Matrix, row: number) => void,
  ): void => {
    const { sums } = ensureScratch();
    for (let i = 0; i < c.rows.length; i += BLOCK_LANES) {
      const rows = c.rows.subarray(i, i + BLOCK_LANES);
      const aBlock = { ...a, rows: a.rows.subarray(i, i + BLOCK_LANES) };
      for (let j = 0; j < c.columns.length; j += BLOCK_LANES) {
        const columns = c.columns.subarray(j, j + BLOCK_LANES);
        sums.fill(0, 0, sumsLength(rows.length, columns.length));
        accumulate(sums, aBlock, { ...b, columns: b.columns.subarray(j, j + BLOCK_LANES) });
        finish(sums, { ...c, rows, columns }, i);
      }
    }
  };

  return {
    accumulate,
    multiply: (c, a, b, bias) =>
      multiplyBlocks(c, a, b, (sums, block, row) =>
        store(sums, block, bias && { elements: bias.elements, base: bias.base + row }),
      ),
    multiplyAdd: (c, a, b) => multiplyBlocks(c, a, b, add),
  };
};
