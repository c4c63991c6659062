/** What this engine's 128-bit arithmetic can do at best, to hold results against. */
import { UnsupportedError } from "@striate/core/backend";
import { i32, v128 } from "./assembler/instructions.js";
import { assemble, defineFunction } from "./assembler/module.js";
import { emitTileProduct, TILE } from "./kernels/tile.js";
import { simdIsThere } from "./simd.js";

export interface PeakProbe {
  /** Floating-point operations of a run, two a multiply-add. */
  readonly flop: number;
  /** About a millisecond in the calling thread, once the engine has compiled it for speed. Returns an element of the product: 256. */
  run(): number;
}

/** So that both panels (4 and 8 KiB) stay in any first-level cache. */
const K = 256;
const REPEATS = 2000;
const PAGE = 2 ** 16;

/**
 * The micro-kernel of the matrix product and nothing around it: its operands in the first-level cache, its tile stored
 * once for every 256 multiply-adds. What a clock says of `run` is the ceiling of a kernel of this backend on one thread.
 * @throws UnsupportedError where the engine has no WebAssembly SIMD
 */
export const createPeakProbe = (): PeakProbe => {
  if (!simdIsThere()) throw new UnsupportedError("createPeakProbe", "wasm", "this engine has no WebAssembly SIMD");
  const memoryType = { initial: 1, maximum: 1, shared: false };
  const memory = new WebAssembly.Memory(memoryType);
  const columnBytes = TILE.vectors * 16;
  const b0 = K * TILE.rows * 4;
  const c0 = b0 + K * columnBytes;
  new Float32Array(memory.buffer, 0, c0 / 4).fill(1);
  const kernel = defineFunction({
    name: "main",
    params: ["i32"],
    build: (body, repeats) =>
      body.for(0, repeats, 1, () => {
        const a = body.let(i32.const(0));
        const walk = { kind: "stride", bytes: columnBytes } as const;
        const sums = emitTileProduct(body, { tile: TILE, rowsPacked: TILE.rows, k: K, a, b: i32.const(b0), walk });
        for (const [i, sum] of sums.flat().entries()) body.do(v128.store(i32.const(c0), sum, 16 * i));
      }),
  });
  if (c0 + TILE.rows * columnBytes > PAGE) throw new RangeError("the operands of the probe do not fit its memory");
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(assemble({ memory: memoryType, functions: [kernel] })),
    { host: { memory } },
  );
  const main = exports["main"] as (repeats: number) => void;
  const element = new Float32Array(memory.buffer, c0 + TILE.rows * columnBytes - 4, 1);
  return {
    flop: 2 * TILE.rows * TILE.vectors * 4 * K * REPEATS,
    run: () => {
      main(REPEATS);
      return element[0] as number;
    },
  };
};
