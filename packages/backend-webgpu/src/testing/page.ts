/** What `chromium.test.ts` runs in a page. */
import { crossEntropy } from "@striate/core";
import { batches, syntheticDataset } from "@striate/data";
import { batchNorm2d, build, conv2d, flatten, linear, relu, sequential } from "@striate/nn";
import { sgd } from "@striate/optim";
import { fitWithRecovery } from "@striate/train";
import { createWebGpuBackend, type WebGpuBackend } from "../index.js";

export interface PageResult {
  readonly weights: readonly (readonly [string, readonly number[]])[];
  readonly losses: readonly string[];
}

export interface PageGlobals {
  /** Trains for 24 steps, and has the GPU process crash after these steps. */
  train(crashAt: readonly number[]): Promise<PageResult>;
  /** Given by the test: resolves when the GPU's process is gone. */
  crash(): Promise<void>;
}

const dataset = syntheticDataset({ count: 32, seed: 1, classes: 3, channels: 1, height: 4, width: 4 });
const layer = sequential([conv2d(1, 4, 3, { padding: 1 }), batchNorm2d(4), relu(), flatten(), linear(64, 3)]);

/** A browser whose GPU process has just crashed has no adapter for a moment. */
const openBackend = async (attempts = 50): Promise<WebGpuBackend> => {
  try {
    return await createWebGpuBackend();
  } catch (error) {
    if (attempts === 0) throw error;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return openBackend(attempts - 1);
  }
};

const page = globalThis as unknown as PageGlobals;

page.train = async (crashAt) => {
  const left = new Set(crashAt);
  const losses: string[] = [];
  const open = async () => {
    const backend = await openBackend();
    const net = build(layer, { backend, seed: 1 });
    return {
      net,
      optimizer: sgd(net.parameters(), { lr: 0.05, momentum: 0.9 }),
      loss: crossEntropy,
      batches: (epoch: number, start: number) => batches(dataset, { backend, size: 8, seed: 1, epoch, start }),
      epochs: 6,
      callbacks: [
        {
          onStep: async ({ step }: { readonly step: number }) => {
            if (left.delete(step)) await page.crash();
          },
        },
      ],
      dispose: () => backend.dispose(),
    };
  };
  const { net } = await fitWithRecovery({ open, every: 4, onLoss: ({ reason }) => losses.push(reason) });
  const weights = await Promise.all(
    [...net.stateDict()].map(async ([name, t]) => [name, Array.from(await t.data())] as const),
  );
  return { weights, losses };
};
