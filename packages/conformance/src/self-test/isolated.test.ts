import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runIsolated } from "../isolated.js";

let folder: string;
let worker: URL;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-conformance-"));
  const outfile = join(folder, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./misbehaving-worker.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["striate-source"],
    outfile,
    logLevel: "error",
  });
  worker = pathToFileURL(outfile);
});

afterAll(() => rm(folder, { recursive: true }));

describe("runIsolated", () => {
  const filter = ["ops:relu/1#f32", "ops:relu/17#f32", "ops:relu/63#f32"];
  const run = (how: string) =>
    runIsolated({ start: () => new Worker(worker, { workerData: { how, filter } }), grace: 500 });

  test.each([
    ["hang", /hangs: no result after 3 s/],
    ["exit", /ended its thread with code 3/],
  ])("a kernel that does not come back (%s) is one failed case, and the run goes on", async (how, reason) => {
    const report = await run(how);
    expect(report?.results.map(({ id, status }) => [id, status])).toEqual([
      ["ops:relu/1#f32", "passed"],
      ["ops:relu/17#f32", "failed"],
      ["ops:relu/63#f32", "passed"],
    ]);
    expect(report?.results[1]?.reason).toMatch(reason);
    expect(report?.summary).toEqual({ passed: 2, failed: 1, skipped: 0 });
    expect(report?.complete).toBe(true);
  });

  test("an abort ends it without a report", async () => {
    const abort = new AbortController();
    abort.abort();
    const start = () => new Worker(worker, { workerData: { how: "hang", filter } });
    expect(await runIsolated({ start, signal: abort.signal })).toBeUndefined();
  });

  test("a worker that cannot start its backend rejects", async () => {
    const start = () => new Worker("throw new Error('no device')", { eval: true });
    await expect(runIsolated({ start })).rejects.toThrow("no device");
  });
});
