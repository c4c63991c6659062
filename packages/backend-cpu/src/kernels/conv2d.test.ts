import type { Conv2dAttrs } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at, counting, createHarness, type HostTensor, indicesOf, integers, tensor } from "../testing/harness.js";
import { arbitraryWindow } from "../testing/window.js";

const { run1 } = await createHarness();

const valid: Conv2dAttrs = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };

type Quad = [number, number, number, number];

/** Calls `visit` for every product of a convolution: the indices into x (maybe outside), w and y that belong together. */
const eachProduct = (
  w: HostTensor,
  outputShape: readonly number[],
  { stride, padding, dilation, groups }: Conv2dAttrs,
  visit: (x: Quad, w: Quad, y: Quad) => void,
): void => {
  const [outputs, channels, kh, kw] = w.shape as Quad;
  for (const y of indicesOf(outputShape) as Quad[]) {
    const [n, o, oh, ow] = y;
    const group = Math.floor(o / (outputs / groups));
    for (const [c, i, j] of indicesOf([channels, kh, kw]) as [number, number, number][]) {
      const h = oh * stride[0] - padding[0] + i * dilation[0];
      const v = ow * stride[1] - padding[2] + j * dilation[1];
      visit([n, group * channels + c, h, v], [o, c, i, j], y);
    }
  }
};

const offset = ({ shape }: { shape: readonly number[] }, index: Quad): number =>
  index.reduce((sum, i, axis) => sum * (shape[axis] as number) + i, 0);

/** y, and the gradients of Σ gy·y, by definition. */
const naive = (x: HostTensor, w: HostTensor, gy: HostTensor, attrs: Conv2dAttrs) => {
  const y = new Array<number>(gy.data.length).fill(0);
  const gx = new Array<number>(x.data.length).fill(0);
  const gw = new Array<number>(w.data.length).fill(0);
  eachProduct(w, gy.shape, attrs, (xi, wi, yi) => {
    if (xi[2] < 0 || xi[2] >= (x.shape[2] as number) || xi[3] < 0 || xi[3] >= (x.shape[3] as number)) return;
    const [a, b, c] = [offset(x, xi), offset(w, wi), offset(gy, yi)];
    y[c] = (y[c] as number) + at(x, xi) * at(w, wi);
    gx[a] = (gx[a] as number) + at(w, wi) * at(gy, yi);
    gw[b] = (gw[b] as number) + at(x, xi) * at(gy, yi);
  });
  return { y, gx, gw };
};

describe("conv2d", () => {
  test("a worked example", () => {
    const x = tensor([1, 1, 5, 5], [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0]);
    const w = tensor([1, 1, 3, 3], [1, 0, 1, 0, 1, 0, 1, 0, 1]);
    expect(run1("conv2d", [x, w], [1, 1, 3, 3], valid)).toEqual([4, 3, 4, 2, 4, 3, 2, 3, 4]);
  });

  test("sums over channels, and adds the bias", () => {
    const x = tensor([1, 3, 5, 5], Array(75).fill(1));
    const w = tensor([2, 3, 3, 3], Array(54).fill(1));
    const y = run1("conv2d", [x, w, tensor([2], [0, 0.5])], [1, 2, 3, 3], valid);
    expect(y).toEqual([...Array(9).fill(27), ...Array(9).fill(27.5)]);
  });

  test("strides count from the padding", () => {
    const attrs: Conv2dAttrs = { ...valid, stride: [2, 2], padding: [1, 0, 0, 1] };
    const y = run1("conv2d", [counting([1, 1, 3, 3]), tensor([1, 1, 2, 2], [1, 10, 100, 1000])], [1, 1, 2, 2], attrs);
    expect(y).toEqual([2100, 300, 8754, 906]);
  });
});

