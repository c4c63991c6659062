/** Products large enough for shaders with constant sizes, in every tile; the conformance suite's are mostly small. */
import type { Conv2dAttrs, Operand, OptionalKernel } from "@striate/core/backend";
import { sizeOf } from "@striate/core/backend";
import { describe, expect, test } from "vitest";
import type { WebGpuBackend } from "../index.js";
import { withAdapter, withBackend } from "../testing/adapter.js";
import { tileFor } from "./gemm.js";

/** Small integers: their sums are exact in any order. */
const integers = (shape: readonly number[], seed: number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, (_, i) => ((i * 7919 + seed * 104_729) % 9) - 4);

const place = (backend: WebGpuBackend, shape: readonly number[], values?: Float32Array): Operand => {
  const spec = { shape, dtype: "float32" } as const;
  const operand = { ...spec, storage: backend.alloc(spec) };
  if (values) backend.write(operand, values);
  return operand;
};

const product = (a: Float32Array, b: Float32Array, m: number, n: number, k: number): Float32Array => {
  const y = new Float32Array(m * n);
  for (let i = 0; i < m; i++)
    for (let l = 0; l < k; l++) {
      const factor = a[i * k + l] as number;
      for (let j = 0; j < n; j++) y[i * n + j] = (y[i * n + j] as number) + factor * (b[l * n + j] as number);
    }
  return y;
};

const transposed = (x: Float32Array, rows: number, columns: number): Float32Array =>
  Float32Array.from({ length: x.length }, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)] as number);

/** Whether two arrays agree; comparing a million numbers with `toEqual` takes seconds. */
const firstDifference = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  for (let i = 0; i < expected.length; i++) if (found[i] !== expected[i]) return i;
  return -1;
};

describe("tileFor", () => {
  test.each([
    [4096, 4096, 128, 128],
    [64, 524_288, 64, 64],
    [16, 524_288, 16, 64],
    [524_288, 16, 64, 16],
    [32, 32, 32, 32],
  ])("%i x %i", (m, n, bm, bn) => {
    expect(tileFor({ m, n, batch: 1 })).toMatchObject({ bm, bn });
  });
});

const full = process.env["STRIATE_FULL"] === "1";
/** Milliseconds: a software adapter compiles some of these for seconds. */
const SLOW = 600_000;

const matrices: readonly (readonly [number, number, number])[] = [
  [2050, 2044, 9],
  [16, 4100, 40],
  [33, 2051, 37],
];
const moreMatrices: typeof matrices = [
  [2048, 2048, 8],
  [4100, 12, 40],
  [64, 128, 2000],
];

type Convolution = readonly [string, readonly number[], readonly number[], Conv2dAttrs];

const convolutions: readonly Convolution[] = [
  [
    "groups, stride, dilation, asymmetric padding",
    [3, 12, 35, 31],
    [24, 6, 3, 4],
    { stride: [2, 1], padding: [1, 2, 3, 0], dilation: [1, 2], groups: 2 },
  ],
];
const moreConvolutions: readonly Convolution[] = [
  ["3x3", [2, 8, 32, 32], [16, 8, 3, 3], { stride: [1, 1], padding: [1, 1, 1, 1], dilation: [1, 1], groups: 1 }],
];

