import { createWasmBackend } from "@striate/backend-wasm";
import { bundledVectors, loadTrainingImages, loadVectors } from "../node.js";
import { parseShard } from "../shard.js";
import { testBackend } from "../vitest.js";

const images = await loadTrainingImages();
const full = process.env["STRIATE_FULL"] === "1";

// Three threads: more than most kernels split their work for on two cores, and an odd number.
await testBackend({
  name: "wasm",
  create: () => createWasmBackend({ threads: 3 }),
  vectors: await loadVectors(process.env["STRIATE_VECTORS"] ?? bundledVectors),
  ...(images && { images }),
  ...(!full && { trainingSteps: 2, shard: parseShard("1/4") }),
});