describe("conv2dGradInput", () => {
  test("worked examples: the full convolution with the kernel turned around", () => {
    const run = (gy: number[], w: number[]) =>
      run1(
        "conv2dGradInput",
        [tensor([1, 1, 2, 2], w, "float64"), tensor([1, 1, 2, 2], gy, "float64")],
        [1, 1, 3, 3],
        valid,
        "float64",
      );
    const close = (actual: number[], expected: number[]) =>
      actual.forEach((v, i) => expect(v).toBeCloseTo(expected[i] as number, 14));
    close(run([1, 3, 2, 2], [0.1, 0.2, 0.2, 0.4]), [0.1, 0.5, 0.6, 0.4, 1.6, 1.6, 0.4, 1.2, 0.8]);
    close(run([2, 1, 1, 1], [-0.3, 0.1, 0.1, 0.2]), [-0.6, -0.1, 0.1, -0.1, 0.3, 0.3, 0.1, 0.3, 0.2]);
    const both = run1(
      "conv2dGradInput",
      [
        tensor([2, 1, 2, 2], [0.1, 0.2, 0.2, 0.4, -0.3, 0.1, 0.1, 0.2], "float64"),
        tensor([1, 2, 2, 2], [1, 3, 2, 2, 2, 1, 1, 1], "float64"),
      ],
      [1, 1, 3, 3],
      valid,
      "float64",
    );
    close(both, [-0.5, 0.4, 0.7, 0.3, 1.9, 1.9, 0.5, 1.5, 1.0]);
  });

  test("pixels that no window covers get 0", () => {
    const attrs: Conv2dAttrs = { ...valid, stride: [2, 2] };
    const gx = run1("conv2dGradInput", [tensor([1, 1, 1, 1], [3]), tensor([1, 1, 1, 2], [1, 2])], [1, 1, 2, 4], attrs);
    expect(gx).toEqual([3, 0, 6, 0, 0, 0, 0, 0]);
  });
});

test("conv2dGradWeight, a hand-made example", () => {
  const gw = run1(
    "conv2dGradWeight",
    [counting([1, 1, 3, 3]), tensor([1, 1, 2, 2], [1, 0, 0, 1])],
    [1, 1, 2, 2],
    valid,
  );
  expect(gw).toEqual([6, 8, 12, 14]);
});

const parameters = fc.record({
  geometry: arbitraryWindow,
  batch: fc.integer({ min: 1, max: 3 }),
  groups: fc.integer({ min: 1, max: 3 }),
  channels: fc.integer({ min: 1, max: 3 }),
  outputs: fc.integer({ min: 1, max: 3 }),
});

test("all three are what the definition says, for any geometry", () => {
  fc.assert(
    fc.property(parameters, ({ geometry, batch, groups, channels, outputs }) => {
      const { window, image, output } = geometry;
      const attrs = { stride: window.stride, padding: window.padding, dilation: window.dilation, groups };
      const x = integers([batch, groups * channels, ...image], 1);
      const w = integers([groups * outputs, channels, ...window.kernel], 2);
      const gy = integers([batch, groups * outputs, ...output], 3);
      const expected = naive(x, w, gy, attrs);
      expect(run1("conv2d", [x, w], gy.shape, attrs)).toEqual(expected.y);
      expect(run1("conv2dGradInput", [w, gy], x.shape, attrs)).toEqual(expected.gx);
      expect(run1("conv2dGradWeight", [x, gy], w.shape, attrs)).toEqual(expected.gw);
    }),
  );
});

test("a batch that is taken in unequal shares, with products beyond one block", () => {
  const attrs: Conv2dAttrs = { ...valid, padding: [1, 1, 1, 1] };
  const x = integers([5, 30, 10, 10], 1);
  const w = integers([3, 30, 3, 3], 2);
  const gy = integers([5, 3, 10, 10], 3);
  const expected = naive(x, w, gy, attrs);
  expect(run1("conv2d", [x, w], gy.shape, attrs)).toEqual(expected.y);
  expect(run1("conv2dGradInput", [w, gy], x.shape, attrs)).toEqual(expected.gx);
  expect(run1("conv2dGradWeight", [x, gy], w.shape, attrs)).toEqual(expected.gw);
});

test("a NaN reaches the outputs whose windows hold it, and no other", () => {
  const x = tensor([1, 1, 1, 5], [Number.NaN, 1, 1, 1, 1]);
  const y = run1("conv2d", [x, tensor([1, 1, 1, 2], [1, 1])], [1, 1, 1, 4], valid);
  expect(y).toEqual([Number.NaN, 2, 2, 2]);
});
