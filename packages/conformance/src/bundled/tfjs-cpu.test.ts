import { createTfjsBackend } from "@striate/backend-tfjs";
import { bundledVectors, loadVectors } from "../node.js";
import type { Group } from "../results.js";
import { expectNoTensorsLeft } from "../testing/tfjs.js";
import { testBackend } from "../vitest.js";
import "@tensorflow/tfjs-backend-cpu";

expectNoTensorsLeft("cpu");

const full = process.env["STRIATE_FULL"] === "1";
const groups: readonly Group[] = [
  ...(["contract", "ops", "gradients", "overrides", "random", "leaks", "errors", "vectors"] as const),
  // tfjs's CPU backend takes minutes to train.
  ...(full ? (["models"] as const) : []),
];

await testBackend({
  name: "tfjs:cpu",
  create: () => createTfjsBackend({ backend: "cpu" }),
  groups,
  vectors: await loadVectors(bundledVectors),
  ...(!full && { shard: { index: 1, count: 8 } }),
});
