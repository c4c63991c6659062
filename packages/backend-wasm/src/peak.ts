/** What this engine's 128-bit arithmetic can do at best, to hold results against. */
import { UnsupportedError } from "@striate/core/backend";
import { DEFAULT_TILE, tiles } from "./kernels/tile.js";
import { simdIsThere } from "./simd.js";
import { createTileProbe, type TileProbe } from "./tile-probe.js";

/** A run takes about a millisecond, once the engine has compiled it for speed. */
export type PeakProbe = TileProbe;

const REPEATS = 2000;

/**
 * The micro-kernel of the matrix product and nothing around it, with the tile that backends have by default. What a clock
 * says of `run` is the ceiling of a kernel of this backend on one thread.
 * @throws UnsupportedError where the engine has no WebAssembly SIMD
 */
export const createPeakProbe = (): PeakProbe => {
  if (!simdIsThere()) throw new UnsupportedError("createPeakProbe", "wasm", "this engine has no WebAssembly SIMD");
  return createTileProbe(tiles[DEFAULT_TILE], REPEATS);
};
