import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HostileFile, hostilePt, hostileSafetensors } from "../testing/hostile.js";

const full = process.env.STRIATE_FULL === "1";

/** Elements of a file, in bytes. Small files drown in what Node itself takes, which is subtracted. */
const mebibytes = full ? 500 : 160;
const tensors = 12;

// Each act is a process of its own. It prints its peak, and what it had before.
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
  };
  const hostile = async () => {
    for (const name of fs.readdirSync(path)) {
      gc();
      fs.writeFileSync("/proc/self/clear_refs", "5"); // the peak begins anew
      const [before, cpu] = [kib("VmRSS"), process.cpuUsage()];
      const outcome = await (name.startsWith("pt") ? loadPt : loadSafetensors)(path + "/" + name).then(
        () => "read",
        (error) => error.code ?? String(error),
      );
      const { user, system } = process.cpuUsage(cpu);
      console.log(JSON.stringify({ name, outcome, bytes: (kib("VmHWM") - before) * 1024, seconds: (user + system) / 1e6 }));
    }
  };
  // The peak of this process alone: that of getrusage includes the parent before exec.
  const kib = (name) => Number(/\\d+/.exec(fs.readFileSync("/proc/self/status", "utf8").split(name + ":")[1])[0]);
  if (act === "hostile") await hostile();
  else {
    const before = kib("VmRSS");
    const kept = await acts[act]();
    console.log(JSON.stringify({ act, before: before * 1024, peak: kib("VmHWM") * 1024, kept: typeof kept }));
  }
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

const run = async (act: string, path: string, flags: readonly string[] = []): Promise<string> => {
  const args = [...flags, script, act, path, String(mebibytes * 2 ** 20), String(tensors)];
  return (await promisify(execFile)(process.execPath, args, { env: { ...process.env, NODE_OPTIONS: "" } })).stdout;
};

const peakOf = async (act: string, path: string): Promise<number> => {
  const { before, peak } = JSON.parse(await run(act, path)) as { before: number; peak: number };
  return full ? peak : peak - before;
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

/** Of the child's heap, Node's own part included: whatever takes more kills it. 8 MiB may be made of any file: memory.ts. */
const heapMebibytes = 24;

test.skipIf(!existsSync("/proc/self/clear_refs"))(
  "damaged and hostile files: a typed error, and no memory beyond the file's size and a constant",
  { timeout: 300_000 },
  async () => {
    const folderOfFiles = join(folder, "hostile");
    await fs.mkdir(folderOfFiles);
    const scale = full ? 16 : 1;
    const files = new Map<string, HostileFile>();
    for (const [kind, hostile] of [
      ["st", hostileSafetensors(scale)],
      ["pt", hostilePt(scale)],
    ] as const)
      for (const [i, file] of hostile.entries()) {
        files.set(`${kind}-${i}`, file);
        await fs.writeFile(join(folderOfFiles, `${kind}-${i}`), file.bytes);
      }
    const flags = ["--expose-gc", "--max-semi-space-size=1", `--max-old-space-size=${heapMebibytes}`];
    const lines = (await run("hostile", folderOfFiles, flags)).trim().split("\n");
    expect(lines.length).toBe(files.size);
    let refused = 0;
    for (const line of lines) {
      const { name, outcome, bytes, seconds } = JSON.parse(line);
      const { what, bytes: content } = files.get(name) as HostileFile;
      if (outcome !== "read") refused++;
      expect(outcome, what).toMatch(what.startsWith("mutat") ? /^(read|checkpoint-\w+)$/ : /^checkpoint-\w+$/);
      // What is not on the heap, such as buffers, has to fit as well, and what is garbage by now.
      expect(bytes, what).toBeLessThan(content.length + heapMebibytes * 2 ** 20);
      // Seconds of the processor, of which a slow machine takes more: so only where all that is slow is run.
      if (full) expect(seconds, what).toBeLessThan(1);
    }
    expect(refused).toBeGreaterThan(200);
  },
);
