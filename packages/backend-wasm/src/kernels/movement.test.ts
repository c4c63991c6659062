import type { DType, Shape } from "@striate/core/backend";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createComparison, edgeSizes, type HostTensor, random, specials, tensor } from "../testing/compare.js";
import { movementKernels } from "./movement.js";

const { compare } = await createComparison(movementKernels);

const dtypes = ["float32", "int32", "uint8"] as const;
const values = (shape: Shape, dtype: DType = "float32", seed = 1): HostTensor => random(shape, seed, 0, 250, dtype);

const permute = (x: HostTensor, perm: readonly number[]): void => {
  compare("permute", [x], [{ shape: perm.map((axis) => x.shape[axis] as number), dtype: x.dtype }], { perm });
};

const anyDType = fc.constantFrom(...dtypes);
const extents = (maxLength: number) => fc.array(fc.integer({ min: 1, max: 9 }), { maxLength });

describe("permute", () => {
  test("any permutation", () => {
    const cases = extents(5).chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        dtype: anyDType,
        perm: fc.shuffledSubarray([...shape.keys()], { minLength: shape.length }),
      }),
    );
    fc.assert(fc.property(cases, ({ shape, dtype, perm }) => permute(values(shape, dtype), perm)));
  });

  test("transpositions of edge sizes", () => {
    for (const height of edgeSizes)
      for (const width of [1, 3, 4, 5, 15, 17, 33, 65]) permute(values([height, width]), [1, 0]);
  });

  test("transpositions with tasks: strips, batches, axes between", () => {
    permute(values([301, 411]), [1, 0]);
    permute(values([5, 67, 13, 19]), [0, 2, 3, 1]);
    permute(values([5, 67, 13, 19]), [3, 1, 0, 2]);
    permute(values([2, 3, 64, 64], "uint8"), [0, 2, 3, 1]);
    permute(values([64, 37, 3, 3]), [1, 0, 2, 3]);
  });
});

describe("slice", () => {
  const slice = (x: HostTensor, shape: Shape, begin: readonly number[], step: readonly number[]): void => {
    compare("slice", [x], [{ shape, dtype: x.dtype }], { begin, step });
  };

  test("any begin and step", () => {
    const axis = fc
      .record({
        extent: fc.integer({ min: 1, max: 23 }),
        size: fc.nat(),
        begin: fc.nat(),
        step: fc.integer({ min: -3, max: 3 }),
      })
      .filter(({ step }) => step !== 0)
      .map(({ extent, size, begin, step }) => {
        const start = begin % extent;
        const most = step > 0 ? Math.ceil((extent - start) / step) : Math.ceil((start + 1) / -step);
        return { extent, begin: start, step, size: (size % most) + 1 };
      });
    fc.assert(
      fc.property(fc.array(axis, { maxLength: 3 }), anyDType, (axes, dtype) =>
        slice(
          values(
            axes.map(({ extent }) => extent),
            dtype,
          ),
          axes.map(({ size }) => size),
          axes.map(({ begin }) => begin),
          axes.map(({ step }) => step),
        ),
      ),
    );
  });

  test.each([-3, -2, -1, 1, 2, 3])("long rows with step %d", (step) => {
    for (const size of edgeSizes) {
      const extent = (size - 1) * Math.abs(step) + 1;
      slice(values([extent]), [size], [step < 0 ? extent - 1 : 0], [step]);
      slice(values([3, extent + 2]), [3, size], [0, step < 0 ? extent : 1], [1, step]);
    }
    const count = 70_001;
    slice(values([3 * count]), [count], [step < 0 ? 3 * count - 1 : 0], [step]);
  });

  test("every other pixel of many planes", () => {
    slice(values([30, 8, 32, 32]), [30, 8, 16, 16], [0, 0, 0, 0], [1, 1, 2, 2]);
  });
});

