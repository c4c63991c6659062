import fc from "fast-check";
import { expect, test } from "vitest";
import { confusionOf, perClassOf } from "./figures.js";

test("a matrix has rows of labels and columns of predictions", () => {
  expect(confusionOf([0, 0, 1, 2], [0, 1, 1, 0], 3)).toEqual([
    [1, 1, 0],
    [0, 1, 0],
    [1, 0, 0],
  ]);
});

test("figures of a class, null where nothing is to be divided by", () => {
  expect(
    perClassOf(
      [
        [3, 1, 0],
        [1, 1, 0],
        [0, 0, 0],
      ],
      ["a", "b", "c"],
    ),
  ).toEqual([
    { name: "a", images: 4, precision: 0.75, recall: 0.75, f1: 0.75 },
    { name: "b", images: 2, precision: 0.5, recall: 0.5, f1: 0.5 },
    { name: "c", images: 0, precision: null, recall: null, f1: null },
  ]);
});

test("all images are counted; f1 lies between precision and recall", () => {
  const pairs = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 100 });
  fc.assert(
    fc.property(pairs, (images) => {
      const labels = images.map(([label]) => label);
      const confusion = confusionOf(
        labels,
        images.map(([, predicted]) => predicted),
        5,
      );
      expect(confusion.flat().reduce((a, b) => a + b, 0)).toBe(images.length);
      for (const [c, { images: count, precision, recall, f1 }] of perClassOf(confusion, [..."abcde"]).entries()) {
        expect(count).toBe(labels.filter((label) => label === c).length);
        if (precision === null || recall === null || f1 === null) continue;
        expect(f1).toBeGreaterThanOrEqual(Math.min(precision, recall) - 1e-12);
        expect(f1).toBeLessThanOrEqual(Math.max(precision, recall) + 1e-12);
      }
    }),
  );
});
