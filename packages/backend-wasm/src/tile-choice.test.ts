import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { TileName } from "./kernels/tile.js";
import { chooseTile, fastestTile, measureTiles, type TileCache, type TileSpeeds } from "./tile-choice.js";

afterEach(() => vi.unstubAllGlobals());

const speeds = (small: readonly number[], medium: readonly number[], large: readonly number[]): TileSpeeds => ({
  "4x8": small,
  "4x12": medium,
  "4x16": large,
});

describe("fastestTile", () => {
  test.each([
    ["the fastest, if it is faster by 3%", speeds([100], [104], [110]), "4x16"],
    ["not for less", speeds([100], [102], [102.9]), "4x8"],
    ["by the best round of each", speeds([40, 100, 60], [90, 90, 90], [20, 104, 10]), "4x16"],
    ["the narrowest of those that are as fast", speeds([100], [110], [110]), "4x12"],
    ["where nothing could be measured, the default", speeds([], [], []), "4x8"],
    ["where the default could not be, the default", speeds([], [100], [110]), "4x8"],
  ] as const)("%s", (_what, measured, expected) => {
    expect(fastestTile(measured)).toBe(expected);
  });

  test("slower rounds change nothing", () => {
    const best = fc.double({ min: 1, max: 1000, noNaN: true });
    const factors = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 });
    fc.assert(
      fc.property(fc.tuple(best, best, best), factors, ([a, b, c], slower) => {
        const withSlower = (x: number): number[] => [...slower.map((factor) => factor * x), x];
        expect(fastestTile(speeds(withSlower(a), withSlower(b), withSlower(c)))).toBe(
          fastestTile(speeds([a], [b], [c])),
        );
      }),
    );
  });
});

describe("measureTiles", () => {
  /** A machine on which a run of each tile takes so many milliseconds; its clock shows multiples of `tick`. */
  const machine = (times: Readonly<Record<TileName, number>>, tick: number) => {
    let time = 0;
    const runs: TileName[] = [];
    const measured = measureTiles(
      () => {
        time += 1e-4;
        return Math.floor(time / tick) * tick;
      },
      (name) => ({
        flop: 1000,
        run: () => {
          time += times[name];
          runs.push(name);
          return 256;
        },
      }),
    );
    return { measured, runs, time };
  };

  test.each([0.005, 0.1, 1])("the tiles take turns, and come out in order with a clock of %d ms", (tick) => {
    const { measured, runs, time } = machine({ "4x8": 0.2, "4x12": 0.17, "4x16": 0.22 }, tick);
    const turns = runs.filter((name, i) => name !== runs[i - 1]);
    expect(turns.slice(0, 6)).toEqual(["4x8", "4x12", "4x16", "4x8", "4x12", "4x16"]);
    expect(time).toBeGreaterThan(200);
    expect(time).toBeLessThan(240);
    const rounds = Object.values(measured).map(({ length }) => length);
    expect(new Set(rounds).size).toBe(1);
    expect(fastestTile(measured)).toBe("4x12");
    for (const speed of measured["4x8"]) expect(Math.abs(speed / 5000 - 1)).toBeLessThan(0.05);
  });

  test.each([16.7, 100])("a clock that ticks every %d ms tells nothing", (tick) => {
    const { measured, time } = machine({ "4x8": 0.2, "4x12": 0.1, "4x16": 0.2 }, tick);
    expect(measured).toEqual(speeds([], [], []));
    expect(time).toBeLessThan(450);
  });

  test("turns in which something else had the processor do not count", () => {
    let time = 0;
    let calls = 0;
    const measured = measureTiles(
      () => time,
      () => ({
        flop: 1000,
        run: () => {
          time += calls++ % 40 === 0 ? 20 : 0.5;
          return 256;
        },
      }),
    );
    for (const speed of Object.values(measured).flat()) expect(speed).toBeCloseTo(2000, 6);
    expect(Object.values(measured).flat().length).toBeGreaterThan(5);
  });

  test("a clock that stands still ends it, with the default", () => {
    const probe = { flop: 1, run: () => 256 };
    const measured = measureTiles(
      () => 0,
      () => probe,
    );
    expect(measured).toEqual(speeds([], [], []));
  });

  test("the micro-kernels run", () => {
    let time = 0;
    const measured = measureTiles(() => time++);
    for (const rounds of Object.values(measured)) expect(rounds.length).toBeGreaterThan(0);
  });
});

describe("chooseTile", () => {
  const fast = speeds([100], [110], [120]);
  const memory = (content: Record<string, string> = {}) => {
    const entries = new Map(Object.entries(content));
    const cache: TileCache = {
      getItem: (key) => entries.get(key) ?? null,
      setItem: (key, value) => void entries.set(key, value),
    };
    return { cache, entries };
  };

  test("measures once for an engine and its processor", () => {
    const { cache, entries } = memory();
    const measure = vi.fn(() => fast);
    expect(chooseTile(cache, measure)).toBe("4x16");
    expect(chooseTile(cache, measure)).toBe("4x16");
    expect(measure).toHaveBeenCalledTimes(1);
    const key = [...entries.keys()].join();
    expect(key).toContain(`V8 ${process.versions.v8}, ${process.arch}`);
    expect(entries.get(key)).toBe("4x16");
  });

  test("another engine, another measurement", () => {
    const { cache, entries } = memory();
    const measure = vi.fn(() => fast);
    chooseTile(cache, measure);
    vi.stubGlobal("process", undefined);
    for (const userAgent of ["Firefox/200.0", "Firefox/201.0"]) {
      vi.stubGlobal("navigator", { userAgent });
      chooseTile(cache, measure);
      chooseTile(cache, measure);
      expect([...entries.keys()].at(-1)).toContain(userAgent);
    }
    expect(measure).toHaveBeenCalledTimes(3);
  });

  test.each(["", "4x9", "4x8 ", "measured", "__proto__", "toString"])("%j in the cache is measured anew", (damaged) => {
    const entries: [string, string][] = [];
    const cache: TileCache = { getItem: () => damaged, setItem: (...entry) => void entries.push(entry) };
    expect(chooseTile(cache, () => fast)).toBe("4x16");
    expect(entries.map(([, value]) => value)).toEqual(["4x16"]);
  });

  test("a cache that throws is as good as none", () => {
    const refuse = (): never => {
      throw new DOMException("the quota is exceeded", "QuotaExceededError");
    };
    const measure = vi.fn(() => fast);
    expect(chooseTile({ getItem: refuse, setItem: refuse }, measure)).toBe("4x16");
    expect(chooseTile(undefined, measure)).toBe("4x16");
    expect(measure).toHaveBeenCalledTimes(2);
  });

  test("what the measurement throws is thrown", () => {
    expect(() =>
      chooseTile(memory().cache, () => {
        throw new RangeError("no memory");
      }),
    ).toThrow("no memory");
  });
});
