import { batchNorm as batchNormOp, batchNormRelu, scope, type Tensor, tensor as tensorOf } from "@striate/core";
import { type Backend, delegate, type HostArray, type Shape } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import { createWasmBackend } from "../index.js";
import { createComparison, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { batchNormKernels } from "./batch-norm.js";

const { compare, run } = await createComparison(batchNormKernels);

const backend = await createWasmBackend({ threads: 1 });
const { batchNormInference: _native, ...otherKernels } = backend.kernels;
const decomposing: Backend = { ...delegate<object>(backend), kernels: otherKernels };

const EPS = 1e-5;

const specs = (shape: Shape) =>
  [shape, [shape[1] as number], [shape[1] as number]].map((s) => ({ shape: s, dtype: "float32" as const }));

/** Statistics are good to a few units in the last place, whatever the number of elements; the rest is pointwise. */
const batchNorm = (x: HostTensor, eps = EPS): HostArray[] => {
  const channels = [x.shape[1] as number];
  const inputs = [x, random(channels, 2, 0.5, 1.5), random(channels, 3)];
  return compare("batchNorm", inputs, specs(x.shape), { eps }, { ulps: 8, absolute: 2e-6 });
};

const batchNormGrad = (x: HostTensor): void => {
  const weight = random([x.shape[1] as number], 2, 0.5, 1.5);
  const outputs = specs(x.shape);
  const [, mean, variance] = run("batchNorm", [x, weight, weight], outputs, { eps: EPS }) as [
    HostArray,
    HostArray,
    HostArray,
  ];
  const statistics = [mean, variance].map((data) => tensor(weight.shape, data as Float32Array));
  const gy = random(x.shape, 4);
  const elements = gy.data.length / weight.data.length;
  compare(
    "batchNormGrad",
    [x, weight, ...statistics, gy],
    outputs,
    { eps: EPS },
    {
      ulps: 8,
      // Sums that cancel: a few units of the sum of absolute values, in 16 strands.
      absolute: (output) => (output === 0 ? 4e-6 : 2e-7 * elements ** 0.5 * 4),
    },
  );
};

const shapes: readonly Shape[] = [
  [2, 3],
  [5, 17],
  [1, 5, 7],
  [3, 2, 1, 2],
  [3, 17, 2, 2],
  [4, 3, 4, 5],
  [2, 5, 7, 7],
  [3, 2, 5, 13],
  [2, 3, 8, 8],
  [1, 2, 2048],
  [2, 2, 2049],
  [3, 1, 61, 103],
  [64, 16, 8, 8],
  [16, 64, 8, 8],
  [1, 300, 97],
  // One job, a channel a task; then parts of the batch, even and not.
  [40, 16, 32, 32],
  [40, 3, 32, 32],
  [37, 2, 33, 35],
  [5, 2, 200, 200],
];

describe("batchNorm", () => {
  test.each(shapes)("%j", (...shape) => {
    batchNorm(random(shape));
  });

  test.each([[[8, 2, 4, 4]], [[40, 2, 32, 32]], [[300, 3]]])(
    "keeps the variance of data far from zero: %j",
    (shape) => {
      const x = random(shape, 1, 10_000, 10_003.5);
      const inputs = [x, random([shape[1] as number], 2, 0.5, 1.5), random([shape[1] as number], 3)];
      compare("batchNorm", inputs, specs(shape), { eps: EPS }, { ulps: 8, absolute: 4e-6 });
    },
  );

  test("an outlier in front spoils nothing", () => {
    const data = Array.from(random([64, 1, 8, 8], 1, -1, 1).data);
    data[0] = 1000;
    batchNorm(tensor([64, 1, 8, 8], data));
  });

  test("blocks far from each other", () => {
    const shape = [8, 1, 64, 64];
    const data = Array.from(random(shape, 1, -1, 1).data, (v, i) => v + 1000 * Math.floor(i / 4096));
    batchNorm(tensor(shape, data));
  });

  test("a constant channel has variance 0", () => {
    for (const value of [0, 3.5, 0.1]) {
      const shape = [7, 1, 31];
      const x = tensor(shape, new Array<number>(7 * 31).fill(value));
      const [y, mean, variance] = batchNorm(x, 1e-12);
      expect(mean?.[0]).toBe(Math.fround(value));
      expect(variance?.[0]).toBeLessThan(1e-12);
      expect(y?.every(Number.isFinite)).toBe(true);
    }
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%d spreads as on the CPU", (special) => {
    for (const shape of [
      [2, 2, 5],
      [40, 2, 32, 32],
    ]) {
      const own = shape.slice(2).reduce((a, b) => a * b, 1);
      for (const place of [0, own - 1, 2 * own]) {
        const data = Array.from(random(shape).data);
        data[place] = special;
        batchNorm(tensor(shape, data));
        batchNormGrad(tensor(shape, data));
      }
    }
  });
});

test.each(shapes)("batchNormRelu has the bits of the two: %j", (...shape) => {
  const x = random(shape);
  if (shape[0] === 5) x.data[0] = Number.NaN;
  const inputs = [x, random([shape[1] as number], 2, -1, 1), random([shape[1] as number], 3)];
  const [y, ...statistics] = run("batchNorm", inputs, specs(shape), { eps: EPS }) as [Float32Array, ...HostArray[]];
  const rectified = y.map((value) => Math.max(value, 0));
  expect(run("batchNormRelu", inputs, specs(shape), { eps: EPS })).toEqual([rectified, ...statistics]);
});

describe("batchNormInference has the bits of its decomposition", () => {
  const agree = (inputs: readonly HostTensor[], eps: number): void => {
    const [{ shape }] = inputs as [HostTensor];
    for (const relu of [false, true]) {
      const [y] = run("batchNormInference", inputs as never, [{ shape, dtype: "float32" }], { eps, relu });
      const expected = scope(() => {
        const [x, runningMean, runningVar, weight, bias] = inputs.map((input) =>
          tensorOf(input.data, { backend: decomposing, shape: input.shape }),
        ) as [Tensor, Tensor, Tensor, Tensor, Tensor];
        const normalize = relu ? batchNormRelu : batchNormOp;
        return normalize(x, { runningMean, runningVar, weight, bias, training: false, eps }).dataSync();
      });
      // Told apart are the zeros; NaN is NaN.
      expect(y?.findIndex((value, i) => !Object.is(value, expected[i]))).toBe(-1);
    }
  };

  test.each([...shapes, [3, 1], [1, 1, 1], [70_000, 3], [1, 70_000], [2, 3, 70_001]])("%j", (...shape) => {
    const x = random(shape);
    specials.forEach((value, i) => {
      x.data[(97 * i) % x.data.length] = value;
    });
    const channels = [shape[1] as number];
    const variance = random(channels, 2, 0, 4);
    agree([x, random(channels, 3), variance, random(channels, 4), random(channels, 5)], EPS);
  });

  test("special statistics, without an eps", () => {
    const list = tensor([specials.length], specials);
    const of = (shift: number): HostTensor =>
      tensor(
        [specials.length],
        Array.from(specials, (_, i) => specials[(i + shift) % specials.length] as number),
      );
    for (const inner of [[], [5]])
      for (const shift of specials.keys())
        agree([random([4, specials.length, ...inner]), of(shift), list, of(2 * shift + 1), of(3 * shift + 2)], 0);
  });
});

test.each(shapes)("batchNormGrad %j", (...shape) => {
  batchNormGrad(random(shape));
});
