import { ArgumentError, crossEntropy, noGrad, scope, type Tensor } from "@striate/core";
import type { Batch } from "@striate/data";
import { logitsOf, rememberModes } from "@striate/nn";
import { breather } from "./breathe.js";
import type { Trainee } from "./gradient.js";

export interface EvaluateOptions {
  /** Images to logits [N, classes]; the default is the network's forward pass. For test-time augmentation: `withViews`. */
  readonly logits?: ((images: Tensor) => Tensor) | undefined;
  /** Called after each batch, with what all batches so far come to. */
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

/**
 * Classify all images of `batches` in evaluation mode. Afterwards, also after a failure, every layer has the mode it
 * had, and no tensor is left.
 *
 * @throws ArgumentError if there is no image; whatever the callbacks and the backend throw.
 */
export const evaluate = async (
  net: Trainee,
  batches: Iterable<Batch>,
  { logits = (images) => logitsOf(net.forward(images)), onBatch, signal }: EvaluateOptions = {},
): Promise<Evaluation> => {
  const restoreModes = rememberModes(net);
  const breathe = breather();
  const predictions: number[] = [];
  const labels: number[] = [];
  let correct = 0;
  let totalLoss = 0;
  net.eval();
  try {
    for (const batch of batches) {
      signal?.throwIfAborted();
      const [predicted, loss] = noGrad(() =>
        scope(() => {
          const scores = logits(batch.images);
          return [scores.argmax(1), crossEntropy(scores, batch.labels, { reduction: "sum" })] as const;
        }),
      );
      try {
        // One wait for the device, not three.
        const [classes, sum, expected] = await Promise.all([predicted.data(), loss.item(), batch.labels.data()]);
        totalLoss += sum;
        for (const [i, label] of expected.entries()) {
          if (classes[i] === label) correct++;
          predictions.push(classes[i] as number);
          labels.push(label);
        }
      } finally {
        predicted.dispose();
        loss.dispose();
      }
      onBatch?.({ images: labels.length, correct });
      await breathe();
    }
  } finally {
    restoreModes();
  }
  const images = labels.length;
  if (images === 0) throw new ArgumentError("evaluate: there are no images in the batches");
  return {
    images,
    correct,
    accuracy: correct / images,
    loss: totalLoss / images,
    predictions: Int32Array.from(predictions),
    labels: Int32Array.from(labels),
  };
};
