import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Padding2d, Shape } from "../backend.js";
import {
  concat,
  crossEntropy,
  permutation,
  randomWords,
  remapLookUp,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from "../index.js";
import { sizeOf } from "../shape.js";
import { createMinimalBackend } from "../testing/minimal-backend.js";

const backend = await createMinimalBackend();
const settings = { seed: 3, numRuns: 30 };

/** Small integers, so that sums are exact. */
const integers = (shape: Shape, seed: number): Tensor =>
  tensor(
    Float64Array.from(randomWords(seed, 0, 0, sizeOf(shape)), (word) => (word % 17) - 8),
    { backend, shape },
  );
const index = (shape: Shape, below: number, seed: number): Tensor =>
  tensor(
    Int32Array.from(randomWords(seed, 1, 0, sizeOf(shape)), (word) => word % below),
    { backend, shape },
  );
const dot = (a: Tensor, b: Tensor): number => scope(() => a.mul(b).sum().dataSync()[0] as number);

interface Linear {
  readonly shape: Shape;
  readonly apply: (x: Tensor) => Tensor;
}

const dimension = fc.integer({ min: 1, max: 4 });
const shapeOf = (least: number, most: number) => fc.array(dimension, { minLength: least, maxLength: most });
const small = fc.integer({ min: 1, max: 3 });
const sides = fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2), fc.nat(2)) satisfies fc.Arbitrary<Padding2d>;
const window = fc.record({
  size: fc.tuple(fc.integer({ min: 5, max: 7 }), fc.integer({ min: 5, max: 7 })),
  kernel: fc.tuple(small, small),
  stride: fc.tuple(small, small),
  dilation: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  padding: sides,
});
const tame = ({ kernel, padding: [top, bottom, left, right] }: { kernel: readonly number[]; padding: Padding2d }) =>
  Math.max(top, bottom) < (kernel[0] as number) && Math.max(left, right) < (kernel[1] as number);

