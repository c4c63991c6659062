import { createCpuBackend } from "@striate/backend-cpu";
import { bundledVectors, loadTrainingImages, loadVectors } from "../node.js";
import { testBackend } from "../vitest.js";

const images = await loadTrainingImages();
const full = process.env["STRIATE_FULL"] === "1";

await testBackend({
  name: "cpu",
  create: createCpuBackend,
  groups: ["vectors", "models", "training"],
  vectors: await loadVectors(process.env["STRIATE_VECTORS"] ?? bundledVectors),
  ...(images && { images }),
  // The second step sees the first update; all thirty of every network take minutes.
  ...(!full && { trainingSteps: 2 }),
});
