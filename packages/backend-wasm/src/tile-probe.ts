import { i32, v128 } from "./assembler/instructions.js";
import { assemble, defineFunction } from "./assembler/module.js";
import { columnsOf, emitTileProduct, type Tile } from "./kernels/tile.js";

export interface TileProbe {
  /** Floating-point operations of a run, two a multiply-add. */
  readonly flop: number;
  /** Computes in the calling thread. Returns an element of the product: 256. */
  run(): number;
}

/** So that both panels (4 and 8 KiB for the tile 4x8) stay in any first-level cache. */
const K = 256;
const PAGE = 2 ** 16;

/**
 * The micro-kernel and nothing around it: its operands in the first-level cache, its tile stored once for every 256
 * multiply-adds, `repeats` times in a run. The engine must have WebAssembly SIMD.
 */
export const createTileProbe = (tile: Tile, repeats: number): TileProbe => {
  const memoryType = { initial: 1, maximum: 1, shared: false };
  const memory = new WebAssembly.Memory(memoryType);
  const columnBytes = columnsOf(tile) * 4;
  const b0 = K * tile.rows * 4;
  const c0 = b0 + K * columnBytes;
  if (c0 + tile.rows * columnBytes > PAGE) throw new RangeError("the operands of the probe do not fit its memory");
  new Float32Array(memory.buffer, 0, c0 / 4).fill(1);
  const kernel = defineFunction({
    name: "main",
    params: ["i32"],
    build: (body, count) =>
      body.for(0, count, 1, () => {
        const a = body.let(i32.const(0));
        const walk = { kind: "stride", bytes: columnBytes } as const;
        const sums = emitTileProduct(body, { tile, rowsPacked: tile.rows, k: K, a, b: i32.const(b0), walk });
        for (const [i, sum] of sums.flat().entries()) body.do(v128.store(i32.const(c0), sum, 16 * i));
      }),
  });
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(assemble({ memory: memoryType, functions: [kernel] })),
    { host: { memory } },
  );
  const main = exports["main"] as (repeats: number) => void;
  const element = new Float32Array(memory.buffer, c0 + tile.rows * columnBytes - 4, 1);
  return {
    flop: 2 * tile.rows * columnsOf(tile) * K * repeats,
    run: () => {
      main(repeats);
      return element[0] as number;
    },
  };
};