const linearOps: Readonly<Record<string, fc.Arbitrary<Linear>>> = {
  "conv2d in x": fc.record({ window, groups: fc.constantFrom(1, 2, 4) }).map(({ window: w, groups }) => ({
    shape: [2, 4, ...w.size],
    apply: (x) => x.conv2d(integers([4, 4 / groups, ...w.kernel], 1), { ...w, groups }),
  })),
  "conv2d in weight": fc.record({ window, groups: fc.constantFrom(1, 2, 4) }).map(({ window: w, groups }) => ({
    shape: [4, 4 / groups, ...w.kernel],
    apply: (weight) => integers([2, 4, ...w.size], 1).conv2d(weight, { ...w, groups }),
  })),
  convTranspose2d: window.filter(tame).map((w) => ({
    shape: [1, 2, ...w.size],
    apply: (x) => x.convTranspose2d(integers([2, 3, ...w.kernel], 1), { ...w, padding: [0, 0, 0, 0] }),
  })),
  avgPool2d: fc
    .record({ window: window.filter(tame), ceilMode: fc.boolean(), countIncludePad: fc.boolean() })
    .map(({ window: w, ...modes }) => ({
      shape: [1, 2, ...w.size],
      apply: (x) => x.avgPool2d({ ...w, ...modes }),
    })),
  adaptiveAvgPool2d: fc.tuple(small, small).map((output) => ({
    shape: [1, 2, 5, 4],
    apply: (x) => x.adaptiveAvgPool2d(output),
  })),
  unfold2d: window.map((w) => ({ shape: [1, 2, ...w.size], apply: (x) => x.unfold2d(w) })),
  fold2d: window.map((w) => {
    const { shape } = integers([1, 2, ...w.size], 1).unfold2d(w);
    return { shape, apply: (x) => x.fold2d({ ...w, imageSize: w.size }) };
  }),
  pad: fc.tuple(dimension, dimension, sides).map(([n, m, [a, b, c, d]]) => ({
    shape: [n, m],
    apply: (x) => x.pad({ before: [a, b], after: [c, d] }),
  })),
  "pad2d reflect": sides.map((padding) => ({ shape: [3, 4], apply: (x) => x.pad2d(padding, { mode: "reflect" }) })),
  "pad2d replicate": sides.map((padding) => ({ shape: [2, 1], apply: (x) => x.pad2d(padding, { mode: "replicate" }) })),
  slice: fc.tuple(fc.nat(3), fc.nat(3), small, small).map(([from, to, a, b]) => ({
    shape: [7, 6],
    apply: (x) => x.slice({ begin: [from], end: [7 - to, -to - 1], step: [a, b] }),
  })),
  flip: shapeOf(1, 3).map((shape) => ({ shape, apply: (x) => x.flip(shape.map((_, i) => i).slice(0, 2)) })),
  permute: fc.tuple(shapeOf(1, 4), fc.nat()).map(([shape, seed]) => ({
    shape,
    apply: (x) => x.permute([...permutation(shape.length, { seed })]),
  })),
  reshape: shapeOf(0, 4).map((shape) => ({ shape, apply: (x) => x.reshape([-1]) })),
  expand: fc.tuple(shapeOf(1, 3), shapeOf(3, 4)).map(([shape, target]) => {
    const start = target.length - shape.length;
    const from = shape.map((n, i) => (n % 2 ? 1 : (target[start + i] as number)));
    return { shape: from, apply: (x) => x.expand(target) };
  }),
  sum: shapeOf(1, 4).map((shape) => ({ shape, apply: (x) => x.sum(shape.flatMap((n, i) => (n % 2 ? [i] : []))) })),
  mean: shapeOf(2, 3).map((shape) => ({ shape, apply: (x) => x.mean(-1) })),
  cumsum: shapeOf(1, 3).map((shape) => ({ shape, apply: (x) => x.cumsum(-1) })),
  gather: fc.tuple(dimension, dimension, dimension).map(([n, m, k]) => ({
    shape: [n, m],
    apply: (x) => x.gather(0, index([k, m], n, 2)),
  })),
  indexSelect: fc.tuple(dimension, dimension, dimension).map(([n, m, k]) => ({
    shape: [n, m],
    apply: (x) => x.indexSelect(1, index([k], m, 2)),
  })),
  "scatterAdd in source": fc.tuple(dimension, dimension, dimension).map(([n, m, k]) => ({
    shape: [k, m],
    apply: (source) =>
      integers([n, m], 1)
        .mul(0)
        .scatterAdd(0, index([k, m], n, 2), source),
  })),
  "remapLookUp in table": fc
    .tuple(dimension, dimension, dimension, dimension, fc.boolean())
    .map(([c, n, h, w, own]) => ({
      shape: [own ? n : 1, c, 256],
      apply: (table) => {
        const x = index([n, c, h, w], 256, 2).cast("uint8");
        // From -1 on.
        const [rows, columns] = [index([n, 3], h + 1, 3).sub(1), index([n, 5], w + 1, 4).sub(1)];
        return remapLookUp(x, { rows, columns, table });
      },
    })),
  maxUnpool2d: fc.constant({
    shape: [1, 2, 2, 2],
    apply: (x) => x.maxUnpool2d(index([1, 2, 2, 2], 9, 2), { outputSize: [3, 3] }),
  }),
  concat: shapeOf(1, 3).map((shape) => ({ shape, apply: (x) => concat([x, x.neg(), x], -1) })),
  "upsample2d nearest": small.map((scale) => ({ shape: [1, 2, 2, 3], apply: (x) => x.upsample2d({ scale }) })),
  "upsample2d bilinear": small.map((scale) => ({
    shape: [1, 2, 2, 3],
    apply: (x) => x.upsample2d({ scale, mode: "bilinear" }),
  })),
  "matmul in a": fc.tuple(dimension, dimension, dimension, fc.boolean()).map(([b, m, k, transposeA]) => ({
    shape: transposeA ? [1, k, m] : [1, m, k],
    apply: (a) => a.matmul(integers([b, k, 2], 1), { transposeA }),
  })),
  "where in a": shapeOf(1, 3).map((shape) => ({ shape, apply: (x) => integers(shape, 5).gt(0).where(x, 0) })),
  locallyConnected2d: fc.constant({
    shape: [2, 2, 3, 4],
    apply: (x) => x.locallyConnected2d(integers([2, 3, 2, 2, 2, 2], 1)),
  }),
};

describe("linear ops: <Ax, y> = <x, Aᵀy>, and A(x + 2z) = Ax + 2Az", () => {
  test.each(Object.entries(linearOps))("%s", (_name, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, ({ shape, apply }) => {
        const [x, z] = [integers(shape, 10), integers(shape, 11)];
        const ax = apply(x);
        const y = integers(ax.shape, 12);
        // The gradient of a linear function is the same everywhere: take it elsewhere.
        const { grads } = valueAndGrad(() => apply(z).mul(y).sum(), [z]);
        expect(dot(x, grads[0] as Tensor)).toBeCloseTo(dot(ax, y), 8);
        const both = apply(x.add(z.mul(2))).dataSync();
        const apart = ax.add(apply(z).mul(2)).dataSync();
        both.forEach((value, i) => {
          expect(value).toBeCloseTo(apart[i] as number, 8);
        });
      }),
      settings,
    );
  });
});

