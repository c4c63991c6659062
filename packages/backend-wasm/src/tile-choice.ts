/**
 * Which tile is the fastest here. Engines and processors differ in registers and in how they use them; the results are the
 * same for every tile, so that a measurement, which never comes out quite the same, decides on nothing but time.
 */
import { DEFAULT_TILE, isTileName, type TileName, tiles } from "./kernels/tile.js";
import { engineName } from "./platform.js";
import { createTileProbe, type TileProbe } from "./tile-probe.js";

/**
 * Where the measured tile is kept from one start to the next: a page's `localStorage`, for instance. What it throws, as
 * storage that is full or forbidden does, costs a new measurement at the next start and nothing else.
 */
export interface TileCache {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** Floating-point operations a millisecond, as measured in each round. */
export type TileSpeeds = Readonly<Record<TileName, readonly number[]>>;

const names = Object.keys(tiles) as TileName[];

const perTile = <T>(of: (name: TileName) => T): Record<TileName, T> =>
  Object.fromEntries(names.map((name) => [name, of(name)])) as Record<TileName, T>;

/** What another tile than the default must gain: less may be chance, or lost again around the micro-kernel. */
const WORTHWHILE = 1.03;

/** By the best round of each: whatever disturbs a round makes it slower, and so does code not yet compiled for speed. */
export const fastestTile = (speeds: TileSpeeds): TileName => {
  const best = perTile((name) => Math.max(0, ...speeds[name]));
  const fastest = names.reduce((a, b) => (best[b] > best[a] ? b : a), DEFAULT_TILE);
  const comparable = best[DEFAULT_TILE] > 0;
  return comparable && best[fastest] >= WORTHWHILE * best[DEFAULT_TILE] ? fastest : DEFAULT_TILE;
};

/** Milliseconds: of all rounds, and of a tile's turn in one. */
const BUDGET = 200;
const TURN = 6;
/** A run of some 0.2 ms, short against the ticks of any clock that a turn can be measured with. */
const REPEATS = 500;
/** Of a turn: for clocks that stand still. */
const MAX_RUNS = 200;

/**
 * From one tick of the clock on: browsers may have it tick once a millisecond. Nothing, if the turn came out twice as long:
 * it was disturbed then, or the ticks are too coarse.
 */
const speedOf = ({ flop, run }: TileProbe, now: () => number): number[] => {
  const before = now();
  let start = before;
  for (let spin = 0; start === before && spin < 1e5; spin++) start = now();
  let elapsed = 0;
  let runs = 0;
  for (; elapsed < TURN && runs < MAX_RUNS; runs++) {
    run();
    elapsed = now() - start;
  }
  return elapsed > 0 && elapsed < 2 * TURN ? [(flop * runs) / elapsed] : [];
};

/** Some 200 ms; the tiles take turns, so that what slows a machine down for a while slows all. `now` is in milliseconds. */
export const measureTiles = (
  now: () => number,
  probeOf: (name: TileName) => TileProbe = (name) => createTileProbe(tiles[name], REPEATS),
): TileSpeeds => {
  const probes = perTile(probeOf);
  const speeds = perTile((): number[] => []);
  const start = now();
  let elapsed: number;
  do {
    for (const name of names) speeds[name].push(...speedOf(probes[name], now));
    elapsed = now() - start;
  } while (elapsed > 0 && elapsed < BUDGET);
  return speeds;
};

/** To be raised whenever tiles or micro-kernel change. */
const GENERATION = 1;

const quietly = <T>(access: () => T): T | undefined => {
  try {
    return access();
  } catch {
    return undefined;
  }
};

/** What the cache says for this engine, version and processor; else what `measure` says, which the cache is told. */
export const chooseTile = (
  cache: TileCache | undefined,
  measure: () => TileSpeeds = () => measureTiles(() => performance.now()),
): TileName => {
  const key = `striate-wasm tile ${GENERATION} ${engineName()}`;
  const known = quietly(() => cache?.getItem(key));
  if (isTileName(known)) return known;
  const tile = fastestTile(measure());
  quietly(() => cache?.setItem(key, tile));
  return tile;
};
