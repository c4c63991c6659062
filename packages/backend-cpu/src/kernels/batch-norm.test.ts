import { describe, expect, test } from "vitest";
import { createHarness, type HostTensor, integers, tensor } from "../testing/harness.js";

const { run } = await createHarness();

const float64 = (shape: readonly number[]) => ({ shape, dtype: "float64" }) as const;

const batchNorm = (x: HostTensor, weight: HostTensor, bias: HostTensor, eps: number) =>
  run("batchNorm", [x, weight, bias], [float64(x.shape), float64(weight.shape), float64(weight.shape)], { eps });

describe("batchNorm", () => {
  test("normalizes each channel by its biased variance, and returns the statistics", () => {
    const x = tensor([2, 2, 1, 2], [1, 3, 10, 10, 5, 7, 10, 10], "float64");
    const weight = tensor([2], [3, 2], "float64");
    const bias = tensor([2], [1, -1], "float64");
    const [y, mean, variance] = batchNorm(x, weight, bias, 4);
    expect([mean, variance]).toEqual([
      [4, 10],
      [5, 0],
    ]);
    expect(y).toEqual([-2, 0, -1, -1, 2, 4, -1, -1]);
  });

  test("keeps the variance of data far from zero", () => {
    const x = tensor([4, 1], [10001, 10002, 10003, 10004]);
    const ones = tensor([1], [1]);
    const spec = { shape: [1], dtype: "float32" } as const;
    const outputs = run("batchNorm", [x, ones, ones], [{ shape: [4, 1], dtype: "float32" }, spec, spec], { eps: 0 });
    expect(outputs[2]).toEqual([1.25]);
  });
});

test("batchNormGrad is the gradient", () => {
  const eps = 0.1;
  const x = integers([3, 2, 2], 1, "float64");
  const weight = tensor([2], [1.5, -0.5], "float64");
  const bias = tensor([2], [0.25, 1], "float64");
  const gy = integers([3, 2, 2], 2, "float64");
  const [, mean, variance] = batchNorm(x, weight, bias, eps) as [number[], number[], number[]];
  const statistics = [tensor([2], mean, "float64"), tensor([2], variance, "float64")];
  const gradients = run("batchNormGrad", [x, weight, ...statistics, gy], [x, weight, bias], { eps });

  const loss = (inputs: HostTensor[]): number =>
    (batchNorm(...(inputs as [HostTensor, HostTensor, HostTensor]), eps)[0] as number[]).reduce(
      (sum, y, i) => sum + y * (gy.data[i] as number),
      0,
    );
  const inputs = [x, weight, bias];
  inputs.forEach((input, which) => {
    const moved = (i: number, by: number) =>
      inputs.map((t, k) =>
        k === which
          ? tensor(
              t.shape,
              Array.from(t.data, (v, j) => (j === i ? v + by : v)),
              t.dtype,
            )
          : t,
      );
    for (let i = 0; i < input.data.length; i++) {
      const slope = (loss(moved(i, 1e-5)) - loss(moved(i, -1e-5))) / 2e-5;
      expect(gradients[which]?.[i]).toBeCloseTo(slope, 6);
    }
  });
});
