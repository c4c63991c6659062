import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hostilePt, hostileSafetensors } from "../testing/hostile.js";

/** Elements of a file, in bytes. Small files drown in what Node itself takes, which is subtracted. */
const mebibytes = process.env.STRIATE_FULL === "1" ? 500 : 160;
const tensors = 12;

// Each act is a process of its own. It prints its peak over what it had before.
const child = `
  import fs from "node:fs";
  import { createCpuBackend } from "@striate/backend-cpu";
  import { full } from "@striate/core";
  import { loadPt, loadSafetensors, loadWeightsFile, saveSafetensors, saveShardedSafetensors } from "../node/index.js";

  const [act, path, bytes, tensors] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])];
  const backend = await createCpuBackend();
  const shape = [tensors * 64, Math.floor(bytes / 4 / tensors / (tensors * 64))];
  const module = () => {
    const state = new Map(Array.from({ length: tensors }, (_, i) => ["p" + i, full(shape, i, { backend })]));
    return { stateDict: () => state };
  };
  const acts = {
    save: () => saveSafetensors(path, module().stateDict()),
    shard: () => saveShardedSafetensors(path, module().stateDict(), { maxShardBytes: bytes / 3 }),
    read: () => loadSafetensors(path),
    load: () => loadWeightsFile(module(), path),
    hostile: async () => {
      for (const name of fs.readdirSync(path))
        await (name.startsWith("pt") ? loadPt : loadSafetensors)(path + "/" + name).catch((error) => error);
    },
  };
  // The peak of this process alone: that of getrusage includes the parent before exec.
  const kib = (name) => Number(/\\d+/.exec(fs.readFileSync("/proc/self/status", "utf8").split(name + ":")[1])[0]);
  const before = kib("VmRSS");
  const kept = await acts[act]();
  console.log(JSON.stringify({ act, before: before * 1024, peak: kib("VmHWM") * 1024, kept: typeof kept }));
`;

let folder: string;
let script: string;
beforeAll(async () => {
  folder = await fs.mkdtemp(join(tmpdir(), "striate-memory-"));
  script = join(folder, "child.mjs");
  const resolveDir = fileURLToPath(new URL("../testing", import.meta.url));
  await build({
    stdin: { contents: child, resolveDir, loader: "ts" },
    bundle: true,
    platform: "node",
    format: "esm",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    conditions: ["striate-source"],
    outfile: script,
    logLevel: "error",
  });
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));

const peakOf = async (act: string, path: string): Promise<number> => {
  const args = [script, act, path, String(mebibytes * 2 ** 20), String(tensors)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: "" } });
  const { before, peak } = JSON.parse(stdout) as { before: number; peak: number };
  return mebibytes >= 500 && act !== "hostile" ? peak : peak - before;
};

test.skipIf(!existsSync("/proc/self/status"))(
  `a file of ${mebibytes} MiB: a peak of at most 1.3 times its size, the module included`,
  { timeout: 300_000 },
  async () => {
    const single = join(folder, "net.safetensors");
    const index = join(folder, "net.safetensors.index.json");
    const peaks: Record<string, number> = {};
    for (const [act, path] of [
      ["save", single],
      ["read", single],
      ["load", single],
      ["shard", index],
      ["load", index],
    ] as const)
      peaks[`${act} ${path === index ? "shards" : "file"}`] = (await peakOf(act, path)) / (mebibytes * 2 ** 20);
    const size = (await fs.stat(single)).size;
    expect(size / 2 ** 20 / mebibytes).toBeCloseTo(1, 1);
    // What is read from a backend to be saved is garbage that the engine collects when it likes.
    for (const [act, peak] of Object.entries(peaks))
      expect(peak, act).toBeLessThan(act.startsWith("load") || act.startsWith("read") ? 1.3 : 1.7);
  },
);

test.skipIf(!existsSync("/proc/self/status"))(
  "files that claim terabytes, or make objects by the million: no memory for what they claim",
  { timeout: 120_000 },
  async () => {
    const hostile = join(folder, "hostile");
    await fs.mkdir(hostile);
    const files = [
      ...hostileSafetensors().map((file) => ["st", file] as const),
      ...hostilePt().map((file) => ["pt", file] as const),
    ];
    let largest = 0;
    for (const [i, [kind, { bytes }]] of files.entries()) {
      largest = Math.max(largest, bytes.length);
      await fs.writeFile(join(hostile, `${kind}-${i}`), bytes);
    }
    expect(largest).toBeLessThan(2 ** 21);
    // What one of them may make, and what is not collected yet of hundreds.
    expect((await peakOf("hostile", hostile)) / 2 ** 20).toBeLessThan(256);
  },
);
