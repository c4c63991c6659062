import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findRuns, findRunToResume, newestRun, RunError } from "./runs.js";

const scratch = mkdtempSync(join(tmpdir(), "striate-runs-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const makeRun = (path: string, environment?: object): string => {
  const folder = join(scratch, path);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), "{}");
  if (environment) writeFileSync(join(folder, "environment.json"), JSON.stringify(environment));
  return folder;
};

describe("newestRun", () => {
  test("is that which was started last, whatever it is called", () => {
    makeRun("named/zeta", { startedAt: "2026-01-01T10:00:00.000Z" });
    const newest = makeRun("named/alpha", { startedAt: "2026-01-02T10:00:00.000Z" });
    makeRun("named/inside/run", { startedAt: "2026-01-03T10:00:00.000Z" });
    expect(newestRun(join(scratch, "named"))).toBe(newest);
  });

  test("is no test of every stage", () => {
    const run = makeRun("dev/a", { startedAt: "2026-01-01T10:00:00.000Z" });
    const dev = makeRun("dev/b", { startedAt: "2026-01-02T10:00:00.000Z", fastDevRun: true });
    expect(newestRun(join(scratch, "dev"))).toBe(run);
    expect(findRunToResume(run)).toBe(run);
    expect(() => findRunToResume(dev)).toThrow(/was a --fast-dev-run/);
  });

  test("of a run without environment.json, the time of its config counts", () => {
    makeRun("bare/old", { startedAt: "2001-01-01T10:00:00.000Z" });
    const bare = makeRun("bare/new");
    expect(newestRun(join(scratch, "bare"))).toBe(bare);
  });

  test("where there is none, that is an error", () => {
    makeRun("only/dev", { startedAt: "2026-01-02T10:00:00.000Z", fastDevRun: true });
    for (const folder of ["only", "nowhere"]) expect(() => newestRun(join(scratch, folder))).toThrow(RunError);
  });
});

test("findRuns: a run, or those in the folder", () => {
  const runs = ["seed0", "seed1"].map((name) => makeRun(`seeds/${name}`));
  mkdirSync(join(scratch, "seeds/other"));
  writeFileSync(join(scratch, "seeds/comparison.html"), "");
  expect(() => findRuns(join(scratch, "seeds/comparison.html"))).toThrow(RunError);
  expect(findRuns(join(scratch, "seeds"))).toEqual(runs);
  expect(findRuns(runs[0] as string)).toEqual([runs[0]]);
  expect(() => findRuns(join(scratch, "seeds/other"))).toThrow(RunError);
});
