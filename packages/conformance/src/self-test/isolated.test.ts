import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IsolatedRunError, type IsolatedWorker, runIsolated } from "../isolated.js";
import { threadWorker } from "../node-threads.js";
import type { CaseResult } from "../results.js";
import type { StartEvent } from "../run.js";

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
    runIsolated({ start: () => threadWorker(new Worker(worker, { workerData: { how, filter } })), grace: 500 });

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
    const start = () => threadWorker(new Worker(worker, { workerData: { how: "hang", filter } }));
    expect(await runIsolated({ start, signal: abort.signal })).toBeUndefined();
  });

  test("a worker that cannot be loaded rejects", async () => {
    const start = () => threadWorker(new Worker("throw new Error('no such module')", { eval: true }));
    await expect(runIsolated({ start })).rejects.toThrow("no such module");
  });

  test("a worker that cannot start its backend rejects, with the name of what was thrown", async () => {
    const run = runIsolated({ start: () => threadWorker(new Worker(worker, { workerData: { how: "throw" } })) });
    await expect(run).rejects.toThrow(IsolatedRunError);
    await expect(run).rejects.toMatchObject({ thrown: "RangeError", message: "no device" });
  });

  test("a worker that never says anything rejects", async () => {
    const start = () => threadWorker(new Worker("setInterval(() => {}, 1000)", { eval: true }));
    await expect(runIsolated({ start, idle: 500 })).rejects.toThrow(
      "hangs between the cases: no sign of life for 0.5 s",
    );
  });

  test("a worker that is lost between two cases is replaced, one that gets nowhere is not", async () => {
    const event = (index: number): StartEvent => ({ id: `${index}`, index, timeout: 1000, hung: result(index) });
    const result = (index: number): CaseResult => ({ id: `${index}`, group: "ops", status: "passed", milliseconds: 1 });
    const launches: number[] = [];
    /** Runs two cases, and ends without a word. */
    const start = (lasting: number): IsolatedWorker => {
      let listener: Parameters<IsolatedWorker["listen"]>[0];
      return {
        listen: (given) => {
          listener = given;
        },
        launch: ({ startAt }) => {
          launches.push(startAt);
          if (startAt < lasting) {
            listener.message({ type: "start", event: event(startAt) });
            listener.message({ type: "result", result: result(startAt) });
            // A case that is skipped is not started.
            listener.message({ type: "result", result: result(startAt + 1) });
          }
          listener.lost("ended", new Error("no more power"));
        },
        terminate: async () => {},
      };
    };
    await expect(runIsolated({ start: () => start(3) })).rejects.toThrow("no more power");
    expect(launches).toEqual([0, 2, 4]);
  });
});
