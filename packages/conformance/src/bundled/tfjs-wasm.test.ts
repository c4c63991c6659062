import { createTfjsBackend } from "@striate/backend-tfjs";
import { bundledVectors, loadTrainingImages, loadVectors } from "../node.js";
import { expectNoTensorsLeft } from "../testing/tfjs.js";
import { testBackend } from "../vitest.js";
import "@tensorflow/tfjs-backend-wasm";

expectNoTensorsLeft("wasm");

const full = process.env["STRIATE_FULL"] === "1";
const vectors = await loadVectors(bundledVectors);
const images = await loadTrainingImages();
const create = () => createTfjsBackend({ backend: "wasm" });

await testBackend({
  name: "tfjs:wasm",
  create,
  groups: ["contract", "ops", "gradients", "overrides", "random", "leaks", "errors", "vectors", "models"],
  vectors,
  ...(!full && { shard: { index: 4, count: 8 } }),
});

// The optimizers, and LeNet-5, VGG-S and ResNet-20 against PyTorch: the second step sees the first update.
await testBackend({
  name: "tfjs:wasm",
  create,
  groups: ["training"],
  vectors,
  ...(images && { images }),
  ...(!full && { trainingSteps: 2, filter: ["optimizers", "lenet", "vgg_s-sgd", "resnet20-sgd"] }),
});
