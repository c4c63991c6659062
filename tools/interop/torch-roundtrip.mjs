// Weights between Striate and PyTorch, both ways, by way of files: node tools/interop/torch-roundtrip.mjs
// It wants a python3 with torch and numpy (Debian: apt-get install python3-torch; PYTHON names another), and says so
// where there is none. What PyTorch writes is also in packages/checkpoint/src/testing/fixtures, for tests that run everywhere.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const python = process.env.PYTHON ?? "/usr/bin/python3";
const half = fileURLToPath(new URL("torch_roundtrip.py", import.meta.url));

/** @param {string[]} args */
const run = (...args) => spawnSync(python, args, { stdio: "inherit" }).status === 0;

if (spawnSync(python, ["-c", "import torch, numpy"]).status !== 0) {
  console.log(`skipped: ${python} has no torch; on Debian: apt-get install python3-torch`);
  process.exit();
}

const folder = mkdtempSync(join(tmpdir(), "striate-torch-"));
try {
  const outfile = join(folder, "network.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../../packages/checkpoint/src/testing/network.ts", import.meta.url))],
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["striate-source"],
    // yauzl is CommonJS.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    outfile,
    logLevel: "error",
  });
  const { createNetwork, loadWeightsFile, saveSafetensors, saveShardedSafetensors } = await import(
    pathToFileURL(outfile).href
  );
  const floats = (/** @type {string} */ name) =>
    new Float32Array(new Uint8Array(readFileSync(join(folder, name))).buffer);

  if (!run(half, "write", folder)) throw new Error("PyTorch could not write");
  const input = floats("input.bin");
  const expected = floats("logits.bin");
  for (const [name, options] of [
    ["state.pt", {}],
    ["checkpoint.pt", { key: "model" }],
    ["parallel.pt", { prefix: "module." }],
    ["torch.safetensors", {}],
  ]) {
    const net = await createNetwork();
    await loadWeightsFile(net, join(folder, name), options);
    const logits = net.logits(input);
    const error = Math.hypot(...logits.map((y, i) => y - expected[i])) / Math.hypot(...expected);
    console.log(`${name} of PyTorch in Striate, strict: relative error of the logits ${error.toExponential(1)}`);
    if (!(error < 1e-5)) throw new Error(`${name}: the logits differ`);
  }

  const net = await createNetwork();
  writeFileSync(join(folder, "ours.bin"), net.logits(input));
  await saveSafetensors(join(folder, "ours.safetensors"), net.stateDict(), { metadata: { format: "pt" } });
  await saveShardedSafetensors(join(folder, "ours.safetensors.index.json"), net.stateDict(), { maxShardBytes: 2000 });
  if (!run(half, "read", folder)) throw new Error("PyTorch could not read");
} finally {
  rmSync(folder, { recursive: true });
}
