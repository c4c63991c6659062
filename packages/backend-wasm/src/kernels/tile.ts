/**
 * The micro-kernel of every matrix product and convolution: a tile of C stays in registers while it walks along k.
 *
 *   C[i, j] = Σk A[k, i] · B[k, j],  i < rows, j < 4 · vectors
 *
 * A is packed so that the `rows` values of each k are neighbours. B's vectors for one k are neighbours too; where the next
 * k lies is the caller's business: at a fixed distance (a packed panel), or at offsets read from a table (an image: the
 * taps of a convolution window in every channel, without any im2col buffer).
 *
 * Each element of C is summed over k in ascending order whatever the tile's size, so the size never changes a result; what
 * splits a sum (blocks of k) must not depend on it either.
 */
import { f32x4, type I32, type I32Like, i32, type V128, v128 } from "../assembler/instructions.js";
import type { FunctionBody, Local } from "../assembler/module.js";

/** Rows of A, and vectors of four columns of B. */
export interface Tile {
  readonly rows: number;
  readonly vectors: number;
}

/** What a panel of B is wide. */
export const columnsOf = ({ vectors }: Tile): number => 4 * vectors;

/**
 * The tiles that a backend may compute with, by rows x columns. All have four rows: a panel of A is a vector of outputs to
 * Winograd's transforms, and a wider tile saves more loads than a higher one, since every element of A is loaded by itself.
 */
export const tiles = {
  /** Eight accumulators, two vectors of B and one of A: 11 of the 16 registers of x64. */
  "4x8": { rows: 4, vectors: 2 },
  /** 16 registers: all that x64 has. */
  "4x12": { rows: 4, vectors: 3 },
  /** 21 registers, of the 32 of ARM. */
  "4x16": { rows: 4, vectors: 4 },
} as const satisfies Readonly<Record<string, Tile>>;

export type TileName = keyof typeof tiles;

/** What a backend computes with unless it is told otherwise. */
export const DEFAULT_TILE: TileName = "4x8";

export const isTileName = (name: unknown): name is TileName => typeof name === "string" && Object.hasOwn(tiles, name);

/** Where there is one vector only, its accumulators would wait for each other: twice the rows. */
export const NARROW_ROWS = 8;

/** What a convolution does to its sums besides storing them. */
export interface Epilogue {
  /** They begin with the output channel's bias. */
  readonly bias: boolean;
  /** They go through a ReLU. */
  readonly relu: boolean;
}

/** Where B's vectors for k = 0, 1, 2 … are. */
export type Walk =
  /** `bytes` apart. */
  | { readonly kind: "stride"; readonly bytes: number }
  /** At `base` plus the k-th int32 of the table at this address. */
  | { readonly kind: "table"; readonly address: I32 };

export interface TileProduct {
  readonly tile: Tile;
  /** Elements of A for one k. More rows than that are in the panels that follow, which needs a constant k. */
  readonly rowsPacked: number;
  readonly k: I32Like;
  /** Address of A's first element. Left at the address behind the first panel. */
  readonly a: Local<"i32">;
  /** Address of B's first vector. */
  readonly b: I32;
  readonly walk: Walk;
  /** What row i starts with; zero if absent. */
  readonly initial?: (row: number) => V128;
}

/** Emits the product and returns the tile, row by row: `result[row][vector]`. */
export const emitTileProduct = (body: FunctionBody, product: TileProduct): Local<"v128">[][] => {
  const { tile, rowsPacked, k, a, walk, initial } = product;
  const rows = Array.from({ length: tile.rows }, (_, i) => i);
  const columns = Array.from({ length: tile.vectors }, (_, j) => j);
  const sums = rows.map((row) => {
    const start = initial?.(row) ?? f32x4.const(0);
    const first = body.let(start);
    return columns.map((j) => (j === 0 ? first : body.let(first)));
  });
  const panelBytes = typeof k === "number" ? k * rowsPacked * 4 : undefined;
  const offsetOf = (row: number): number => {
    if (row < rowsPacked) return 4 * row;
    if (panelBytes === undefined) throw new RangeError("a tile over several panels needs a constant k");
    return Math.floor(row / rowsPacked) * panelBytes + 4 * (row % rowsPacked);
  };
  const end = body.let(i32.add(a, panelBytes ?? i32.mul(k, rowsPacked * 4)));
  const position = body.let(walk.kind === "table" ? walk.address : product.b);
  const base = walk.kind === "table" ? body.let(product.b) : undefined;
  body.forever((leave) => {
    const address = base ? body.let(i32.add(base, i32.load(position))) : position;
    const vectors = columns.map((j) => body.let(v128.load(address, 16 * j)));
    for (const row of rows) {
      const splat = body.let(v128.load32Splat(a, offsetOf(row)));
      for (const j of columns) {
        const sum = (sums[row] as Local<"v128">[])[j] as Local<"v128">;
        body.set(sum, f32x4.add(sum, f32x4.mul(splat, vectors[j] as V128)));
      }
    }
    body.increment(a, rowsPacked * 4);
    body.increment(position, walk.kind === "table" ? 4 : walk.bytes);
    leave(i32.geU(a, end));
  });
  return sums;
};

/**
 * Stores the first `count` (1 to 4) lanes of a vector at address + offset, each `step` elements from the last. The count is
 * known when the code is written; `storeLanes` of loops.ts takes one that is computed.
 */
export const storeFixedLanes = (
  body: FunctionBody,
  address: I32Like,
  vector: V128,
  count: number,
  { offset = 0, step = 1 }: { readonly offset?: number; readonly step?: number } = {},
): void => {
  if (step === 1 && count === 4) {
    body.do(v128.store(address, vector, offset));
    return;
  }
  // What is stored in several parts is computed once.
  const lanes = body.let(vector);
  if (step === 1 && count >= 2) {
    body.do(v128.store64Lane(address, lanes, 0, offset));
    if (count === 3) body.do(v128.store32Lane(address, lanes, 2, offset + 8));
  } else for (let l = 0; l < count; l++) body.do(v128.store32Lane(address, lanes, l, offset + 4 * step * l));
};
