import { syntheticDataset } from "@striate/data";
import { expect, test } from "vitest";
import { framed } from "./images.js";

test("images stand in the middle, and nothing is around them", () => {
  const dataset = syntheticDataset({ count: 3, seed: 1, channels: 2, height: 3, width: 4 });
  const { images, height, width, labels, count, mean, synthetic } = framed(dataset, 2);
  expect([height, width, count, synthetic]).toEqual([7, 8, 3, true]);
  expect(labels).toEqual(dataset.labels);
  expect(mean).toEqual(dataset.mean);
  for (let plane = 0; plane < 6; plane++)
    for (let y = 0; y < 7; y++)
      for (let x = 0; x < 8; x++) {
        const inside = y >= 2 && y < 5 && x >= 2 && x < 6;
        const pixel = images[(plane * 7 + y) * 8 + x];
        expect(pixel).toBe(inside ? dataset.images[(plane * 3 + y - 2) * 4 + x - 2] : 0);
      }
});
