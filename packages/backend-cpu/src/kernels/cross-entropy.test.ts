import { IndexError } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createHarness, tensor } from "../testing/harness.js";

const { run1 } = await createHarness();

const logits = tensor([2, 2], [0, Math.log(3), Math.log(7), 0], "float64");
const labels = tensor([2], [1, 0], "int32");

describe("crossEntropy", () => {
  test("is -log of the label's probability", () => {
    const loss = run1("crossEntropy", [logits, labels], [2], { labelSmoothing: 0 }, "float64");
    expect(loss[0]).toBeCloseTo(-Math.log(3 / 4), 14);
    expect(loss[1]).toBeCloseTo(-Math.log(7 / 8), 14);
  });

  test("smoothing shares s among all classes", () => {
    const [loss] = run1("crossEntropy", [logits, labels], [2], { labelSmoothing: 0.2 }, "float64");
    expect(loss).toBeCloseTo(-0.9 * Math.log(3 / 4) - 0.1 * Math.log(1 / 4), 14);
  });

  test("is exact where the label outweighs the rest, and finite beside an impossible class", () => {
    const x = tensor([2, 2], [40, 0, 1, -Infinity], "float64");
    const loss = run1("crossEntropy", [x, tensor([2], [0, 0], "int32")], [2], { labelSmoothing: 0 }, "float64");
    expect(loss).toEqual([0, 0]);
    const far = run1("crossEntropy", [x, tensor([2], [1, 1], "int32")], [2], { labelSmoothing: 0 }, "float64");
    expect(far).toEqual([40, Infinity]);
  });

  test.each([2, -1])("label %d is refused", (bad) => {
    const wrong = tensor([2], [0, bad], "int32");
    const gy = tensor([2], [1, 1], "float64");
    const run = (): unknown => run1("crossEntropy", [logits, wrong], [2], { labelSmoothing: 0 }, "float64");
    expect(run).toThrow(IndexError);
    expect(run).toThrow(`crossEntropy: labels[1] is ${bad}, expected 0 to 1`);
    expect(() => run1("crossEntropyGrad", [logits, wrong, gy], [2, 2], { labelSmoothing: 0 }, "float64")).toThrow(
      IndexError,
    );
  });
});

test("crossEntropyGrad is gy (softmax - target)", () => {
  const gy = tensor([2], [1, -2], "float64");
  const gx = run1("crossEntropyGrad", [logits, labels, gy], [2, 2], { labelSmoothing: 0.2 }, "float64");
  const expected = [1 / 4 - 0.1, 3 / 4 - 0.9, -2 * (7 / 8 - 0.9), -2 * (1 / 8 - 0.1)];
  gx.forEach((g, i) => expect(g).toBeCloseTo(expected[i] as number, 14));
});
