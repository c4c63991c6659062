/** A run of seconds in which everything is at work that has a state. */
import { type Backend, crossEntropy } from "@striate/core";
import { batches, syntheticDataset } from "@striate/data";
import { batchNorm2d, build, conv2d, dropout, flatten, linear, relu, sequential } from "@striate/nn";
import { ema, lookahead, oneCycleLr, sgd } from "@striate/optim";
import { earlyStopping } from "../early-stopping.js";
import { evaluate } from "../evaluate.js";
import type { RunTraining } from "../node/train-run.js";

const classes = 3;
const image = { classes, channels: 1, height: 4, width: 4 };
const training = syntheticDataset({ ...image, count: 30, seed: 1 });
const held = syntheticDataset({ ...image, count: 12, seed: 2 });
const size = 8;
const epochs = 3.5;
export const totalSteps = 14;

const layer = sequential([
  conv2d(1, 4, 3, { padding: 1 }),
  batchNorm2d(4),
  relu(),
  flatten(),
  dropout(0.25),
  linear(64, classes),
]);

/** `point` is called in the middle of steps and validations. */
export const openSmallRun = async (
  backend: Backend,
  { point = () => {}, signal }: { readonly point?: () => void; readonly signal?: AbortSignal | undefined } = {},
): Promise<RunTraining> => {
  const net = build(layer, { backend, seed: 1 });
  const optimizer = sgd(net.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true });
  const slow = lookahead({ tensors: net.stateDict().values(), every: 3, decay: (step) => 0.5 + step / 100 });
  const averages = ema({ tensors: net.stateDict().values(), decay: 0.8 });
  const stopping = earlyStopping({ net, patience: 50 });
  const lr = oneCycleLr(0.1, { totalSteps });
  return {
    net,
    optimizer,
    signal,
    loss: (logits, targets) => {
      point();
      return crossEntropy(logits, targets);
    },
    batches: (epoch, start) =>
      batches(training, { backend, size, seed: 1, epoch, start, augment: { flip: "random", crop: { padding: 1 } } }),
    epochs,
    callbacks: [
      stopping,
      {
        // A layer that is trained for a while only.
        beforeEpoch: (epoch) => {
          if (epoch === 2) net.freeze((name) => name === "0.bias");
        },
        beforeStep: ({ step }) => {
          for (const group of optimizer.groups) group.lr = lr(step);
        },
        afterStep: () => {
          point();
          slow.step();
          averages.step();
        },
      },
    ],
    extras: { lookahead: slow, ema: averages, "early-stopping": stopping },
    validate: async () => {
      point();
      return averages.withAverages(() => evaluate(net, batches(held, { backend, size })));
    },
    finish: () => slow.finish(),
    adopt: () => averages.finish(),
    test: async () => {
      point();
      const { loss, accuracy, images } = await evaluate(net, batches(held, { backend, size }));
      return { loss, accuracy, images };
    },
    dispose: () => {
      for (const part of [stopping, averages, slow, optimizer, net]) part.dispose();
    },
  };
};
