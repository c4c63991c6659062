import type { Shape } from "@striate/core/backend";
import { f32x4, type I32Like, i32, select, v128 } from "../assembler/instructions.js";
import { defineFunction, type FunctionDefinition } from "../assembler/module.js";
import { roundUp } from "../loops.js";
import type { Runtime } from "../runtime.js";
import type { WasmKernels } from "../storage.js";
import { type PackSource, pack, packedElements } from "./pack.js";
import { columnsOf, emitTileProduct, storeFixedLanes, type Tile } from "./tile.js";

/**
 * Of k, so that a panel of B (16 KiB for eight columns) stays in the first-level cache while A's panels pass by. The same for
 * every tile: a block's sum is rounded before the next one is added.
 */
const BLOCK_K = 512;
/** Of rows, so that A's block stays in the second-level cache. */
const BLOCK_M = 128;
const BLOCK_N = 128;

interface Extents {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/**
 * The program (task, scratch, a, b, c): task t computes block t of C, its blocks in row-major order, matrix after matrix.
 * A and B are packed; `aStep` and `bStep` are elements between their matrices, 0 where one serves all.
 */
const matmulProgram = (
  tile: Tile,
  { m, n, k }: Extents,
  blocksM: number,
  blocksN: number,
  rows: number,
  columns: number,
  aStep: number,
  bStep: number,
): FunctionDefinition => {
  const panelColumns = columnsOf(tile);
  return defineFunction({
    name: "matmul",
    params: ["i32", "i32", "i32", "i32", "i32"],
    build: (body, task, _scratch, a0, b0, c0) => {
      const blockN = body.let(i32.remU(task, blocksN));
      const quotient = body.let(i32.divU(task, blocksN));
      const blockM = body.let(i32.remU(quotient, blocksM));
      const matrix = body.let(i32.divU(quotient, blocksM));
      const a = body.let(i32.add(a0, i32.mul(matrix, aStep * 4)));
      const b = body.let(i32.add(b0, i32.mul(matrix, bStep * 4)));
      const c = body.let(i32.add(c0, i32.mul(matrix, m * n * 4)));
      const firstRow = body.let(i32.mul(blockM, rows));
      const firstColumn = body.let(i32.mul(blockN, columns));
      const endRow = body.let(i32.add(firstRow, rows));
      body.if(i32.gtU(endRow, m), () => body.set(endRow, i32.const(m)));
      const endColumn = body.let(i32.add(firstColumn, columns));
      body.if(i32.gtU(endColumn, n), () => body.set(endColumn, i32.const(n)));

      const products = (first: boolean, kStart: I32Like, kCount: I32Like): void => {
        const column = body.let(firstColumn);
        body.forever((leaveColumns) => {
          // Panels begin at multiples of their width, so their place follows from the index.
          const bPanel = body.let(i32.add(i32.add(b, i32.mul(column, k * 4)), i32.mul(kStart, panelColumns * 4)));
          const row = body.let(firstRow);
          const aPanel = body.local("i32");
          const out = body.let(i32.add(c, i32.mul(i32.add(i32.mul(row, n), column), 4)));
          const tileOf = (validRows: number, validColumns: number): void => {
            body.set(aPanel, i32.add(i32.add(a, i32.mul(row, k * 4)), i32.mul(kStart, tile.rows * 4)));
            const sums = emitTileProduct(body, {
              tile: { rows: validRows, vectors: Math.ceil(validColumns / 4) },
              rowsPacked: tile.rows,
              k: kCount,
              a: aPanel,
              b: bPanel,
              walk: { kind: "stride", bytes: panelColumns * 4 },
            });
            sums.forEach((vectors, i) => {
              const place = body.let(i === 0 ? out : i32.add(out, i * n * 4));
              vectors.forEach((sum, j) => {
                const count = Math.min(4, validColumns - 4 * j);
                const value = first ? sum : f32x4.add(v128.load(place, 16 * j), sum);
                storeFixedLanes(body, place, value, count, { offset: 16 * j });
              });
            });
          };
          const rowsOf = (validColumns: number): void => {
            if (m >= tile.rows)
              body.forever((leave) => {
                leave(i32.gtU(i32.add(row, tile.rows), endRow));
                tileOf(tile.rows, validColumns);
                body.increment(row, tile.rows);
                body.increment(out, tile.rows * n * 4);
              });
            if (m % tile.rows > 0) body.if(i32.ltU(row, endRow), () => tileOf(m % tile.rows, validColumns));
          };
          const rest = n % panelColumns;
          if (rest === 0) rowsOf(panelColumns);
          else if (n < panelColumns) rowsOf(rest);
          else
            body.if(
              i32.gtU(i32.add(column, panelColumns), n),
              () => rowsOf(rest),
              () => rowsOf(panelColumns),
            );
          body.increment(column, panelColumns);
          leaveColumns(i32.geU(column, endColumn));
        });
      };
      products(true, 0, Math.min(k, BLOCK_K));
      if (k > BLOCK_K)
        body.for(
          BLOCK_K,
          k,
          BLOCK_K,
          (kStart) => {
            const left = body.let(i32.sub(k, kStart));
            products(false, kStart, select(i32.ltU(left, BLOCK_K), left, i32.const(BLOCK_K)));
          },
          { atLeastOnce: true },
        );
    },
  });
};

/** Matrices of a product: extents, and the batch. */
interface Product extends Extents {
  readonly batch: number;
  readonly a: { readonly source: PackSource; readonly matrices: number };
  readonly b: { readonly source: PackSource; readonly matrices: number };
}

/** Rows and columns that one task computes: some 2 million multiply-adds, but whole matrices where they are small. */
const blockOf = (tile: Tile, { m, n, k }: Extents): { rows: number; columns: number } => {
  const panelColumns = columnsOf(tile);
  let rows = roundUp(Math.min(m, BLOCK_M), tile.rows);
  let columns = roundUp(Math.min(n, BLOCK_N), panelColumns);
  while (rows * columns * k > 2 ** 22 && columns > 4 * panelColumns) columns = roundUp(columns / 2, panelColumns);
  while (rows * columns * k > 2 ** 22 && rows > 8 * tile.rows) rows = roundUp(rows / 2, tile.rows);
  return { rows, columns };
};

const describe = (a: Shape, b: Shape, y: Shape, transposeA: boolean, transposeB: boolean): Product => {
  const [batch, m, n] = y as [number, number, number];
  const k = a[transposeA ? 1 : 2] as number;
  const side = (indices: number, kIsInner: boolean): PackSource => ({
    indices,
    iStep: kIsInner ? k : 1,
    extents: [k],
    steps: [kIsInner ? 1 : indices],
    offset: 0,
  });
  return {
    batch,
    m,
    n,
    k,
    a: { source: side(m, !transposeA), matrices: a[0] as number },
    b: { source: side(n, transposeB), matrices: b[0] as number },
  };
};

export const matmulKernels = (runtime: Runtime): Pick<WasmKernels, "matmul"> => ({
  matmul: ({ inputs: [a, b], outputs: [y], attrs: { transposeA, transposeB } }) => {
    const { tile } = runtime;
    const panelColumns = columnsOf(tile);
    const product = describe(a.shape, b.shape, y.shape, transposeA, transposeB);
    const { batch, m, n, k } = product;
    const { rows, columns } = blockOf(tile, product);
    const blocksM = Math.ceil(m / rows);
    const blocksN = Math.ceil(n / columns);
    const aElements = packedElements(product.a.source, tile.rows);
    const bElements = packedElements(product.b.source, panelColumns);
    const key = `${batch},${m},${n},${k},${product.a.matrices},${product.b.matrices},${transposeA},${transposeB}`;
    runtime.withTemporary((product.a.matrices * aElements + product.b.matrices * bElements) * 4, (packedA) => {
      const packedB = packedA + product.a.matrices * aElements * 4;
      pack(runtime, `a ${key}`, product.a.source, tile.rows, product.a.matrices, m * k, {
        source: a.storage.address,
        destination: packedA,
      });
      pack(runtime, `b ${key}`, product.b.source, panelColumns, product.b.matrices, n * k, {
        source: b.storage.address,
        destination: packedB,
      });
      runtime.run(
        `matmul ${key}`,
        () =>
          matmulProgram(
            tile,
            product,
            blocksM,
            blocksN,
            rows,
            columns,
            product.a.matrices === 1 ? 0 : aElements,
            product.b.matrices === 1 ? 0 : bElements,
          ),
        batch * blocksM * blocksN,
        [packedA, packedB, y.storage.address],
      );
    });
  },
});
