import { type ForkOptions, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCpuBackend } from "@striate/backend-cpu";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { IsolatedRunError, type IsolatedWorker, runIsolated, serveIsolated } from "../isolated.js";
import { processWorker } from "../node-processes.js";
import type { CaseResult } from "../results.js";
import type { StartEvent } from "../run.js";

let folder: string;
let worker: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-conformance-"));
  worker = join(folder, "worker.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("./misbehaving-worker.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["striate-source"],
    outfile: worker,
    logLevel: "error",
  });
});

afterAll(() => rm(folder, { recursive: true }));

/** What dies by intention need not fill the terminal. */
const quietly: ForkOptions = { serialization: "advanced", stdio: ["ignore", "ignore", "ignore", "ipc"] };

describe("serveIsolated", () => {
  test("runs nothing before all that it said has left", async () => {
    const said: string[] = [];
    let leaving = 0;
    let most = 0;
    await serveIsolated(
      {
        launch: async () => ({ startAt: 0 }),
        post: async ({ type }) => {
          said.push(type);
          most = Math.max(most, ++leaving);
          await new Promise((resolve) => setImmediate(resolve));
          leaving--;
        },
      },
      () => ({ name: "cpu", create: createCpuBackend, filter: ["ops:relu/1#f32", "ops:relu/17#f32"] }),
    );
    expect(said).toEqual(["plan", "start", "result", "start", "result", "end"]);
    expect({ most, leaving }).toEqual({ most: 1, leaving: 0 });
  });
});

describe("runIsolated", () => {
  const filter = ["ops:relu/1#f32", "ops:relu/17#f32", "ops:relu/63#f32"];
  const startWorker = (how: string): IsolatedWorker => processWorker(fork(worker, [how, ...filter], quietly));
  const startProgram = async (text: string): Promise<IsolatedWorker> => {
    const program = join(folder, "program.mjs");
    await writeFile(program, text);
    return processWorker(fork(program, quietly));
  };
  const run = (how: string) => runIsolated({ start: () => startWorker(how), grace: 500 });

  test.each([
    ["hang", /hangs: no result after 3 s/],
    ["exit", /ended its process with code 3/],
    ["abort", /ended its process by SIGABRT/],
    ["later", /took its process down: thrown behind its back/],
    ["nothing", /took its process down: null/],
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

  test("a worker that hangs ends with the program, however that ended", async () => {
    const program = join(folder, "forking.mjs");
    await writeFile(
      program,
      `import { fork } from "node:child_process";
      const options = { serialization: "advanced", stdio: ["ignore", "inherit", "ignore", "ipc"] };
      fork(${JSON.stringify(worker)}, ["hang", "ops:relu/17#f32"], options).send({ startAt: 0 });`,
    );
    const forking = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "ignore"] });
    const [said] = await once(forking.stdout, "data");
    expect(String(said)).toBe("hangs");
    // The worker holds the other end of standard output, too.
    const closed = once(forking, "close");
    forking.kill("SIGKILL");
    await closed;
  }, 20_000);

  test("an abort ends it without a report", async () => {
    const abort = new AbortController();
    abort.abort();
    expect(await runIsolated({ start: () => startWorker("hang"), signal: abort.signal })).toBeUndefined();
  });

  test("a worker that cannot be loaded rejects", async () => {
    const start = () => startProgram("throw new Error('no such module')");
    await expect(runIsolated({ start })).rejects.toThrow("the process ended with code 1 before its first case");
  });

  test("a worker that cannot start its backend rejects, with the name of what was thrown", async () => {
    const run = runIsolated({ start: () => startWorker("throw") });
    await expect(run).rejects.toThrow(IsolatedRunError);
    await expect(run).rejects.toMatchObject({ thrown: "RangeError", message: "no device" });
  });

  test("a worker that never says anything rejects", async () => {
    const start = () => startProgram("setInterval(() => {}, 1000)");
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
