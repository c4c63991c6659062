import { createCpuBackend } from "@striate/backend-cpu";
import { memoryUsage, tensor } from "@striate/core";
import { imageDataset } from "@striate/data";
import { decode } from "fast-png";
import { describe, expect, test } from "vitest";
import { predictionsOf, predictionsSchema, recordPredictions, topClasses } from "./predictions.js";

test("the top: the likeliest first, ties to the lower class, NaN last", () => {
  expect(topClasses(Float32Array.of(0.25, 0.5, 0.25))).toEqual([
    [1, 0.5],
    [0, 0.25],
    [2, 0.25],
  ]);
  expect(topClasses(Float32Array.of(Number.NaN, 0.5), 5)).toEqual([
    [1, 0.5],
    [0, 0],
  ]);
});

const dataset = imageDataset({
  name: "tiny/test",
  images: Uint8Array.from({ length: 12 }, (_, i) => i),
  labels: Uint8Array.of(0, 1, 2, 0),
  channels: 3,
  height: 1,
  width: 1,
  classes: ["a", "b", "c"],
  mean: [0, 0, 0],
  std: [1, 1, 1],
});
const probabilities = Float32Array.of(0.7, 0.2, 0.1, 0.6, 0.3, 0.1, 0.9, 0.1, 0, 0.1, 0.8, 0.1);

describe("predictions", () => {
  test("have the worst mistakes first, with their images", () => {
    const made = predictionsOf({ dataset, which: "last", probabilities });
    expect(made).toMatchObject({
      which: "last",
      split: "tiny/test",
      classes: ["a", "b", "c"],
      labels: [0, 1, 2, 0],
      predictions: [0, 0, 0, 1],
    });
    expect(made.worst.map(({ index, label, predicted }) => [index, label, predicted])).toEqual([
      [2, 2, 0],
      [3, 0, 1],
      [1, 1, 0],
    ]);
    const image = made.worst[0]?.png.replace("data:image/png;base64,", "") as string;
    expect([...decode(Buffer.from(image, "base64")).data]).toEqual([6, 7, 8, 255]);
    expect(predictionsSchema.parse(JSON.parse(JSON.stringify(made)))).toEqual(made);
  });

  test("of a perfect network have none", () => {
    const perfect = Float32Array.from({ length: 12 }, (_, i) => +(dataset.labels[Math.floor(i / 3)] === i % 3));
    expect(predictionsOf({ dataset, which: "best", probabilities: perfect, split: "x" })).toMatchObject({
      split: "x",
      worst: [],
    });
  });

  test("no more mistakes than asked for", () => {
    expect(predictionsOf({ dataset, which: "last", probabilities, worst: 1 }).worst).toHaveLength(1);
  });

  test("probabilities of another set are a RangeError", () => {
    expect(() => predictionsOf({ dataset, which: "last", probabilities: new Float32Array(9) })).toThrow(RangeError);
  });
});

describe("recording", () => {
  test("keeps the softmax of all batches in their order, and no tensor", async () => {
    const backend = await createCpuBackend();
    const logits = [
      tensor([[0, Math.log(3)]], { backend }),
      tensor(
        [
          [Math.log(4), 0],
          [0, 0],
        ],
        { backend },
      ),
    ];
    const alive = memoryUsage(backend).tensors;
    const recorder = recordPredictions((x) => x);
    for (const scores of logits) expect(recorder.logits(scores)).toBe(scores);
    expect([...(await recorder.finish())].map((p) => Number(p.toFixed(6)))).toEqual([0.25, 0.75, 0.8, 0.2, 0.5, 0.5]);
    expect(memoryUsage(backend).tensors).toBe(alive);
    recorder.logits(logits[0] as (typeof logits)[0]);
    recorder.dispose();
    expect(memoryUsage(backend).tensors).toBe(alive);
  });
});
