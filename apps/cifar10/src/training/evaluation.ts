import type { Backend, Tensor } from "@striate/core";
import { batches, type ImageDataset } from "@striate/data";
import { logitsOf, type Module, type Output } from "@striate/nn";
import { type Evaluation, evaluate, type Views, withViews } from "@striate/train";
import type { Reporter } from "../reporter.js";

type Net = Module<(x: Tensor) => Output>;

export interface EvaluationOptions {
  readonly backend: Backend;
  readonly views: Views;
  /** What goes on, for the progress line. */
  readonly phase: string;
  readonly reporter: Pick<Reporter, "progress">;
  /** The promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Hears the logits of each batch; must leave them alone. */
  readonly heard?: ((logits: (x: Tensor) => Tensor) => (x: Tensor) => Tensor) | undefined;
}

/** Images a batch: more do not make it faster. */
const batchSize = 500;

/** Classifies a whole dataset, averaging over views. */
export const evaluateOn = (
  net: Net,
  dataset: ImageDataset,
  { backend, views, phase, reporter, signal, heard = (logits) => logits }: EvaluationOptions,
): Promise<Evaluation> =>
  evaluate(net, batches(dataset, { backend, size: Math.min(batchSize, dataset.count) }), {
    logits: heard(withViews((images) => logitsOf(net.forward(images)), views)),
    onBatch: ({ images }) => reporter.progress({ phase, done: images, total: dataset.count }),
    signal,
  });
