import { IndexError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createComparison, type HostTensor, random, tensor } from "../testing/compare.js";
import { crossEntropyKernels } from "./cross-entropy.js";

const { compare, run } = await createComparison(crossEntropyKernels);

const float32 = (...shape: number[]) => [{ shape, dtype: "float32" }] as const;
const labelsFor = (batch: number, classes: number): HostTensor => random([batch], 7, 0, classes, "int32");

const both = (logits: HostTensor, labels: HostTensor, labelSmoothing: number, absolute = 2e-6): void => {
  const [batch, classes] = logits.shape as [number, number];
  compare("crossEntropy", [logits, labels], float32(batch), { labelSmoothing }, { ulps: 4, absolute });
  const gy = random([batch], 3);
  compare(
    "crossEntropyGrad",
    [logits, labels, gy],
    float32(batch, classes),
    { labelSmoothing },
    { ulps: 4, absolute: 1e-6 },
  );
};

describe.each([0, 0.1])("label smoothing %d", (smoothing) => {
  test.each([
    [1, 1],
    [4, 2],
    [7, 3],
    [5, 4],
    [5, 65],
    [128, 10],
    [128, 1000],
    [3, 20_000],
  ])("%d rows, %d classes", (batch, classes) => {
    both(random([batch, classes], 1, -3, 3), labelsFor(batch, classes), smoothing);
  });

  test("far values", () => {
    both(random([6, 11], 1, -90, 90), labelsFor(6, 11), smoothing, 2e-5);
    both(random([6, 11], 1, 1000, 1010), labelsFor(6, 11), smoothing, 2e-5);
  });

  test("special values", () => {
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    const rows = [nan, 1, 2, inf, 1, 2, 1, inf, 2, -inf, 1, 2, 1, -inf, 2, -inf, -inf, -inf];
    both(tensor([6, 3], rows), tensor([6], [0, 0, 0, 0, 1, 0], "int32"), smoothing);
  });
});

test("a loss near 0 keeps its precision", () => {
  const logits = tensor([2, 2], [20, 0, 40, 0]);
  const labels = tensor([2], [0, 0], "int32");
  both(logits, labels, 0, 1e-15);
  const [gx] = run("crossEntropyGrad", [logits, labels, tensor([2], [1, 1])], float32(2, 2), { labelSmoothing: 0 });
  expect(gx?.[0]).toBeCloseTo(-Math.exp(-20), 14);
});

test.each([3, -1])("label %d is refused", (bad) => {
  const logits = random([2, 3]);
  const labels = tensor([2], [0, bad], "int32");
  expect(() => run("crossEntropy", [logits, labels], float32(2), { labelSmoothing: 0 })).toThrow(
    new IndexError(`crossEntropy: labels[1] is ${bad}, expected 0 to 2`),
  );
  expect(() => run("crossEntropyGrad", [logits, labels, random([2])], float32(2, 3), { labelSmoothing: 0 })).toThrow(
    IndexError,
  );
});