withAdapter("products with constant sizes", () => {
  test.each(full ? [...matrices, ...moreMatrices] : matrices)(
    "matmul %i x %i over %i",
    async (m, n, k) =>
      withBackend(async (backend) => {
        const [a, b] = [integers([m, k], 1), integers([k, n], 2)];
        const expected = product(a, b, m, n, k);
        const y = place(backend, [1, m, n]);
        const multiply = async (transposeA: boolean, transposeB: boolean): Promise<void> => {
          const x = place(backend, transposeA ? [1, k, m] : [1, m, k], transposeA ? transposed(a, m, k) : a);
          const w = place(backend, transposeB ? [1, n, k] : [1, k, n], transposeB ? transposed(b, k, n) : b);
          backend.kernels.matmul({ op: "matmul", inputs: [x, w], outputs: [y], attrs: { transposeA, transposeB } });
          expect(firstDifference(await backend.read(y), expected)).toBe(-1);
        };
        await multiply(false, false);
        if (full || m === 33) await multiply(true, true);
      })(),
    SLOW,
  );

  test.each(full ? [...convolutions, ...moreConvolutions] : convolutions)(
    "conv2d and its gradients: %s",
    async (_, xShape, wShape, attrs) =>
      withBackend(async (backend) => {
        const [images, channels, height, width] = xShape as [number, number, number, number];
        const [outputs, inputs, kh, kw] = wShape as [number, number, number, number];
        const { stride, padding, dilation, groups } = attrs;
        const oh = Math.floor((height + padding[0] + padding[1] - dilation[0] * (kh - 1) - 1) / stride[0]) + 1;
        const ow = Math.floor((width + padding[2] + padding[3] - dilation[1] * (kw - 1) - 1) / stride[1]) + 1;
        const yShape = [images, outputs, oh, ow];
        const [x, w, gy, bias] = [
          integers(xShape, 1),
          integers(wShape, 2),
          integers(yShape, 3),
          integers([outputs], 4),
        ];
        const y = new Float32Array(sizeOf(yShape));
        const gx = new Float32Array(x.length);
        const gw = new Float32Array(w.length);
        for (let o = 0; o < y.length; o++) {
          const [n, c, i, j] = [
            Math.floor(o / (outputs * oh * ow)),
            Math.floor(o / (oh * ow)) % outputs,
            Math.floor(o / ow) % oh,
            o % ow,
          ];
          const first = Math.floor(c / (outputs / groups)) * inputs;
          let sum = bias[c] as number;
          for (let t = 0; t < inputs * kh * kw; t++) {
            const h = i * stride[0] - padding[0] + (Math.floor(t / kw) % kh) * dilation[0];
            const v = j * stride[1] - padding[2] + (t % kw) * dilation[1];
            if (h < 0 || h >= height || v < 0 || v >= width) continue;
            const at = ((n * channels + first + Math.floor(t / (kh * kw))) * height + h) * width + v;
            const tap = c * inputs * kh * kw + t;
            sum += (x[at] as number) * (w[tap] as number);
            gx[at] = (gx[at] as number) + (gy[o] as number) * (w[tap] as number);
            gw[tap] = (gw[tap] as number) + (gy[o] as number) * (x[at] as number);
          }
          y[o] = sum;
        }
        const [onX, onW, onGy] = [place(backend, xShape, x), place(backend, wShape, w), place(backend, yShape, gy)];
        const onBias = place(backend, [outputs], bias);
        const { conv2d, conv2dRelu, conv2dGradInput, conv2dGradWeight } = backend.kernels;
        const check = async (what: string, output: Operand, expected: Float32Array): Promise<void> => {
          expect(firstDifference(await backend.read(output), expected), what).toBe(-1);
        };
        const [forward, toInput, toWeight] = [place(backend, yShape), place(backend, xShape), place(backend, wShape)];
        (conv2d as OptionalKernel<"conv2d">).run({
          op: "conv2d",
          inputs: [onX, onW, onBias],
          outputs: [forward],
          attrs,
        });
        await check("forward", forward, y);
        const call = { op: "conv2dRelu", inputs: [onX, onW, onBias], outputs: [forward], attrs } as const;
        expect(conv2dRelu?.supports?.(call)).toBe(true);
        (conv2dRelu as OptionalKernel<"conv2dRelu">).run(call);
        await check(
          "with a ReLU",
          forward,
          y.map((value) => Math.max(value, 0)),
        );
        (conv2dGradInput as OptionalKernel<"conv2dGradInput">).run({
          op: "conv2dGradInput",
          inputs: [onW, onGy],
          outputs: [toInput],
          attrs,
        });
        await check("gradient of the input", toInput, gx);
        (conv2dGradWeight as OptionalKernel<"conv2dGradWeight">).run({
          op: "conv2dGradWeight",
          inputs: [onX, onGy],
          outputs: [toWeight],
          attrs,
        });
        await check("gradient of the weight", toWeight, gw);
      })(),
    SLOW,
  );
});
