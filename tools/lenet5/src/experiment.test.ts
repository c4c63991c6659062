import { createCpuBackend } from "@striate/backend-cpu";
import { type Backend, memoryUsage, type Tensor } from "@striate/core";
import { type ImageDataset, syntheticDataset } from "@striate/data";
import { beforeEach, describe, expect, test } from "vitest";
import { type ExperimentOptions, type Pass, runExperiment, type Step } from "./experiment.js";

let backend: Backend;
beforeEach(async () => {
  backend = await createCpuBackend();
});

const digits = (split: "train" | "test", count: number): ImageDataset =>
  syntheticDataset({ count, seed: 2, split, channels: 1, height: 28, width: 28, noise: 0.2 });

const options = (more: Partial<ExperimentOptions> = {}): ExperimentOptions => ({
  backend,
  train: digits("train", 12),
  test: digits("test", 20),
  passes: 2,
  seed: 1,
  head: "rbf",
  ...more,
});

const weights = (state: ReadonlyMap<string, Tensor>): number[][] => [...state.values()].map((t) => [...t.dataSync()]);

describe("the experiment", () => {
  test.each(["rbf", "softmax"] as const)("trains with one image a step and tests after each pass: %s", async (head) => {
    const passes: Pass[] = [];
    const steps: Step[] = [];
    const net = await runExperiment(
      options({ head, onPass: (pass) => passes.push(pass), onStep: (step) => steps.push(step) }),
    );
    expect(steps.map(({ pass, images }) => [pass, images])).toEqual(
      [1, 2].flatMap((pass) => Array.from({ length: 12 }, (_, i) => [pass, i + 1])),
    );
    expect(passes.map(({ pass, eta }) => [pass, eta])).toEqual([
      [1, 5e-4],
      [2, 5e-4],
    ]);
    passes.forEach(({ pass, loss, testError }) => {
      const own = steps.filter((step) => step.pass === pass);
      expect(loss).toBeCloseTo(own.reduce((sum, step) => sum + step.loss, 0) / 12, 9);
      expect(testError * 20).toBeCloseTo(Math.round(testError * 20), 9);
    });
    // C3 has two constants: which weight goes where, and zeros for the rest.
    expect(memoryUsage(backend).tensors).toBe(net.stateDict().size + 2);
    net.dispose();
    expect(memoryUsage(backend).tensors).toBe(0);
  });

  test("gives the same weights for the same seed, and others for another", async () => {
    const run = async (seed: number) => weights((await runExperiment(options({ seed, passes: 1 }))).stateDict());
    const first = await run(1);
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });

  test("stops before the next image, with the reason, and leaves nothing", async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const stopped = runExperiment(
      options({
        signal: controller.signal,
        onStep: ({ images }) => {
          seen.push(images);
          if (images === 3) controller.abort(new Error("enough"));
        },
      }),
    );
    await expect(stopped).rejects.toThrow("enough");
    expect(seen).toEqual([1, 2, 3]);
    expect(memoryUsage(backend).tensors).toBe(0);
  });
});
