import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "striate-node-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** Runs a test file with `node --test`; gives what it prints, and whether it succeeded. */
const nodeTest = async (create: string): Promise<{ ok: boolean; output: string }> => {
  const outfile = join(folder, "suite.test.mjs");
  const contents = `
    import { createCpuBackend } from "@striate/backend-cpu";
    import { testBackend } from "../node-test.js";
    const zeros = async () => {
      const good = await createCpuBackend();
      const unary = (call) => good.kernels.fill({ op: "fill", inputs: [], outputs: call.outputs, attrs: { value: 0 } });
      return { ...good, kernels: { ...good.kernels, unary } };
    };
    await testBackend({ name: "cpu", create: ${create}, filter: ["ops:exp/17#f32", "ops:exp/*#f16"] });
  `;
  const resolveDir = fileURLToPath(new URL(".", import.meta.url));
  const stdin = { contents, resolveDir, loader: "ts" as const };
  await build({
    stdin,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["striate-source"],
    outfile,
    logLevel: "error",
  });
  // The child must not take itself for a part of this run.
  const env = { ...process.env, NODE_OPTIONS: "", NODE_TEST_CONTEXT: undefined };
  const run = promisify(execFile)(process.execPath, ["--test", "--test-reporter=tap", outfile], { env });
  return run.then(
    ({ stdout }) => ({ ok: true, output: stdout }),
    (error: { stdout: string }) => ({ ok: false, output: error.stdout }),
  );
};

describe("the adapter for node:test", () => {
  test("passes with a good backend, and reports skips", async () => {
    const { ok, output } = await nodeTest("createCpuBackend");
    expect(output).toContain("ok 1 - ops:exp/*\\#f16 # SKIP caps.dtypes: the backend has no float16");
    expect(output).toContain("ok 2 - ops:exp/17\\#f32");
    expect(ok).toBe(true);
  });

  test("fails with a wrong one", async () => {
    const { ok, output } = await nodeTest("zeros");
    expect(output).toContain("not ok 2 - ops:exp/17\\#f32");
    expect(ok).toBe(false);
  });
});
