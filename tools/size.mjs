// What a consumer pays for an import: bundled, minified and compressed, against a budget.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { CheckFailure, root } from "./run.mjs";

/** KiB after gzip, peers left out. A change that needs more raises the number here, where a reviewer sees it. */
const budgets = [
  { what: "core", code: 'export * from "./packages/core/dist/index.js"', kib: 30 },
  { what: "core, one function of it", code: 'export { permutation } from "./packages/core/dist/index.js"', kib: 2 },
  { what: "core/backend", code: 'export * from "./packages/core/dist/backend.js"', kib: 4 },
  { what: "backend-cpu", code: 'export * from "./packages/backend-cpu/dist/index.js"', kib: 16 },
  { what: "backend-wasm", code: 'export * from "./packages/backend-wasm/dist/index.js"', kib: 46 },
  { what: "backend-webgpu", code: 'export * from "./packages/backend-webgpu/dist/index.js"', kib: 26 },
  { what: "backend-tfjs, without tfjs", code: 'export * from "./packages/backend-tfjs/dist/index.js"', kib: 22 },
  { what: "nn", code: 'export * from "./packages/nn/dist/index.js"', kib: 8 },
  { what: "optim", code: 'export * from "./packages/optim/dist/index.js"', kib: 9 },
  { what: "optim, one of it", code: 'export { sgd } from "./packages/optim/dist/index.js"', kib: 3 },
  { what: "models", code: 'export * from "./packages/models/dist/index.js"', kib: 16 },
  { what: "models, one of them", code: 'export { resnet20 } from "./packages/models/dist/index.js"', kib: 2 },
  { what: "data", code: 'export * from "./packages/data/dist/index.js"', kib: 11 },
  { what: "checkpoint", code: 'export * from "./packages/checkpoint/dist/index.js"', kib: 10 },
  { what: "train", code: 'export * from "./packages/train/dist/index.js"', kib: 10 },
  { what: "visualize", code: 'export * from "./packages/visualize/dist/index.js"', kib: 12 },
  { what: "matlab", code: 'export * from "./packages/matlab/dist/index.js"', kib: 9 },
];

/**
 * @param {string} code
 * @returns {Promise<number>} bytes
 */
const sizeOf = async (code) => {
  const { outputFiles } = await build({
    stdin: { contents: code, resolveDir: root },
    external: ["@striate/*", "@tensorflow/*"],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2022",
    logLevel: "silent",
  });
  return gzipSync(outputFiles[0]?.contents ?? "", { level: 9 }).length;
};

/** @returns {Promise<string>} a line for each budget; @throws CheckFailure with the same lines where one is exceeded */
export const checkSizes = async () => {
  const lines = [];
  let exceeded = false;
  for (const { what, code, kib } of budgets) {
    const size = (await sizeOf(code)) / 1024;
    exceeded ||= size > kib;
    lines.push(`${what}: ${size.toFixed(1)} KiB of ${kib} KiB${size > kib ? ", too large" : ""}`);
  }
  if (exceeded) throw new CheckFailure(lines.join("\n"));
  return lines.join("\n");
};
