import type { ClassFigures } from "./metrics.js";

/** How many images of class `label` were taken for class `predicted`, at [label][predicted]. */
export const confusionOf = (labels: ArrayLike<number>, predictions: ArrayLike<number>, classes: number): number[][] => {
  const confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) {
    const row = confusion[labels[i] as number] as number[];
    (row[predictions[i] as number] as number)++;
  }
  return confusion;
};

const ratio = (a: number, b: number): number | null => (b === 0 ? null : a / b);

/** Figures of each class against all others; f1 is the harmonic mean of precision and recall. */
export const perClassOf = (confusion: readonly (readonly number[])[], names: readonly string[]): ClassFigures[] =>
  names.map((name, c) => {
    const images = (confusion[c] as readonly number[]).reduce((a, b) => a + b, 0);
    const predicted = confusion.reduce((sum, row) => sum + (row[c] as number), 0);
    const correct = confusion[c]?.[c] as number;
    return {
      name,
      images,
      precision: ratio(correct, predicted),
      recall: ratio(correct, images),
      f1: ratio(2 * correct, images + predicted),
    };
  });
