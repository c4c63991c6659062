import type { ImageDataset } from "@striate/data";
import type { RunFolder } from "@striate/train/node";
import { confusionOf, perClassOf, predictionsOf, recordPredictions } from "../report/index.js";
import { type EvaluationOptions, evaluateOn } from "./evaluation.js";
import type { Net } from "./trained.js";

export interface Tested {
  readonly accuracy: number;
  readonly loss: number;
  readonly images: number;
  readonly labels: Int32Array;
  readonly predictions: Int32Array;
  /** For the metrics. */
  readonly line: Readonly<Record<string, unknown>>;
}

/**
 * Looks at the test images, and writes every prediction to predictions.json if these are the weights that the run comes to.
 */
export const testWeights = async (
  net: Net,
  dataset: ImageDataset,
  which: "last" | "best",
  run: Pick<RunFolder, "writeText">,
  options: Omit<EvaluationOptions, "heard"> & { readonly kept: boolean },
): Promise<Tested> => {
  const recorders: ReturnType<typeof recordPredictions>[] = [];
  try {
    const { accuracy, loss, images, labels, predictions } = await evaluateOn(net, dataset, {
      ...options,
      heard: (logits) => {
        const recorder = recordPredictions(logits);
        recorders.push(recorder);
        return recorder.logits;
      },
    });
    const confusion = confusionOf(labels, predictions, dataset.classes.length);
    const perClass = perClassOf(confusion, dataset.classes);
    const probabilities = await recorders[0]?.finish();
    if (options.kept && probabilities !== undefined)
      await run.writeText(
        "predictions.json",
        `${JSON.stringify(predictionsOf({ dataset, which, split: "test", probabilities }))}\n`,
      );
    const line = { loss, accuracy, images, views: options.views, confusion, perClass };
    return { accuracy, loss, images, labels, predictions, line };
  } finally {
    for (const recorder of recorders) recorder.dispose();
  }
};
