import { ArgumentError, crossEntropy, type Tensor, tensor } from "@striate/core";
import { batches } from "@striate/data";
import { build, dropout, flatten, type Layer, linear, sequential } from "@striate/nn";
import { describe, expect, test } from "vitest";
import { evaluate } from "./evaluate.js";
import { alive, classes, createProblem } from "./testing/problem.js";

/** Logits that are `classOf` of the image's number in the dataset, whatever the image shows. */
const oracle = (labels: readonly number[], backend: Tensor["backend"]) => {
  let at = 0;
  return (images: Tensor): Tensor => {
    const count = images.shape[0] as number;
    const rows = labels.slice(at, at + count).map((label) => Array.from({ length: classes }, (_, c) => +(c === label)));
    at += count;
    return tensor(rows, { backend });
  };
};

describe("evaluate", () => {
  test("counts, and gives predictions and labels in order", async () => {
    const { backend, dataset, net } = await createProblem();
    const inOrder = batches(dataset, { backend, size: 8 });
    const claimed = Array.from(dataset.labels, (label, i) => (i % 5 === 0 ? (label + 1) % classes : label));
    const done: unknown[] = [];
    const result = await evaluate(net, inOrder, {
      logits: oracle(claimed, backend),
      onBatch: (counts) => done.push(counts),
    });
    expect(result).toMatchObject({ images: 30, correct: 24, accuracy: 0.8 });
    expect([...result.predictions]).toEqual(claimed);
    expect([...result.labels]).toEqual([...dataset.labels]);
    expect(done.map((counts) => (counts as { images: number }).images)).toEqual([8, 16, 24, 30]);
    expect(done.at(-1)).toEqual({ images: 30, correct: 24 });
    // Right at e / (e + 2), wrong at 1 / (e + 2).
    expect(result.loss).toBeCloseTo(Math.log(Math.E + 2) - 0.8, 5);
  });

  test("is the mean over images, not over batches", async () => {
    const { backend, dataset, net } = await createProblem();
    const whole = batches(dataset, { backend, size: 30 });
    const [one] = await Promise.all([evaluate(net, whole)]);
    const parts = await evaluate(net, batches(dataset, { backend, size: 7 }));
    expect(parts.loss).toBeCloseTo(one.loss, 5);
    expect(parts.accuracy).toBe(one.accuracy);
    for (const { images, labels } of whole)
      expect(one.loss).toBeCloseTo(await crossEntropy(net.forward(images), labels).item(), 5);
  });

  test("leaves no tensor", async () => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    await evaluate(problem.net, problem.batches(0));
    expect(alive(problem.backend)).toEqual(before);
  });

  test("no image is an ArgumentError", async () => {
    const { net } = await createProblem();
    await expect(evaluate(net, [])).rejects.toThrow(ArgumentError);
  });

  test("the signal ends it with its reason", async () => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    const controller = new AbortController();
    const reason = new Error("enough");
    let seen = 0;
    const evaluation = evaluate(problem.net, problem.batches(0), {
      signal: controller.signal,
      onBatch: ({ images }) => {
        seen = images;
        controller.abort(reason);
      },
    });
    await expect(evaluation).rejects.toBe(reason);
    expect(seen).toBe(8);
    expect(alive(problem.backend)).toEqual(before);
  });
});

describe("the mode", () => {
  const layer: Layer = sequential([flatten(), linear(16, classes), dropout(0.5)]);

  test("is evaluation meanwhile", async () => {
    const problem = await createProblem({ layer });
    await evaluate(problem.net, problem.batches(0), {
      logits: (images) => {
        expect(problem.net.training).toBe(false);
        return problem.net.forward(images);
      },
    });
    expect([...problem.net.counters().values()]).toEqual([0]);
  });

  test.each([true, false])("is what it was afterwards (training %s), layer by layer", async (training) => {
    const { backend, batches: epoch } = await createProblem();
    const net = build(layer, { backend, seed: 1 });
    net.train(training);
    const [first, ...others] = net.children.values();
    first?.train(!training);
    await evaluate(net, epoch(0));
    expect(net.training).toBe(training);
    expect(first?.training).toBe(!training);
    for (const child of others) expect(child.training).toBe(training);
  });

  const failure = new Error("as arranged");
  const fail = (): never => {
    throw failure;
  };
  test.each(["logits", "onBatch"] as const)("is put back when %s fails, and nothing leaks", async (option) => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    await expect(evaluate(problem.net, problem.batches(0), { [option]: fail })).rejects.toBe(failure);
    expect(problem.net.training).toBe(true);
    expect(alive(problem.backend)).toEqual(before);
  });

  test("logits of the wrong shape leak nothing", async () => {
    const problem = await createProblem();
    const before = alive(problem.backend);
    const evaluation = evaluate(problem.net, problem.batches(0), { logits: (images) => images.flatten(0) });
    await expect(evaluation).rejects.toThrow();
    expect(alive(problem.backend)).toEqual(before);
  });
});
