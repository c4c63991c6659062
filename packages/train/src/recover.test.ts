import { createCpuBackend } from "@striate/backend-cpu";
import { ArgumentError, type Backend, BackendLostError, crossEntropy } from "@striate/core";
import { batches, syntheticDataset } from "@striate/data";
import { batchNorm2d, build, conv2d, dropout, flatten, linear, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { describe, expect, test } from "vitest";
import { fitWithRecovery, memoryStore, type RecoveryOptions, type Training } from "./index.js";

const dataset = syntheticDataset({ count: 30, seed: 1, classes: 3, channels: 1, height: 4, width: 4 });

const layer = sequential([conv2d(1, 2, 3, { padding: 1 }), batchNorm2d(2), flatten(), dropout(0.25), linear(32, 3)]);

/** A backend that is lost at its read number `reads`, which fails as those of a device that is gone. */
const createFragileBackend = async (reads: number): Promise<Backend> => {
  const cpu = await createCpuBackend();
  let left = reads;
  let lose: (info: { reason: "unknown"; message: string }) => void = () => {};
  return {
    ...cpu,
    lost: new Promise((resolve) => {
      lose = resolve;
    }),
    read: async (source) => {
      if (left-- > 0) return cpu.read(source);
      lose({ reason: "unknown", message: "the process of the GPU crashed" });
      throw new Error("a mapping failed");
    },
  };
};

/** Eight batches through two epochs; each backend in turn lasts for so many reads. */
const train = async (
  lifetimes: readonly number[],
  options: Partial<RecoveryOptions> = {},
): Promise<{
  readonly weights: unknown;
  readonly steps: number[];
  readonly losses: number[];
  readonly opened: number;
}> => {
  const steps: number[] = [];
  const losses: number[] = [];
  let opened = 0;
  const open = async (): Promise<Training> => {
    const backend = await createFragileBackend(lifetimes[opened++] ?? Number.POSITIVE_INFINITY);
    const net = build(layer, { backend, seed: 1 });
    const optimizer = sgd(net.parameters(), { lr: 0.1, momentum: 0.9 });
    return {
      net,
      optimizer,
      loss: (logits, labels) => crossEntropy(logits, labels),
      batches: (epoch, start) => batches(dataset, { backend, size: 8, seed: 1, epoch, start }),
      epochs: 2,
      callbacks: [
        {
          // A schedule: hyperparameters are part of what is restored, and set anew for every step.
          beforeStep: ({ step }) => {
            for (const group of optimizer.groups) group.lr = 0.1 / (1 + step);
          },
          onStep: ({ step }) => {
            steps.push(step);
          },
        },
      ],
    };
  };
  const result = await fitWithRecovery({ open, every: 3, onLoss: (_, step) => losses.push(step), ...options });
  expect(result).toMatchObject({ ended: "finished", steps: 8, epochs: 2 });
  const state = [...result.net.stateDict()];
  const weights = await Promise.all(state.map(async ([name, t]) => [name, Array.from(await t.data())]));
  return { weights, steps, losses, opened };
};

describe("fitWithRecovery", () => {
  test("without a loss is `fit`", async () => {
    const { steps, losses, opened } = await train([]);
    expect(steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([losses, opened]).toEqual([[], 1]);
  });

  test("ends with the same weights, wherever the backend was lost", async () => {
    const undisturbed = (await train([])).weights;
    // Two reads a step, and those of the copies: 55 in all.
    for (let reads = 0; reads < 56; reads += 2) {
      const { weights } = await train([reads]);
      expect(weights, `lost at read ${reads}`).toEqual(undisturbed);
    }
  });

  test("goes back to the last copy, and makes the steps since then once more", async () => {
    // A copy before the first step, steps 0 to 2, a copy with momentum behind them; the last of these reads is of step 4.
    const { steps, losses } = await train([9 + 6 + 15 + 3]);
    expect(losses).toEqual([3]);
    expect(steps.slice(0, 3)).toEqual([0, 1, 2]);
    expect(steps.slice(steps.lastIndexOf(3))).toEqual([3, 4, 5, 6, 7]);
  });

  test("before the first copy, starts from the beginning", async () => {
    const { losses, opened } = await train([1]);
    expect([losses, opened]).toEqual([[0], 2]);
  });

  test("survives several losses", async () => {
    const undisturbed = (await train([])).weights;
    const { weights, opened } = await train([3, 30, 5]);
    expect(weights).toEqual(undisturbed);
    expect(opened).toBe(4);
  });

  test("passes the error on when backends are lost again and again", async () => {
    await expect(train([1, 1, 1], { attempts: 2 })).rejects.toThrow(BackendLostError);
  });

  test("attempts count from the last checkpoint on", async () => {
    // Each lasts until there is a new checkpoint, and dies soon after.
    const { opened } = await train([40, 40, 40], { attempts: 1, every: 2 });
    expect(opened).toBeGreaterThan(2);
  });

  test.each([0, 1.5])("a checkpoint every %d steps is refused", async (every) => {
    await expect(train([], { every })).rejects.toThrow(ArgumentError);
  });

  test("goes on from what its store has", async () => {
    const undisturbed = (await train([])).weights;
    const store = memoryStore();
    await expect(train([50], { store, attempts: 0 })).rejects.toThrow(BackendLostError);
    const { weights, steps } = await train([], { store });
    expect(steps[0]).toBeGreaterThan(2);
    expect(weights).toEqual(undisturbed);
  });

  test("passes other errors on at once", async () => {
    let opened = 0;
    const open = async (): Promise<Training> => {
      opened++;
      throw new RangeError("no adapter");
    };
    await expect(fitWithRecovery({ open })).rejects.toThrow("no adapter");
    expect(opened).toBe(1);
  });

  test("frees a training that failed", async () => {
    let disposed = 0;
    const backend = await createCpuBackend();
    const net = build(layer, { backend, seed: 1 });
    const optimizer = sgd(net.parameters(), { lr: 0.1 });
    const open = async (): Promise<Training> => ({
      net,
      optimizer,
      loss: () => {
        throw new Error("no loss");
      },
      batches: (epoch, start) => batches(dataset, { backend, size: 8, epoch, start }),
      epochs: 1,
      dispose: () => {
        disposed++;
      },
    });
    await expect(fitWithRecovery({ open })).rejects.toThrow("no loss");
    expect(disposed).toBe(1);
  });
});
