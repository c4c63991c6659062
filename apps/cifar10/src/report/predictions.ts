/** What the network said to each image of a set, with the worst mistakes as pictures: predictions.json. */
import { keep, noGrad, scope, type Tensor } from "@striate/core";
import type { ImageDataset } from "@striate/data";
import { z } from "zod";
import { imagePicture, toDataUrl } from "./pictures.js";

const count = z.int().nonnegative();

const mistake = z.object({
  index: count,
  label: count,
  predicted: count,
  /** Of the wrong class. */
  probability: z.number(),
  /** A data URL. */
  png: z.string().startsWith("data:image/png;base64,"),
});

export const predictionsSchema = z.looseObject({
  which: z.enum(["last", "best"]),
  /** Name of the set. */
  split: z.string(),
  classes: z.array(z.string()),
  labels: z.array(count),
  predictions: z.array(count),
  /** Of each image the likeliest three classes (or all, if there are fewer) with their probabilities. */
  probabilities: z.array(z.array(z.tuple([count, z.number()]))),
  /** The mistakes that the network was surest of. */
  worst: z.array(mistake),
});

export type Predictions = z.output<typeof predictionsSchema>;
export type ClassProbability = readonly [classIndex: number, probability: number];

/** The `k` likeliest classes, the likeliest first; ties to the lower class, as argmax. NaN counts as 0. */
export const topClasses = (row: Float32Array | Float64Array, k = 3): [number, number][] =>
  Array.from(row, (p, c): [number, number] => [c, Number.isNaN(p) ? 0 : p])
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .slice(0, k);

export interface PredictionRecorder {
  /** To evaluate with: see the options of `evaluate`. */
  readonly logits: (images: Tensor) => Tensor;
  /** Softmax of all logits so far, [images, classes] row by row. Frees what was kept. */
  finish(): Promise<Float32Array>;
  /** Frees what was kept, for an evaluation that failed. */
  dispose(): void;
}

/** Keeps the probabilities of an evaluation, so that the images need not be seen twice. */
export const recordPredictions = (logits: (images: Tensor) => Tensor): PredictionRecorder => {
  let kept: Tensor[] = [];
  const dispose = (): void => {
    for (const tensor of kept) tensor.dispose();
    kept = [];
  };
  return {
    logits: (images) => {
      const scores = logits(images);
      kept.push(keep(noGrad(() => scope(() => scores.softmax(1)))));
      return scores;
    },
    finish: async () => {
      try {
        const parts = await Promise.all(kept.map((tensor) => tensor.data()));
        const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
        let at = 0;
        for (const part of parts) {
          all.set(part as Float32Array, at);
          at += part.length;
        }
        return all;
      } finally {
        dispose();
      }
    },
    dispose,
  };
};

export interface PredictionsOptions {
  /** All its images, in its order. */
  readonly dataset: ImageDataset;
  readonly which: "last" | "best";
  /** Default: the dataset's name. */
  readonly split?: string | undefined;
  /** [images, classes] */
  readonly probabilities: Float32Array;
  /** How many mistakes to show. Default 30. */
  readonly worst?: number | undefined;
}

/** Six digits: enough to find a figure again, and half the file. */
const rounded = (probability: number): number => Number(probability.toPrecision(6));

export const predictionsOf = ({
  dataset,
  which,
  split = dataset.name,
  probabilities,
  worst = 30,
}: PredictionsOptions): Predictions => {
  const classes = dataset.classes.length;
  if (probabilities.length !== dataset.count * classes)
    throw new RangeError(
      `predictionsOf: ${probabilities.length} probabilities, expected ${dataset.count} x ${classes}, one for each image and class`,
    );
  const top = Array.from({ length: dataset.count }, (_, i) =>
    topClasses(probabilities.subarray(i * classes, (i + 1) * classes)).map(([c, p]): [number, number] => [
      c,
      rounded(p),
    ]),
  );
  const mistakes = top.flatMap(([[predicted, probability] = [0, 0]], index) => {
    const label = dataset.labels[index] as number;
    return predicted === label ? [] : [{ index, label, predicted, probability }];
  });
  mistakes.sort((a, b) => b.probability - a.probability || a.index - b.index);
  return {
    which,
    split,
    classes: [...dataset.classes],
    labels: [...dataset.labels],
    predictions: top.map(([first]) => first?.[0] ?? 0),
    probabilities: top,
    worst: mistakes.slice(0, worst).map((one) => ({ ...one, png: toDataUrl(imagePicture(dataset, one.index)) })),
  };
};
