import { crossEntropy, noGrad, type Tensor } from "@striate/core";
import type { Batch } from "@striate/data";
import type { Module } from "@striate/nn";
import { breather } from "./breathe.js";

export interface EvaluateOptions {
  /** Images to logits [N, classes]; the default is the network's forward pass. For test-time augmentation. */
  readonly logits?: ((images: Tensor) => Tensor) | undefined;
  /** Called after each batch. */
  readonly onBatch?: ((done: { readonly images: number; readonly correct: number }) => void) | undefined;
  /** Ends the evaluation before the next batch; the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface Evaluation {
  readonly images: number;
  readonly correct: number;
  /** correct / images */
  readonly accuracy: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  /** The class that each image was taken for, in the order of the batches. */
  readonly predictions: Int32Array;
  /** The class that each image has. */
  readonly labels: Int32Array;
}

/** Classify all images of `batches` in evaluation mode; the network's mode is put back afterwards. */
export const evaluate = async (
  net: Module,
  batches: Iterable<Batch>,
  { logits = net.forward, onBatch, signal }: EvaluateOptions = {},
): Promise<Evaluation> => {
  const { training } = net;
  const breathe = breather();
  const predictions: number[] = [];
  const labels: number[] = [];
  let correct = 0;
  let totalLoss = 0;
  net.eval();
  try {
    for (const batch of batches) {
      signal?.throwIfAborted();
      const [predicted, loss] = noGrad(() => {
        const scores = logits(batch.images);
        const pair = [scores.argmax(1), crossEntropy(scores, batch.labels, { reduction: "sum" })] as const;
        scores.dispose();
        return pair;
      });
      const expected = await batch.labels.data();
      const classes = await predicted.data();
      totalLoss += await loss.item();
      predicted.dispose();
      loss.dispose();
      for (const [i, label] of expected.entries()) {
        if (classes[i] === label) correct++;
        predictions.push(classes[i] as number);
        labels.push(label);
      }
      onBatch?.({ images: labels.length, correct });
      await breathe();
    }
  } finally {
    net.train(training);
  }
  const images = labels.length;
  return {
    images,
    correct,
    accuracy: correct / images,
    loss: totalLoss / images,
    predictions: Int32Array.from(predictions),
    labels: Int32Array.from(labels),
  };
};