describe("pad", () => {
  const pad = (x: HostTensor, before: readonly number[], after: readonly number[], value: number): void => {
    const shape = x.shape.map((n, i) => n + (before[i] as number) + (after[i] as number));
    compare("pad", [x], [{ shape, dtype: x.dtype }], { before, after, value });
  };

  test("any padding", () => {
    const axis = fc.tuple(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
    );
    fc.assert(
      fc.property(fc.array(axis, { maxLength: 5 }), anyDType, (axes, dtype) => {
        const [shape, before, after] = [0, 1, 2].map((k) => axes.map((a) => a[k] as number)) as [
          number[],
          number[],
          number[],
        ];
        pad(values(shape, dtype), before, after, 7);
      }),
    );
  });

  test.each([Number.NaN, Number.NEGATIVE_INFINITY, -0, 0.1, -3])("with %d", (value) => {
    pad(values([2, 3]), [1, 0], [0, 2], value);
  });

  test("other dtypes", () => {
    pad(values([5], "int32"), [2], [1], -7);
    pad(random([5, 3], 1, 0, 2, "bool"), [2, 18], [1, 0], 1);
  });

  test("images and channels of a batch, in tasks", () => {
    pad(values([9, 16, 32, 32]), [0, 0, 1, 2], [0, 0, 2, 1], 0);
    pad(values([17, 16, 16, 16]), [0, 8, 0, 0], [0, 8, 0, 0], 0);
  });

  test("batches of several sizes, with and without padding of the batch", () => {
    for (const n of [1, 2, 5]) {
      pad(values([n, 3]), [0, 1], [0, 1], 0);
      pad(values([n, 3]), [1, 1], [0, 1], 0);
    }
  });
});

describe("expand", () => {
  const expand = (x: HostTensor, shape: Shape): void => {
    compare("expand", [x], [{ shape, dtype: x.dtype }], {});
  };

  test("any broadcast", () => {
    const axis = fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(axis, { maxLength: 5 }), anyDType, (axes, dtype) =>
        expand(
          values(
            axes.map(([n, broadcast]) => (broadcast ? 1 : n)),
            dtype,
          ),
          axes.map(([n]) => n),
        ),
      ),
    );
  });

  test("rows of edge sizes, scalars", () => {
    for (const size of edgeSizes) {
      for (const dtype of dtypes) {
        expand(values([1], dtype), [size]);
        expand(values([3, 1], dtype), [3, size]);
        expand(values([1, size], dtype), [3, size]);
      }
    }
    expand(values([]), []);
  });

  test("in tasks", () => {
    expand(values([1, 24, 1, 1]), [33, 24, 8, 9]);
    expand(values([1]), [150_001]);
    expand(values([7, 5, 8, 1, 8, 1]), [7, 5, 8, 2, 8, 2]);
  });
});

describe("concat", () => {
  const concat = (xs: readonly HostTensor[], axis: number): void => {
    const [first] = xs as [HostTensor];
    const total = xs.reduce((sum, x) => sum + (x.shape[axis] as number), 0);
    compare("concat", xs, [{ shape: first.shape.map((n, i) => (i === axis ? total : n)), dtype: first.dtype }], {
      axis,
    });
  };

  test("any shapes and axis", () => {
    const cases = fc
      .record({
        shape: extents(4),
        axis: fc.nat(),
        sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 4 }),
      })
      .filter(({ shape }) => shape.length > 0);
    fc.assert(
      fc.property(cases, anyDType, ({ shape, axis, sizes }, dtype) => {
        const along = axis % shape.length;
        concat(
          sizes.map((size, seed) =>
            values(
              shape.map((n, i) => (i === along ? size : n)),
              dtype,
              seed,
            ),
          ),
          along,
        );
      }),
    );
  });

  test("channels of a batch, in tasks", () => {
    concat([values([20, 13, 9, 9]), values([20, 30, 9, 9], "float32", 2), values([20, 1, 9, 9], "float32", 3)], 1);
  });
});

test("bits are moved as they are", () => {
  const x = tensor([specials.length], specials);
  for (const step of [1, -1]) compare("slice", [x], [x], { begin: [step < 0 ? specials.length - 1 : 0], step: [step] });
  expect(compare("expand", [x], [x], {})[0]).toEqual(x.data);
});