describe("round trips give the tensor back", () => {
  const same = (a: Tensor, b: Tensor): void => {
    expect(a.shape).toEqual(b.shape);
    expect(a.dataSync()).toEqual(b.dataSync());
  };
  const trips: Readonly<Record<string, (x: Tensor, seed: number) => Tensor>> = {
    reshape: (x) => x.reshape([-1]).reshape(x.shape),
    permute: (x, seed) => {
      const perm = [...permutation(x.rank, { seed })];
      return x.permute(perm).permute(perm.map((_, i) => perm.indexOf(i)));
    },
    "transpose twice": (x) => x.transpose(0, -1).transpose(0, -1),
    "pad and slice": (x) =>
      x.pad({ before: x.shape.map(() => 2), after: x.shape.map((_, i) => i), value: 5 }).slice({
        begin: x.shape.map(() => 2),
        end: x.shape.map((n) => n + 2),
      }),
    "slice and concat": (x, seed) => {
      const cut = seed % ((x.shape[0] as number) + 1);
      return concat([x.slice({ end: [cut] }), x.slice({ begin: [cut] })], 0);
    },
    "flip twice": (x) => x.flip(x.shape.map((_, i) => i)).flip(x.shape.map((_, i) => i)),
    "unsqueeze and squeeze": (x) => x.unsqueeze(1).squeeze(1),
    "expand and mean": (x) => x.expand([3, ...x.shape]).mean(0),
    "unfold2d and fold2d without overlap": (x) => {
      const image = x.reshape([1, 1, -1, x.shape.at(-1) as number]);
      const [height, width] = image.shape.slice(2) as [number, number];
      const tile = { kernel: [1, width], stride: [1, width] } as const;
      return image
        .unfold2d(tile)
        .fold2d({ ...tile, imageSize: [height, width] })
        .reshape(x.shape);
    },
    "upsample2d and avgPool2d": (x) =>
      x.reshape([1, 1, 1, -1]).upsample2d({ scale: 2 }).avgPool2d({ kernel: 2 }).reshape(x.shape),
    "maxUnpool2d and maxPool2d": (x) => {
      const positive = x.add(10).reshape([1, 1, 1, -1]);
      const wide = positive.upsample2d({ scale: 2 });
      const { y, indices } = wide.maxPool2dWithIndices({ kernel: 2 });
      return y
        .maxUnpool2d(indices, { outputSize: wide.shape.slice(2) as [number, number] })
        .maxPool2d({ kernel: 2 })
        .sub(10)
        .reshape(x.shape);
    },
    "cast to int32 and back": (x) => x.cast("int32").cast("float64"),
    "cumsum and differences": (x) => {
      const sums = x.cumsum(0);
      return sums.sub(
        sums.slice({ end: [(x.shape[0] as number) - 1] }).pad({
          before: x.shape.map((_, i) => (i === 0 ? 1 : 0)),
          after: x.shape.map(() => 0),
        }),
      );
    },
    "oneHot and argmax": (x) => {
      const labels = x.cast("int32").abs();
      return labels.oneHot(9).argmax(-1).cast("float64").mul(x.sign());
    },
    "exp and log": (x) => x.exp().log().mul(8).round().div(8),
  };
  test.each(Object.entries(trips))("%s", (_name, trip) => {
    fc.assert(
      fc.property(shapeOf(1, 4), fc.nat(), (shape, seed) => {
        const x = integers(shape, seed);
        same(trip(x, seed), x);
      }),
      settings,
    );
  });
});

describe("crossEntropy by probabilities", () => {
  const settingsOf = fc.record({
    shape: fc.tuple(dimension, dimension).chain(([n, c]) => shapeOf(0, 2).map((rest) => [n, c, ...rest])),
    labelSmoothing: fc.constantFrom(0, 0.2),
    reduction: fc.constantFrom("mean" as const, "sum" as const),
  });

  test("one of which is 1 is that by labels, and so is its gradient", () => {
    fc.assert(
      fc.property(settingsOf, ({ shape, ...options }) => {
        const [n = 0, classes = 0, ...rest] = shape;
        scope(() => {
          const logits = integers(shape, 5).setRequiresGrad(true);
          const labels = index([n, ...rest], classes, 6);
          const last = rest.length + 1;
          const probabilities = labels.oneHot(classes, "float64").permute([0, last, ...rest.map((_, i) => i + 1)]);
          const [a, b] = [labels, probabilities].map((targets) =>
            valueAndGrad(() => crossEntropy(logits, targets, options), [logits]),
          ) as [ReturnType<typeof valueAndGrad>, ReturnType<typeof valueAndGrad>];
          for (const [x, y] of [
            [a.value, b.value],
            [a.grads[0] as Tensor, b.grads[0] as Tensor],
          ] as const) {
            expect(y.shape).toEqual(x.shape);
            y.dataSync().forEach((value, i) => {
              expect(value).toBeCloseTo(x.dataSync()[i] as number, 12);
            });
          }
        });
      }),
      settings,
    );
  });

  test("is linear in them", () => {
    const logits = integers([3, 4], 1);
    const [p, q] = [integers([3, 4], 2), integers([3, 4], 3)];
    const loss = (targets: Tensor): Float64Array =>
      crossEntropy(logits, targets, { reduction: "none" }).dataSync() as Float64Array;
    loss(p.mul(0.25).add(q.mul(0.75))).forEach((value, i) => {
      expect(value).toBeCloseTo(0.25 * (loss(p)[i] as number) + 0.75 * (loss(q)[i] as number), 10);
    });
  });
});
