import { ArgumentError, type Tensor } from "@striate/core";
import { batchNorm2d, conv2d, dropout, flatten, linear, relu, sequential } from "@striate/nn";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { confusionOf } from "../report/figures.js";
import type { SnapshotRequest } from "./protocol.js";
import { evaluationImages, takeSnapshot } from "./snapshots.js";
import { aliveOn, type Subject, smallSubject } from "./testing/simulate.js";

/** With all that a look must not move: running statistics, a counter, dropped units. */
const layer = sequential([
  conv2d(3, 6, 3, { stride: 4 }),
  batchNorm2d(6),
  relu(),
  flatten(),
  dropout(0.5),
  linear(6 * 64, 10),
]);

const stateOf = async ({ net }: Subject) => ({
  tensors: await Promise.all(
    [...net.stateDict()].map(async ([name, tensor]) => [name, [...(await tensor.data())]] as const),
  ),
  counters: [...net.counters()],
  modes: [net.training, ...[...net.children.values()].map(({ training }) => training)],
  gradients: net.parameters().map(({ requiresGrad, grad }) => [requiresGrad, grad]),
});

const requests: readonly SnapshotRequest[] = [
  { type: "snapshot", what: "filters" },
  { type: "snapshot", what: "filters", layer: "5.weight" },
  { type: "snapshot", what: "gradients" },
  { type: "snapshot", what: "gradients", layer: "5.weight" },
  { type: "snapshot", what: "activations" },
  { type: "snapshot", what: "activations", layer: "5", example: 70 },
  { type: "snapshot", what: "predictions", from: 60 },
];

let subject: Subject;
beforeAll(async () => {
  subject = await smallSubject(undefined, layer);
});
afterAll(() => subject.dispose());

describe.each(requests)("%j", (request) => {
  test("leaves no trace and no tensor", async () => {
    const before = await stateOf(subject);
    const alive = aliveOn(subject);
    subject.net.train();
    const snapshot = await takeSnapshot(subject, request, 7);
    expect(aliveOn(subject)).toEqual(alive);
    expect(await stateOf(subject)).toEqual(before);
    expect(snapshot).toMatchObject({ what: request.what, step: 7 });
  });
});

describe("what it shows", () => {
  test("filters: those of the first layer unless told, and all that can be asked for", async () => {
    const first = await takeSnapshot(subject, { type: "snapshot", what: "filters" }, 1);
    expect(first).toMatchObject({
      layer: "0.weight",
      layers: ["0.weight", "5.weight"],
      shape: [6, 3, 3, 3],
      tiles: "filters",
    });
    const last = await takeSnapshot(subject, { type: "snapshot", what: "filters", layer: "5.weight" }, 1);
    expect(last).toMatchObject({ layer: "5.weight", tiles: "matrix" });
  });

  test("gradients: sizes of all parameters, and none of frozen ones", async () => {
    subject.net.freeze((name) => name === "0.weight");
    try {
      const snapshot = await takeSnapshot(subject, { type: "snapshot", what: "gradients" }, 1);
      if (snapshot.what !== "gradients") throw new Error("another snapshot");
      expect(snapshot.layer).toBe("5.weight");
      expect(snapshot.sizes.map(({ name }) => name)).toEqual(["0.bias", "1.weight", "1.bias", "5.weight", "5.bias"]);
      const { weight, gradient } = snapshot.sizes.find(({ name }) => name === "5.weight") as (typeof snapshot.sizes)[0];
      const values = (await (subject.net.namedParameters().get("5.weight") as Tensor).data()) as Float32Array;
      expect(weight).toBeCloseTo(Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length), 5);
      expect(gradient).toBeGreaterThan(0);
    } finally {
      subject.net.unfreeze();
    }
  });

  test("activations: the first maps unless told, with the image, what was said of it, and which pixels matter", async () => {
    const snapshot = await takeSnapshot(subject, { type: "snapshot", what: "activations", example: 66 }, 1);
    if (snapshot.what !== "activations") throw new Error("another snapshot");
    expect(snapshot).toMatchObject({ layer: "0", shape: [6, 8, 8], shown: 6, of: 6, examples: 64 });
    expect(snapshot.layers).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(snapshot.example.index).toBe(2);
    expect(snapshot.example.top).toHaveLength(3);
    expect(snapshot.saliency).toMatchObject({ width: 32, height: 32 });
  });

  test("predictions: the next twelve examples, round and round", async () => {
    const snapshot = await takeSnapshot(subject, { type: "snapshot", what: "predictions", from: 60 }, 1);
    if (snapshot.what !== "predictions") throw new Error("another snapshot");
    expect(snapshot.examples.map(({ index }) => index)).toEqual([60, 61, 62, 63, 0, 1, 2, 3, 4, 5, 6, 7]);
    for (const { label, index, top } of snapshot.examples) {
      expect(label).toBe(subject.examples.labels[index]);
      const probabilities = top.map(([, p]) => p);
      expect(probabilities).toEqual([...probabilities].sort((a, b) => b - a));
    }
  });

  test("of a network of vectors, activations are vectors", async () => {
    const flat = await smallSubject(undefined, sequential([flatten(), linear(3072, 12), relu(), linear(12, 10)]));
    const snapshot = await takeSnapshot(flat, { type: "snapshot", what: "activations" }, 1);
    expect(snapshot).toMatchObject({ layer: "0", shape: [3072] });
    const first = await takeSnapshot(flat, { type: "snapshot", what: "filters" }, 1);
    expect(first).toMatchObject({ tiles: "units", shown: 12 });
    flat.dispose();
  });
});

test.each<SnapshotRequest>([
  { type: "snapshot", what: "filters", layer: "9.weight" },
  { type: "snapshot", what: "filters", layer: "0.bias" },
  { type: "snapshot", what: "gradients", layer: "__proto__" },
  { type: "snapshot", what: "activations", layer: "nothing" },
])("%j is an ArgumentError that leaves no trace", async (request) => {
  const before = await stateOf(subject);
  const alive = aliveOn(subject);
  await expect(takeSnapshot(subject, request, 1)).rejects.toThrow(ArgumentError);
  expect(aliveOn(subject)).toEqual(alive);
  expect(await stateOf(subject)).toEqual(before);
});

test("an evaluation keeps a few images of each cell, the right ones", () => {
  const { examples } = subject;
  const labels = [...examples.labels];
  const predictions = labels.map((label, i) => (i % 3 === 0 ? (label + 1) % 10 : 0));
  const made = evaluationImages({ dataset: examples, step: 4, labels, predictions });
  expect(made).toMatchObject({ split: examples.name, step: 4, confusion: confusionOf(labels, predictions, 10) });
  const size = 3 * 32 * 32;
  expect(made.images).toHaveLength(made.cells.length * size);
  made.cells.forEach(({ index, label, predicted }, i) => {
    expect([label, predicted]).toEqual([labels[index], predictions[index]]);
    expect(made.images.subarray(i * size, (i + 1) * size)).toEqual(
      examples.images.subarray(index * size, (index + 1) * size),
    );
  });
  for (const [label, row] of made.confusion.entries())
    for (const [predicted, count] of row.entries()) {
      const kept = made.cells.filter((cell) => cell.label === label && cell.predicted === predicted).length;
      expect(kept).toBe(Math.min(12, count));
    }
});
