import type { Conv2dAttrs, HostArray } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Comparison, createComparison, type HostTensor, random, sameBits } from "../testing/compare.js";
import { conv2dKernels } from "./conv2d.js";
import { matmulKernels } from "./matmul.js";
import { DEFAULT_TILE, type TileName, tiles } from "./tile.js";

const names = Object.keys(tiles) as TileName[];
const engines = await Promise.all(
  names.map((name) => createComparison((runtime) => ({ ...matmulKernels(runtime), ...conv2dKernels(runtime) }), name)),
);

test("the default is one of them, and every name says its size", () => {
  expect(names).toContain(DEFAULT_TILE);
  for (const name of names) expect(name).toBe(`${tiles[name].rows}x${4 * tiles[name].vectors}`);
});

/** Runs the same call with every tile. Sums are rounded, so that another order of their terms would show. */
const expectSameBits = (run: (engine: Comparison) => HostArray[]): void => {
  const [first, ...others] = engines.map(run) as [HostArray[], ...HostArray[][]];
  others.forEach((results, i) =>
    results.forEach((result, k) => {
      expect(sameBits(result, first[k] as HostArray), `result ${k} with the tile ${names[i + 1]}`).toBe(true);
    }),
  );
};

describe("every tile gives the same bits", () => {
  test("in products", () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(47, 48, 49, 131, 132, 133, 145));
    fc.assert(
      fc.property(
        fc.record({
          batch: fc.integer({ min: 1, max: 2 }),
          m: size,
          n: size,
          k: fc.oneof(size, fc.constantFrom(511, 512, 513, 1100)),
          transposeA: fc.boolean(),
          transposeB: fc.boolean(),
        }),
        ({ batch, m, n, k, transposeA, transposeB }) => {
          const a = random([batch, ...(transposeA ? [k, m] : [m, k])], 1);
          const b = random([batch, ...(transposeB ? [n, k] : [k, n])], 2);
          const y = { shape: [batch, m, n], dtype: "float32" } as const;
          expectSameBits(({ run }) => run("matmul", [a, b], [y], { transposeA, transposeB }));
        },
      ),
      { numRuns: 40 },
    );
  });

  interface Problem {
    readonly images: number;
    readonly groups: number;
    readonly channels: number;
    readonly outputs: number;
    readonly output: readonly [number, number];
    readonly kernel: readonly [number, number];
    readonly stride: readonly [number, number];
    readonly dilation: readonly [number, number];
    readonly padding: number;
  }

  /** The convolutions of a problem, all of whose outputs have a window in the image. */
  const convolve = (problem: Problem): void => {
    const { images, groups, channels, outputs, output, kernel, stride, dilation, padding } = problem;
    const along = (axis: 0 | 1): number =>
      (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1 - 2 * padding;
    const image = [along(0), along(1)] as const;
    if (Math.min(...image) < 1) return;
    const attrs: Conv2dAttrs = { stride, dilation, groups, padding: [padding, padding, padding, padding] };
    const x = random([images, groups * channels, ...image], 1);
    const w = random([groups * outputs, channels, ...kernel], 2);
    const bias = random([groups * outputs], 3);
    const gy = random([images, groups * outputs, ...output], 4);
    const spec = ({ shape }: HostTensor) => [{ shape, dtype: "float32" as const }];
    expectSameBits(({ run }) => [
      ...run("conv2d", [x, w, bias], spec(gy), attrs),
      ...run("conv2dRelu", [x, w, bias], spec(gy), attrs),
      ...run("conv2d", [x, w], spec(gy), attrs),
      ...run("conv2dGradInput", [w, gy], spec(x), attrs),
      ...run("conv2dGradWeight", [x, gy], spec(w), attrs),
    ]);
  };

  const upTo = (max: number, min = 1) => fc.integer({ min, max });
  const pair = (max: number) => fc.tuple(upTo(max), upTo(max));

  test("in convolutions of any geometry", () => {
    fc.assert(
      fc.property(
        fc.record({
          images: upTo(4),
          groups: upTo(3),
          channels: upTo(7),
          outputs: upTo(14),
          output: fc.tuple(upTo(9), upTo(37)),
          kernel: pair(5),
          stride: pair(3),
          dilation: pair(2),
          padding: upTo(2, 0),
        }),
        convolve,
      ),
      { numRuns: 40 },
    );
  });

  const plain = { groups: 1, kernel: [3, 3], stride: [1, 1], dilation: [1, 1] } as const;

  test("in those that go Winograd's way", () => {
    fc.assert(
      fc.property(
        fc.record({
          images: upTo(5),
          channels: upTo(40, 8),
          outputs: upTo(40, 8),
          output: fc.tuple(upTo(20), fc.constantFrom(6, 7, 8, 14, 15, 16, 23, 24, 30, 31, 32)),
          padding: upTo(2, 0),
        }),
        (problem) => convolve({ ...plain, ...problem }),
      ),
      { numRuns: 20 },
    );
  });

  test.each([
    ["many channels, several tasks an image", { images: 1, channels: 300, outputs: 70, output: [10, 31], padding: 1 }],
    ["a block of tiles", { images: 2, channels: 64, outputs: 24, output: [50, 56], padding: 1 }],
    ["images together", { images: 9, channels: 24, outputs: 20, output: [7, 7], padding: 1 }],
  ] as const)("%s", (_what, problem) => {
    convolve({ ...plain, ...problem });
  });
});
