import { createCpuBackend } from "@striate/backend-cpu";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planCases } from "./plan.js";
import { runConformance } from "./run.js";
import { inShard, parseShard } from "./shard.js";

const { caps } = await createCpuBackend();
const idsOf = (options: Parameters<typeof planCases>[2] = {}): string[] =>
  planCases(caps, ["conv2d"], options).map(({ id }) => id);

describe("shards", () => {
  test("every id is in exactly one", () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 100 }), (id, count) => {
        const homes = Array.from({ length: count }, (_, i) => inShard({ index: i + 1, count })(id));
        expect(homes.filter((home) => home)).toHaveLength(1);
      }),
    );
  });

  test.each([1, 2, 7])("%i together are the plan, in its order, of about equal size", (count) => {
    const all = idsOf();
    const shards = Array.from({ length: count }, (_, i) => idsOf({ shard: { index: i + 1, count } }));
    expect(shards.flat().sort()).toEqual([...all].sort());
    for (const shard of shards) {
      const members = new Set(shard);
      expect(shard).toEqual(all.filter((id) => members.has(id)));
      expect(Math.abs(shard.length - all.length / count)).toBeLessThan((0.1 * all.length) / count);
    }
  });

  test("are of what the filter and the groups leave, and no case moves for it", () => {
    const shard = { index: 2, count: 5 };
    const whole = idsOf({ shard });
    const filtered = idsOf({ shard, filter: "relu", groups: ["ops", "leaks"] });
    expect(filtered).toEqual(idsOf({ filter: "relu", groups: ["ops", "leaks"] }).filter((id) => whole.includes(id)));
    expect(filtered.length).toBeGreaterThan(0);
  });

  test("stay what they are: CI may rely on it", () => {
    const home = (id: string): number => [1, 2, 3, 4].find((index) => inShard({ index, count: 4 })(id)) ?? 0;
    expect(["ops:relu/17#f32", "gradients:conv2d/s2-p1-d2-g4-b#f32", ""].map(home)).toMatchInlineSnapshot(`
      [
        4,
        3,
        4,
      ]
    `);
  });

  test("a run has its shard only, and is complete", async () => {
    const filter = "ops:relu/";
    const run = async (index: number) =>
      runConformance({ name: "cpu", create: createCpuBackend, filter, shard: { index, count: 2 } });
    const [one, two] = [await run(1), await run(2)];
    const all = await runConformance({ name: "cpu", create: createCpuBackend, filter });
    expect([one.complete, two.complete]).toEqual([true, true]);
    expect(one.results.length).toBeGreaterThan(0);
    expect([...one.results, ...two.results].map(({ id }) => id).sort()).toEqual(all.results.map(({ id }) => id).sort());
  });

  test("known failures of other shards are not stale", async () => {
    const knownFailures = [{ pattern: "no such case", reason: "none", expires: "2026-06-30" }];
    const options = { name: "cpu", create: createCpuBackend, knownFailures, now: new Date("2026-06-01") };
    const { results } = await runConformance({ ...options, shard: { index: 1, count: 5000 } });
    expect(results.filter(({ id }) => id.startsWith("contract:known-failures"))).toEqual([]);
  });

  test.each([
    [0, 2],
    [3, 2],
    [1, 0],
    [1.5, 2],
    [Number.NaN, 2],
  ])("%d of %d is refused", async (index, count) => {
    const options = { name: "cpu", create: createCpuBackend, shard: { index, count } };
    await expect(runConformance(options)).rejects.toThrow(TypeError);
    await expect(runConformance(options)).rejects.toThrow(`shard ${index}/${count}: expected integers i/n`);
  });
});

describe("parseShard", () => {
  test("takes i/n", () => {
    expect(parseShard("2/8")).toEqual({ index: 2, count: 8 });
  });

  test.each(["", "2", "0/8", "9/8", "1/0", "-1/8", "1/8/2", " 1/8", "1.5/8", "a/b"])("refuses %j", (text) => {
    expect(() => parseShard(text)).toThrow(TypeError);
  });
});
