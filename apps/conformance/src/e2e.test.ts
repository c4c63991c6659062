// The program as people run it: built, in a process of its own, with a Chromium of its own.
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ConformanceReport } from "@striate/conformance";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { exitCodes } from "./exit-codes.js";
import { needChromium } from "./testing/chromium.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const timeout = 120_000;
const bootstrap = ["tools/bootstrap.mjs", "conformance"];
const built = ["apps/conformance/dist/main.js"];

let scratch: string;
/** Where the program and Chromium keep what is temporary: nothing of it may stay. */
let temporary: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "striate-e2e-"));
  // The first start may build.
  await run([...bootstrap, "--help"]);
}, timeout);
beforeEach(async () => {
  temporary = await mkdtemp(join(scratch, "tmp-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `onError` hears all that standard error has so far. */
const run = (
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  onError: (text: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const written = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        written[stream] += text;
        if (stream === "stderr") onError(written.stderr, (signal) => child.kill(signal));
      });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...written }));
  });

const one = ["--backend", "cpu", "--filter", "ops:relu/17#f32"];

const statuses = async (file: string): Promise<string[]> => {
  const { results } = JSON.parse(await readFile(file, "utf8")) as ConformanceReport;
  return results.map(({ id, status }) => `${id} ${status}`);
};

describe("--in chromium", { timeout }, () => {
  beforeEach(needChromium);

  test("the cpu backend does there what it does in Node", async () => {
    const [page, node] = [join(temporary, "page.json"), join(temporary, "node.json")];
    const share = ["--backend", "cpu", "--shard", "1/100"];
    const inPage = await run([...bootstrap, ...share, "--in", "chromium", "--json", page]);
    expect(inPage).toMatchObject({
      code: exitCodes.ok.code,
      stdout: expect.stringMatching(/\d{3} passed, 0 failed, /),
    });
    await run([...built, ...share, "--json", node]);
    expect(await statuses(page)).toEqual(await statuses(node));
  });

  test("without isolation too", async () => {
    const { code, stdout } = await run([...built, ...one, "--in", "chromium", "--no-isolation"]);
    expect(code).toBe(exitCodes.ok.code);
    expect(stdout).toContain("\n1 passed, 0 failed, 0 skipped\n");
  });

  test("a signal ends it, with Chromium and its profile", async () => {
    let interrupted = false;
    const ended = await run([...built, "--backend", "cpu", "--in", "chromium"], { TMPDIR: temporary }, (text, kill) => {
      if (interrupted || !text.includes("contract:")) return;
      interrupted = true;
      kill("SIGINT");
    });
    expect(ended.code).toBe(exitCodes.interrupted.code);
    expect(await readdir(temporary)).toEqual([]);
  });

  test("a backend that is not there is said by the page as by Node", async () => {
    const args = ["--backend", "cpuu"];
    const inPage = await run([...built, ...args, "--in", "chromium"]);
    expect(inPage).toEqual({ code: exitCodes.backend.code, stdout: "", stderr: expect.stringContaining("mean cpu?") });
    expect(await run([...built, ...args])).toEqual(inPage);
  });
});

test("without a Chromium it says so", { timeout }, async () => {
  const { code, stderr } = await run([...built, "--backend", "cpu", "--in", "chromium"], { STRIATE_CHROMIUM: "/none" });
  expect(code).toBe(exitCodes.browser.code);
  expect(stderr).toBe("error: STRIATE_CHROMIUM is /none, which is no program that can be run\n");
});

test("a place that is not there is refused with those that are", { timeout }, async () => {
  const { code, stderr } = await run([...built, "--in", "firefox"]);
  expect(code).toBe(exitCodes.usage.code);
  expect(stderr).toContain("Allowed choices are node, chromium.");
});
