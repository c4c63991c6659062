import { createWebGpuBackend } from "@striate/backend-webgpu";
import { test } from "vitest";
import { bundledVectors, loadTrainingImages, loadVectors } from "../node.js";
import { groups } from "../results.js";
import { testBackend } from "../vitest.js";

/** Milliseconds: the thirty steps of ResNet-20 take half an hour on a software adapter that has nothing else to do. */
const twoHours = 7_200_000;

const full = process.env["STRIATE_FULL"] === "1";

/** Why there is no adapter; null where there is one. */
const missing = async (): Promise<string | null> => {
  try {
    (await createWebGpuBackend()).dispose();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

const reason = await missing();

const images = full ? await loadTrainingImages() : undefined;

if (reason === null)
  // On a software adapter compiling the shaders takes longer than all else: the rest is `npm run conformance`'s.
  await testBackend({
    name: "webgpu",
    create: createWebGpuBackend,
    vectors: await loadVectors(process.env["STRIATE_VECTORS"] ?? bundledVectors),
    ...(images && { images }),
    ...(full
      ? { timeout: twoHours }
      : { groups: groups.filter((group) => group !== "training"), shard: { index: 3, count: 40 } }),
  });
else if (process.env["STRIATE_REQUIRE_WEBGPU"] === "1")
  test("conformance of webgpu", () => {
    throw new Error(`STRIATE_REQUIRE_WEBGPU is 1, and there is no adapter: ${reason}`);
  });
else test.skip(`conformance of webgpu: left out, there is no WebGPU adapter (${reason})`, () => {});
